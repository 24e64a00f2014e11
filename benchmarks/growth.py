"""How time and memory of the sequential walk grow with the length of a sequence.

Claim: between T = 1,000 and T = 100,000 both are proportional to T, as far as a slope of at most
1.1 in the logarithms tells. Run from the repository's root, with the extra `book`:

    python benchmarks/growth.py

Value and gradient of log-normaliser, marginal moments and one joint sample (the task of
`message_passing.py`), D = 3, batches of 10 (or others), float32. Lengths take turns. Memory is what
XLA allocates besides inputs and outputs (`temp_size_in_bytes`): exact, and known without running.
Before anything is timed the sequential walk must agree with the parallel one at 200 steps; the two
take turns there: by this `method="auto"` chooses.

Writes `benchmarks/results/growth.json`.
"""

import argparse
import os
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")  # read when JAX starts

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jax.random as jr  # noqa: E402
import numpy as np  # noqa: E402
from measure import interleaved, provenance, ratio, summary, write  # noqa: E402
from smoothers import Inputs, problem, symmetric  # noqa: E402

from avfkit import kalman  # noqa: E402

SIZE, MEBI = 3, 2**20
CLOCKS = "wall", "cpu"


def total(method: str, weights: tuple[jax.Array, ...], inputs: Inputs, keys: jax.Array) -> Any:
    """A scalar of everything that the walk gives, for a batch."""

    def one(mean: jax.Array, precision: jax.Array, key: jax.Array) -> tuple[jax.Array, ...]:
        potentials = kalman.full_potentials(mean, precision)
        path, log_z = kalman.posterior(inputs[0], potentials, method=method)
        moments = kalman.marginals(path, method=method)
        return log_z, moments.mean + kalman.sample(path, key=key, method=method), moments.cov

    log_z, mean, cov = jax.vmap(one)(*inputs[1:], keys)
    return jnp.sum(log_z) + jnp.vdot(weights[0], mean) + jnp.vdot(weights[1], cov)


def gradient(method: str, length: int, batch: int) -> tuple[Any, tuple]:
    """The compiled value and gradient, and its arguments."""
    (chain, *each), _, weights = problem(SIZE, length)
    each, weights = ([a[:batch] for a in arrays] for arrays in (each, weights))
    arguments = (chain, *each), jr.split(jr.key(0), batch)
    work = jax.value_and_grad(lambda inputs, keys: total(method, weights, inputs, keys))
    return jax.jit(work).lower(*arguments).compile(), arguments


def compared(rounds: int) -> dict[str, Any]:
    """The largest relative difference of the two walks, and how many times as long the other takes.

    Raises:
        AssertionError: the difference is not one of rounding.
    """
    found, calls = [], {}
    for method in ("sequential", "parallel"):
        work, arguments = gradient(method, 200, 10)
        found.append([symmetric(np.asarray(leaf)) for leaf in jax.tree.leaves(work(*arguments))])
        calls[method] = lambda work=work, arguments=arguments: jax.block_until_ready(
            work(*arguments)
        )
    gaps = [np.abs(a - b).max() / np.abs(a).max() for a, b in zip(*found, strict=True)]
    assert max(gaps) < 1e-3, gaps
    times = interleaved(calls, rounds)
    over = {clock: ratio(times["parallel"][clock], times["sequential"][clock]) for clock in CLOCKS}
    return {
        "relative_difference": float(f"{float(max(gaps)):.1e}"),
        "parallel_over_sequential": {"length": 200, **over},
    }


def slope(curve: dict[int, float]) -> float:
    """Of the line through the logarithms, by least squares."""
    return round(float(np.polyfit(*np.log([list(curve), list(curve.values())]), 1)[0]), 3)


def main() -> None:
    """Measure both curves of each batch and write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    lengths = [1_000, 10_000, 100_000]
    parser.add_argument("--lengths", type=int, nargs="+", default=lengths, help="steps")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 10], help="sequences")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each length")
    arguments = parser.parse_args()
    result: dict[str, Any] = {
        "claim": {"slope_at_most": 1.1},
        "provenance": provenance("dynamax"),
        "latent": SIZE,
        **compared(arguments.rounds),
    }
    for batch in arguments.batches:
        calls, memory = {}, {}
        for length in arguments.lengths:
            work, inputs = gradient("sequential", length, batch)
            memory[length] = round(work.memory_analysis().temp_size_in_bytes / MEBI, 2)
            calls[str(length)] = lambda work=work, inputs=inputs: jax.block_until_ready(
                work(*inputs)
            )
        times = {
            n: summary(each["cpu"]) for n, each in interleaved(calls, arguments.rounds).items()
        }
        medians = {int(n): each["median_ms"] for n, each in times.items()}
        slopes = {"time": slope(medians), "memory": slope(memory)}
        print(f"batch of {batch}: slopes {slopes}", flush=True)
        found = {"cpu": times, "temporary_mib": memory, "slope": slopes}
        result[f"batch={batch}"] = found
        write("growth", result)


if __name__ == "__main__":
    main()
