"""How far single precision is from double in the Gaussian part of a structured VAE.

Claim: the largest relative error of avfkit, in log-normaliser, moments and the gradient of both, is
at most twice that of dynamax's sequential mode. Run from the repository's root, with the extra
`book`, which has dynamax:

    python benchmarks/accuracy.py

The problems are those of `message_passing.py`, two of the sequences of a batch. Each side is
compared with dynamax in double precision on the very inputs that it reads, so that what rounding
them costs is not counted. An error is relative to the largest entry. Nothing is timed.

Writes `benchmarks/results/accuracy.json`.
"""

import argparse
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from measure import provenance, write
from message_passing import normalised, symmetric, tasks
from smoothers import OURS, SEQUENTIAL, SMOOTHERS, problem

SEQUENCES = 2


def checked(name: str, arrays: tuple, weights: tuple) -> tuple[list, list]:
    """Log-normaliser, means and covariances; and the gradients in the chain and in the means."""
    keys = jr.split(jr.key(0), SEQUENCES)
    found = jax.jit(tasks(SMOOTHERS[name], weights)["check"])(arrays, keys)
    values, slopes = (jax.tree.leaves(jax.device_get(each)) for each in found)
    return values, slopes


def errors(name: str, size: int, length: int) -> dict[str, float]:
    """Of each part what it is in single precision, against double."""
    mine, theirs, weights = problem(size, length)
    chain, *sequences = mine if name == OURS else theirs
    sequences, weights = ([a[:SEQUENCES] for a in arrays] for arrays in (sequences, weights))
    values, slopes = checked(name, (chain, *sequences), tuple(weights))
    if name == OURS:
        values[0] = normalised(values[0], sequences[1])
    doubles = jax.tree.map(lambda a: np.asarray(a, np.float64), (chain, *sequences))
    if name == OURS:
        doubles = *doubles[:2], np.linalg.inv(doubles[2])
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: jnp.asarray(np.asarray(a), jnp.float64), (doubles, weights))
        exact, exact_slopes = checked(SEQUENTIAL, wide[0], tuple(wide[1]))
    parts = zip(("log_normaliser", "mean", "cov"), values, exact, strict=True)
    found = {part: apart(*pair) for part, *pair in parts}
    found["gradient"] = max(apart(*pair) for pair in zip(slopes, exact_slopes, strict=True))
    return {part: float(f"{error:.1e}") for part, error in found.items()}


def apart(found: np.ndarray, exact: np.ndarray) -> float:
    """The largest difference, relative to the largest entry."""
    gap = np.abs(symmetric(np.asarray(found, np.float64)) - symmetric(exact)).max()
    return float(gap / np.abs(symmetric(exact)).max())


def main() -> None:
    """Compare, and write after each size and length."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[3, 10], help="entries of a latent")
    parser.add_argument("--lengths", type=int, nargs="+", default=[200, 2000, 20000], help="steps")
    arguments = parser.parse_args()
    result: dict[str, Any] = {"claim": {"over_dynamax": 2.0}, "provenance": provenance("dynamax")}
    result["errors"] = {}
    for size in arguments.sizes:
        for length in arguments.lengths:
            names = (OURS, SEQUENTIAL)
            found = {name: errors(name, size, length) for name in names}
            result["errors"][f"D={size}, T={length}"] = found
            write("accuracy", result)


if __name__ == "__main__":
    main()
