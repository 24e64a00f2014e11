"""Gaussian message passing task by task, over sizes, lengths and batches, on a CPU.

Claim: in every task, at every size, length and batch, nobody is faster than avfkit. Run from the
repository's root, with the extra `book`, which has dynamax:

    python benchmarks/grid.py
    NPROC=8 python benchmarks/grid.py --cells 3x1000x10 --with "dynamax parallel" "cuthbert
        sequential" --add

Around D = 3 latents, T = 1,000 steps and a batch of 10, each of the three varies while the others
stay. The tasks are filter (moments and log-normaliser), log-normaliser, smoother (moments and
log-normaliser), one joint sample of each sequence, and value and gradient of log-normaliser,
smoothed moments and sample, as in `message_passing.py`. float32; potentials are full and other at
each step, the chain is shared. avfkit walks step by step; its own scan ("avfkit parallel") takes
part in the tasks and cells of `SCANNED`: by this `method="auto"` chooses. By hand, in NumPy, a
whole batch is walked at once, up to 10,000 steps and without gradients. With `--with` others take
part, in the cells that are named; dynamax's parallel mode may stand still (`message_passing.py`).

Before the clock starts, the outputs of the very programs that are timed must agree, and so must the
gradients, but for the sample: its weight is an input, and there it is 0. The samples, each of its
own noise, must turn into white noise by avfkit's conditionals. Compiling is timed apart, in
processor time of all threads; so is running. Memory is what XLA allocates besides inputs and
outputs (`temp_size_in_bytes`), in MiB.

Writes `benchmarks/results/grid.json`; `--add` keeps other cells that are there, each with the
provenance of its own run.
"""

import argparse
import json
import os
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")  # read when JAX starts

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jax.random as jr  # noqa: E402
import numpy as np  # noqa: E402
from measure import (  # noqa: E402
    RESULTS,
    compiled,
    interleaved,
    provenance,
    provenances,
    ratio,
    summary,
    write,
)
from smoothers import (  # noqa: E402
    CUTHBERT,
    FILTERS,
    NUMPY,
    OURS,
    PARALLEL,
    SEQUENTIAL,
    SMOOTHERS,
    Inputs,
    by_hand,
    drawn_by_hand,
    filtered_by_hand,
    normalised,
    our_filter,
    ours,
    problem,
    symmetric,
)

from avfkit import kalman  # noqa: E402

FILTER, SMOOTHER, NORMALISER = "filter", "smoother", "log-normaliser"
SAMPLE, GRADIENT = "joint sample", "value and gradient"
PARTS = {NORMALISER: slice(0, 1), SMOOTHER: slice(0, 3), SAMPLE: slice(3, 4)}
TASKS = FILTER, NORMALISER, SMOOTHER, SAMPLE, GRADIENT
Cell = tuple[int, int, int]
SIZES, LENGTHS, BATCHES = (2, 3, 5, 10, 16, 32), (100, 1_000, 10_000, 100_000), (1, 10, 64, 256)
GRID: tuple[Cell, ...] = tuple(
    dict.fromkeys(
        [(3, 1_000, 10)]
        + [(size, 1_000, 10) for size in SIZES]
        + [(3, length, 10) for length in LENGTHS]
        + [(3, 1_000, batch) for batch in BATCHES]
    )
)
SCANNED: dict[str, tuple[Cell, ...]] = {
    FILTER: ((3, 100, 10), (3, 1_000, 10), (3, 1_000, 1), (10, 1_000, 10)),
    GRADIENT: ((3, 100, 10),),  # it compiles for long
}
OTHERS = PARALLEL, CUTHBERT
OUR_SCAN = "avfkit parallel"
WALKS = SMOOTHERS | {
    OURS: partial(ours, method="sequential"),
    OUR_SCAN: partial(ours, method="parallel"),
}
STEPS = FILTERS | {
    OURS: partial(our_filter, method="sequential"),
    OUR_SCAN: partial(our_filter, method="parallel"),
}
given = lru_cache(maxsize=1)(problem)


def forward(name: str, task: str) -> Callable:
    """A competitor's task, of the inputs of a batch and its keys; what is not used is not done."""

    def one(inputs: Inputs, key: jax.Array) -> tuple[jax.Array, ...]:
        if task == FILTER:
            return STEPS[name](inputs)
        return WALKS[name](inputs, key)[PARTS.get(task, slice(None))]

    def batch(inputs: Inputs, keys: jax.Array) -> tuple[jax.Array, ...]:
        return jax.vmap(lambda m, p, k: one((inputs[0], m, p), k))(*inputs[1:], keys)

    return batch


def gradient(name: str) -> Callable:
    """Value and gradient of a weighted sum of everything; the weights are inputs, too."""
    batch = forward(name, GRADIENT)

    def total(inputs: Inputs, keys: jax.Array, weights: tuple[jax.Array, ...]) -> jax.Array:
        found = batch(inputs, keys)
        pairs = zip(weights, found[1:], strict=True)
        return jnp.sum(found[0]) + sum(jnp.vdot(weight, part) for weight, part in pairs)

    return jax.value_and_grad(total)


def by_numpy(task: str, inputs: Inputs) -> tuple[np.ndarray, ...]:
    """The loops by hand."""
    if task == SMOOTHER:
        return by_hand(inputs)
    if task == SAMPLE:
        return (drawn_by_hand(inputs, np.random.default_rng(1)),)
    log_z, kept = filtered_by_hand(inputs)
    if task == NORMALISER:
        return (log_z,)
    return log_z, np.stack([each[0] for each in kept], 1), np.stack([each[1] for each in kept], 1)


