"""The matrix products of the update network alone: how their speed depends on who comes second.

No claim: the rates behind `benchmarks/README.md`, and with them the time that the products of a
music-size step take by themselves. One thread. Run from the repository's root:

    python benchmarks/products.py

With 16 rows the three products are taken in turn, as in the network, so the weights (15 MB) come
from beyond the caches each time.

Writes `benchmarks/results/products.json`: medians over the turns, with their range.
"""

import argparse
import os
from collections.abc import Callable
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"  # read when JAX starts

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jax.random as jr  # noqa: E402
import numpy as np  # noqa: E402
from measure import interleaved, provenance, spread, write  # noqa: E402

SHAPES = [(3072, 400), (2048, 1024), (400, 1024)]  # of the update network, [outputs, inputs]
SIZE = sum(a * b for a, b in SHAPES)
BATCH, REPEATS = 16, 40


def check(weights: list, rows: list) -> None:
    """Whoever comes second, the product is the same."""
    for w, x in zip(weights, rows, strict=True):
        np.testing.assert_allclose(x @ w.T, (w @ x.T).T, rtol=1e-3, atol=1e-3)


def in_turn(product: Callable, weights: list, inputs: list) -> Callable[[], None]:
    """The products of all matrices, again and again, each round waiting for the last."""

    @jax.jit
    def work(weights: list, inputs: list) -> list:
        def again(inputs: list, _: None) -> tuple[list, None]:
            total = sum(jnp.sum(product(w, x)) for w, x in zip(weights, inputs, strict=True))
            return [x + 1e-20 * total for x in inputs], None

        return jax.lax.scan(again, inputs, None, length=REPEATS)[0]

    return lambda: jax.block_until_ready(work(weights, inputs))


def at_once(product: Callable, rows: int) -> Callable[[], None]:
    """One product of many rows with each matrix: the gradient of the weights, or of the inputs."""
    outputs = [jr.normal(jr.key(0), (rows, shape[0])) for shape in SHAPES]
    inputs = [jr.normal(jr.key(1), (rows, shape[1])) for shape in SHAPES]
    work = jax.jit(lambda outputs, others: [product(*p) for p in zip(outputs, others, strict=True)])
    return lambda: jax.block_until_ready(work(outputs, inputs))


def main() -> None:
    """Measure and write the rates."""
    parser = argparse.ArgumentParser(description="The update network's products alone.")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each")
    rounds = parser.parse_args().rounds
    weights = [jr.normal(jr.key(2), shape) for shape in SHAPES]
    rows = [jr.normal(jr.key(1), (BATCH, shape[1])) for shape in SHAPES]
    columns = [x.T + 0.0 for x in rows]
    check(weights, rows)
    few, many = 2e-6 * SIZE * BATCH * REPEATS, 2e-6 * SIZE
    competitors = {
        "16 rows, weights second": (in_turn(lambda w, x: x @ w.T, weights, rows), few),
        "16 rows, vectors second": (in_turn(lambda w, x: w @ x, weights, columns), few),
        "400 rows, gradient": (at_once(lambda g, x: g.T @ x, 400), 400 * many),
        "2000 rows, gradient": (at_once(lambda g, x: g.T @ x, 2000), 2000 * many),
    }
    result: dict[str, Any] = {"rounds": rounds, "provenance": provenance()}
    times = interleaved({name: work for name, (work, _) in competitors.items()}, rounds)
    result["gigaflop_per_second"] = {
        name: spread([flop / each for each in times[name]["cpu"]], digits=1)
        for name, (_, flop) in competitors.items()
    }
    write("products", result)


if __name__ == "__main__":
    main()
