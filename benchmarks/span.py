"""How long the parallel walk of a chain takes, against its length, beside the walk one by one.

No claim: with enough workers the parallel walk should take as long as its levels, whose number
grows as log T, until a batch fills the device; where that is, is measured. On a CPU it never is.
Run from the repository's root, with the extra `book`, where there is a GPU:

    python benchmarks/span.py
    python benchmarks/span.py --lengths 100 1000 --batches 1 --rounds 3

Value and gradient of log-normaliser, marginal moments and one joint sample, D = 3, float32, as in
`growth.py`, but by the clock. The two walks and all lengths take turns; beyond `--sequential` steps
the parallel walk is alone. Before anything is timed the two must agree at the shortest length.

Writes `benchmarks/results/span_gpu.json` (or `_cpu`: JAX's default backend).
"""

import argparse
from typing import Any

import jax
import numpy as np
from growth import gradient, slope, symmetric
from measure import interleaved, provenance, ratio, summary, write

METHODS = "sequential", "parallel"


def difference(found: list[Any]) -> float:
    """The largest relative difference of two gradients.

    Raises:
        AssertionError: it is not one of rounding.
    """
    both = [[symmetric(np.asarray(leaf)) for leaf in jax.tree.leaves(each)] for each in found]
    gaps = [np.abs(a - b).max() / np.abs(a).max() for a, b in zip(*both, strict=True)]
    assert max(gaps) < 1e-3, gaps
    return float(f"{max(gaps):.1e}")


def measure(batch: int, args: Any) -> dict[str, Any]:
    """Compile both walks of each length, and let them take turns."""
    calls, seconds = {}, {name: {} for name in METHODS}
    for length in args.lengths:
        for name in METHODS if length <= args.sequential else METHODS[1:]:
            work, inputs = gradient(name, length, batch)
            calls[name, length] = lambda work=work, inputs=inputs: jax.block_until_ready(
                work(*inputs)
            )
    gap = difference([calls[name, args.lengths[0]]() for name in METHODS])
    walls = {key: each["wall"] for key, each in interleaved(calls, args.rounds).items()}
    for (name, length), each in walls.items():
        seconds[name][length] = summary(each, digits=3)
    medians = {
        name: {length: each["median_ms"] for length, each in found.items()}
        for name, found in seconds.items()
    }
    return {
        "relative_difference": gap,
        "wall": seconds,
        "slope": {name: slope(found) for name, found in medians.items() if len(found) > 1},
        "sequential_over_parallel": {
            length: ratio(walls["sequential", length], walls["parallel", length])
            for length in seconds["sequential"]
        },
    }


def main() -> None:
    """Measure each batch, and write after it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    lengths = [100, 1_000, 10_000, 100_000]
    parser.add_argument("--lengths", type=int, nargs="+", default=lengths, help="steps")
    parser.add_argument(
        "--batches", type=int, nargs="+", default=[1, 10], help="sequences, up to 10"
    )
    parser.add_argument("--sequential", type=int, default=10_000, help="most steps one by one")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each")
    args = parser.parse_args()
    result: dict[str, Any] = {"provenance": provenance("dynamax"), "batches": {}}
    for batch in args.batches:
        result["batches"][f"batch={batch}"] = measure(batch, args)
        write(f"span_{jax.default_backend()}", result)


if __name__ == "__main__":
    main()
