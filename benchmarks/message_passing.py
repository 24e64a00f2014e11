"""The Gaussian part of a structured VAE on a CPU, against dynamax.

Claim wanted: value and gradient of log-normaliser, marginal moments and one joint sample, for a
batch of 10 in float32, take a tenth (D = 3) and a quarter (D = 10) of the time of the faster of
dynamax's modes, and compile in a third of the time of its parallel one. Run from the repository's
root, with the extra `book`, which has dynamax:

    python benchmarks/message_passing.py
    python benchmarks/message_passing.py --lengths 200 1000 5000 20000 --parallel 1000

Potentials are full, other at each step; the chain is shared. Both sides get the same potentials, in
the form each of them reads (avfkit precisions, dynamax covariances), and draw their own noise.
Before the clock starts they must agree in log-normaliser, moments and the gradient of both.
Compiling is timed apart, in processor time of all threads; so is running.

Writes `benchmarks/results/message_passing.json`.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")  # read when JAX starts

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jax.random as jr  # noqa: E402
import numpy as np  # noqa: E402
from dynamax.linear_gaussian_ssm import inference, parallel_inference  # noqa: E402
from measure import interleaved, provenance, ratio, summary, write  # noqa: E402

from avfkit import kalman  # noqa: E402

BATCH = 10
OURS, SEQUENTIAL, PARALLEL = "avfkit", "dynamax sequential", "dynamax parallel"
LOG_2PI = np.log(2.0 * np.pi)
Inputs = tuple[kalman.Chain, jax.Array, jax.Array]


def problem(size: int, length: int) -> tuple[Inputs, Inputs, tuple[jax.Array, ...]]:
    """Inputs of both sides, and the weights with which results are summed to a scalar."""
    rng = np.random.default_rng(0)
    eye, turn = np.eye(size), np.linalg.qr(rng.normal(size=(size, size)))[0]
    parts = (np.zeros(size), eye, 0.97 * turn, 0.1 * np.ones(size), 0.1 * eye)
    chain = kalman.Chain(*(jnp.asarray(part, jnp.float32) for part in parts))
    root = rng.normal(size=(BATCH, length, size, size)) / np.sqrt(size)
    precision = root @ np.swapaxes(root, 2, 3) + 0.5 * eye
    mean = rng.normal(size=(BATCH, length, size))
    weights = (rng.normal(size=(BATCH, length, *shape)) for shape in ((size,), (size, size)))
    mean, precision, cov, *weights = (
        jnp.asarray(a, jnp.float32) for a in (mean, precision, np.linalg.inv(precision), *weights)
    )
    return (chain, mean, precision), (chain, mean, cov), tuple(weights)


def ours(inputs: Inputs, key: jax.Array) -> tuple[jax.Array, ...]:
    """Log-normaliser, means, covariances and a sample of one sequence."""
    potentials = kalman.full_potentials(*inputs[1:])
    path, log_normaliser = kalman.posterior(inputs[0], potentials)
    mean, cov, _ = kalman.marginals(path)
    return log_normaliser, mean, cov, kalman.sample(path, key=key)


def dynamax(module: Any, inputs: Inputs, key: jax.Array) -> tuple[jax.Array, ...]:
    """The same; potentials are observations of the latent itself, without their normalisers."""
    chain, mean, cov = inputs
    size = mean.shape[1]
    m1, p1, a, b, q = chain
    eye, zero = jnp.eye(size), jnp.zeros(size)
    params = inference.make_lgssm_params(m1, p1, a, q, eye, cov, b, None, zero)
    found = module.lgssm_smoother(params, mean)
    sample = module.lgssm_posterior_sample(key, params, mean)
    return found.marginal_loglik, found.smoothed_means, found.smoothed_covariances, sample


COMPETITORS: dict[str, Callable] = {
    OURS: ours,
    SEQUENTIAL: lambda inputs, key: dynamax(inference, inputs, key),
    PARALLEL: lambda inputs, key: dynamax(parallel_inference, inputs, key),
}


def tasks(run: Callable, weights: tuple[jax.Array, ...]) -> dict[str, Callable]:
    """What is timed, as functions of the inputs of a batch and its keys."""

    def batch(inputs: Inputs, keys: jax.Array) -> tuple[jax.Array, ...]:
        return jax.vmap(lambda m, p, k: run((inputs[0], m, p), k))(*inputs[1:], keys)

    def total(inputs: Inputs, keys: jax.Array) -> jax.Array:
        log_z, mean, cov, sample = batch(inputs, keys)
        return jnp.sum(log_z) + jnp.vdot(weights[0], mean + sample) + jnp.vdot(weights[1], cov)

    def without_sample(inputs: Inputs, keys: jax.Array) -> jax.Array:
        log_z, mean, cov, _ = batch(inputs, keys)
        return jnp.sum(log_z) + jnp.vdot(weights[0], mean) + jnp.vdot(weights[1], cov)

    return {
        "log-normaliser": lambda inputs, keys: batch(inputs, keys)[0],
        "smoother": lambda inputs, keys: batch(inputs, keys)[1:3],
        "svae": batch,
        "svae, value and gradient": jax.value_and_grad(total),
        "check": lambda inputs, keys: (
            batch(inputs, keys)[:3],
            jax.grad(without_sample)(inputs, keys)[:2],
        ),
    }


def compiled(work: Callable, *inputs: Any) -> tuple[Callable[[], Any], float]:
    """A compiled call that waits for its end, and the processor seconds it took to compile."""
    began = time.process_time()
    call = jax.jit(work).lower(*inputs).compile()
    seconds = time.process_time() - began
    return lambda: jax.block_until_ready(call(*inputs)), round(seconds, 1)


def agree(size: int, names: tuple[str, ...]) -> float:
    """The largest relative difference in log-normaliser, moments and gradients, at 30 steps.

    Raises:
        AssertionError: it is not one of rounding.
    """
    mine, theirs, weights = problem(size, 30)
    keys = jr.split(jr.key(0), BATCH)
    found = []
    for name in names:
        inputs = mine if name == OURS else theirs
        values, slopes = jax.jit(tasks(COMPETITORS[name], weights)["check"])(inputs, keys)
        if name == OURS:  # dynamax counts the normalisers of N(mean; z, cov)
            constant = 0.5 * jnp.linalg.slogdet(mine[2])[1].sum(1) - 15 * size * LOG_2PI
            values = (values[0] + constant, *values[1:])
        found.append([np.asarray(leaf) for leaf in jax.tree.leaves((values, slopes))])
    gaps = [
        np.abs(a + _turned(a) - b - _turned(b)).max() / np.abs(a + _turned(a)).max()
        for other in found[1:]
        for a, b in zip(found[0], other, strict=True)
    ]
    assert max(gaps) < 1e-3, gaps
    return float(f"{max(gaps):.1e}")


def _turned(array: np.ndarray) -> np.ndarray:
    """The gradient in a covariance has a meaning in its symmetric part only."""
    square = array.ndim > 1 and array.shape[-1] == array.shape[-2]
    return np.swapaxes(array, -1, -2) if square else array


def measure(size: int, length: int, names: tuple[str, ...], rounds: int) -> dict[str, Any]:
    """Compile seconds, milliseconds and ratios of each task; long sequences have two tasks."""
    mine, theirs, weights = problem(size, length)
    keys = jr.split(jr.key(0), BATCH)
    chosen = ("log-normaliser", "smoother", "svae", "svae, value and gradient")
    result: dict[str, Any] = {}
    for task in chosen if length <= 200 else chosen[1::2]:
        calls, seconds = {}, {}
        for name in names if task == chosen[-1] else names[:2]:
            inputs = mine if name == OURS else theirs
            work = tasks(COMPETITORS[name], weights)[task]
            calls[name], seconds[name] = compiled(work, inputs, keys)
        times = interleaved(calls, rounds if length <= 1000 else max(2, rounds // 4))
        cpu = {name: each["cpu"] for name, each in times.items()}
        result[task] = {
            "compile_s": seconds,
            "cpu": {name: summary(each) for name, each in cpu.items()},
            "ratio": {name: ratio(each, cpu[OURS]) for name, each in cpu.items() if name != OURS},
        }
        print(size, length, task, {k: v["median_ms"] for k, v in result[task]["cpu"].items()})
    return result


def main() -> None:
    """Check, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[3, 10], help="entries of a latent")
    parser.add_argument("--lengths", type=int, nargs="+", default=[200, 1000, 5000], help="steps")
    parser.add_argument("--parallel", type=int, default=200, help="most steps in parallel mode")
    parser.add_argument("--rounds", type=int, default=12, help="turns of each competitor")
    args = parser.parse_args()
    result: dict[str, Any] = {
        "claim": {"ratio": {"3": 10.0, "10": 4.0}, "compile_ratio": 3.0},
        "provenance": provenance("dynamax"),
        "batch": BATCH,
        "relative_difference": {},
    }
    for size in args.sizes:
        result["relative_difference"][size] = agree(size, tuple(COMPETITORS)[:2])
        for length in args.lengths:
            names = tuple(COMPETITORS)[: 3 if length <= args.parallel else 2]
            found = measure(size, length, names, args.rounds)
            result.setdefault("results", {})[f"D={size}, T={length}"] = found
            write("message_passing", result)


if __name__ == "__main__":
    main()