def prepared(name: str, task: str, cell: Cell) -> tuple[Callable, tuple, tuple]:
    """A competitor's task, what it is called with, and what with for the check."""
    mine, theirs, (mean, cov) = given(*cell)
    inputs = mine if name.startswith("avfkit") else theirs
    keys = jr.split(jr.key(0), cell[2])
    if task != GRADIENT:
        return forward(name, task), (inputs, keys), (inputs, keys)
    weights, without = (mean, cov, mean), (mean, cov, jnp.zeros_like(mean))
    return gradient(name), (inputs, keys, weights), (inputs, keys, without)


def gap(task: str, found: dict[str, Any], cell: Cell) -> float:
    """The largest relative difference to avfkit; of samples, in standard errors to white noise.

    Raises:
        AssertionError: it is not one of rounding, or of chance.
    """
    mine, most = given(*cell)[0], 6.0 if task == SAMPLE else 1e-3
    if task == SAMPLE:
        gaps = [whiteness(mine, np.asarray(each[0])) for each in found.values()]
    else:
        own, *others = (comparable(*each, task, mine) for each in found.items())
        pairs = [pair for other in others for pair in zip(own, other, strict=True)]
        gaps = [np.abs(a - b).max() / np.abs(a).max() for a, b in pairs]
    assert max(gaps) < most, (task, cell, gaps)
    return float(f"{max(gaps):.1e}")


def comparable(name: str, found: Any, task: str, mine: Inputs) -> list[np.ndarray]:
    """What all competitors should find alike: moments and log-normaliser, or the gradient."""
    if task == GRADIENT:  # avfkit's in a precision, the others' in a covariance, so without them
        return [symmetric(np.asarray(leaf)) for leaf in jax.tree.leaves(found[1][:2])]
    log_z = normalised(found[0], mine[2]) if name.startswith("avfkit") else found[0]
    return [np.asarray(leaf) for leaf in (log_z, *found[1:])]


def whiteness(mine: Inputs, drawn: np.ndarray) -> float:
    """How far a sample's innovations are from a mean of 0 and a square of 1, in standard errors."""

    def conditionals(mean: jax.Array, precision: jax.Array) -> kalman.Conditionals:
        return kalman.conditionals(mine[0], kalman.full_potentials(mean, precision))

    path = jax.jit(jax.vmap(conditionals))(*mine[1:])
    dynamics, bias, cov = (np.asarray(part, np.float64) for part in path)
    before = np.concatenate([np.zeros_like(drawn[:, :1]), drawn[:, :-1]], axis=1)
    left = drawn - bias - (dynamics @ before[..., None])[..., 0]
    white = np.linalg.solve(np.linalg.cholesky(cov), left[..., None])
    off = [white.mean(), (np.mean(white**2) - 1.0) / np.sqrt(2.0)]
    return float(np.abs(off).max() * np.sqrt(white.size))


def measure(task: str, cell: Cell, names: list[str]) -> dict[str, Any]:
    """What a task takes: compile seconds, MiB, milliseconds and ratios; and how far they differ."""
    calls, found, seconds, memory = {}, {}, {}, {}
    for name in names:
        if name == NUMPY:
            calls[name] = partial(by_numpy, task, given(*cell)[1])
            found[name] = calls[name]()
            continue
        work, inputs, checked = prepared(name, task, cell)
        call, seconds[name], memory[name] = compiled(work, *inputs)
        found[name], calls[name] = call(*checked), partial(call, *inputs)
    difference = gap(task, found, cell)
    rounds = 9 if cell[0] ** 2 * cell[1] * cell[2] <= 500_000 else 3
    cpu = {name: each["cpu"] for name, each in interleaved(calls, rounds).items()}
    medians = {name: summary(each, 2)["median_ms"] for name, each in cpu.items()}
    print(cell, task, difference, seconds, medians, flush=True)
    return {
        "rounds": rounds,
        "difference": difference,
        "compile_s": seconds,
        "temporary_mib": memory,
        "cpu": {name: summary(each, 2) for name, each in cpu.items()},
        "ratio": {name: ratio(each, cpu[OURS]) for name, each in cpu.items() if name != OURS},
    }


def chosen(task: str, cell: Cell, invited: list[str]) -> list[str]:
    """Who takes part, avfkit first."""
    names = [OURS, SEQUENTIAL, *invited]
    if cell in SCANNED.get(task, ()):
        names.append(OUR_SCAN)
    by_hand = task != GRADIENT and cell[1] <= 10_000
    return [*names, NUMPY] if by_hand else names


def main() -> None:
    """Check, measure, write after each cell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    everything = ["x".join(map(str, cell)) for cell in GRID]
    parser.add_argument("--cells", nargs="+", default=everything, help="latent x steps x batch")
    parser.add_argument("--with", nargs="+", default=[], choices=OTHERS, help="who else")
    parser.add_argument("--add", action="store_true", help="keep other cells that are there")
    args = parser.parse_args()
    invited = vars(args)["with"]
    kept = RESULTS / "grid.json"
    before = json.loads(kept.read_text()) if args.add and kept.is_file() else {}
    rows = before.get("results", {})
    result: dict[str, Any] = {
        "claim": {"others_over_avfkit": 1.0},
        "provenance": provenance("dynamax", *(["cuthbert"] if CUTHBERT in invited else [])),
        "provenance_by_result": provenances(before, rows, "provenance_by_result"),
        "results": rows,
    }
    for name in args.cells:
        size, length, batch = cell = tuple(map(int, name.split("x")))
        key = f"D={size}, T={length}, batch={batch}"
        rows[key] = {task: measure(task, cell, chosen(task, cell, invited)) for task in TASKS}
        result["provenance_by_result"][key] = result["provenance"]
        write("grid", result, quiet=True)


if __name__ == "__main__":
    main()
