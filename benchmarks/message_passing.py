"""The Gaussian part of a structured VAE on a CPU, against dynamax, cuthbert and NumPy.

Claim wanted: value and gradient of log-normaliser, marginal moments and one joint sample, for a
batch of 10 in float32, take a tenth (D = 3) and a quarter (D = 10) of the time of the faster of
dynamax's modes, and compile in a third of the time of its parallel one. Run from the repository's
root, with the extra `book`, which has dynamax (and cuthbert from `benchmarks/requirements.txt`, if
it is to take part):

    python benchmarks/message_passing.py
    NPROC=8 python benchmarks/message_passing.py --lengths 1000 --parallel 1000 --add

Potentials are full, other at each step; the chain is shared. All get the same potentials, in the
form each of them reads (`smoothers.py`), and draw their own noise. Before the clock starts they
must agree in log-normaliser, moments and the gradient of both. Forward only, there is also the
honest loop that one writes in NumPy for a whole batch.

Compiling is timed apart, in processor time of all threads; so is running. dynamax's parallel mode
compiles in a process of its own, which ends when it has used `--limit` seconds of the processor.
On two cores it can stand still for ever, where two LAPACK calls on batches wait for each other's
threads (seen with JAX 0.10.2: D = 10 at 200 steps, D = 3 at 1,000); more threads than cores, as
above, keep it moving.
Memory is what XLA allocates besides inputs and outputs (`temp_size_in_bytes`), in MiB.

Writes `benchmarks/results/message_passing.json`; `--add` keeps what is there of other sizes and
lengths, each with the provenance of its own run.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
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
    BATCH,
    CUTHBERT,
    NUMPY,
    OURS,
    PARALLEL,
    SEQUENTIAL,
    SMOOTHERS,
    Inputs,
    by_hand,
    normalised,
    problem,
    symmetric,
)

FORWARD, GRADIENT = "smoother", "svae, value and gradient"


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
        FORWARD: lambda inputs, keys: batch(inputs, keys)[:3],
        GRADIENT: jax.value_and_grad(total),
        "check": lambda inputs, keys: (
            batch(inputs, keys)[:3],
            jax.grad(without_sample)(inputs, keys)[:2],
        ),
    }


def prepared(name: str, task: str, size: int, length: int) -> tuple[Callable, tuple]:
    """A competitor's task, and what it is called with."""
    mine, theirs, weights = problem(size, length)
    inputs = mine if name == OURS else theirs
    return tasks(SMOOTHERS[name], weights)[task], (inputs, jr.split(jr.key(0), BATCH))


def compiled_elsewhere(name: str, task: str, size: int, length: int, limit: int) -> float | None:
    """Seconds that a process of its own takes; the compiled program stays in the cache.

    `None` if it needs more than the limit.
    """
    words = [name, task, str(size), str(length), str(limit)]
    command = [sys.executable, __file__, "--compile", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    return float(done.stdout) if done.returncode == 0 else None


def report_compiling(name: str, task: str, size: str, length: str, limit: str) -> None:
    """Compile, and print how long it took; the system ends this process at the limit."""
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit)))
    work, inputs = prepared(name, task, int(size), int(length))
    print(compiled(work, *inputs)[1])


def agree(size: int, names: list[str]) -> float:
    """The largest relative difference in log-normaliser, moments and gradients, at 30 steps.

    Raises:
        AssertionError: it is not one of rounding.
    """
    found = []
    mine, theirs, _ = problem(size, 30)
    for name in names:
        if name == NUMPY:
            values, slopes = by_hand(theirs), ()
        else:
            work, inputs = prepared(name, "check", size, 30)
            values, slopes = jax.jit(work)(*inputs)
        if name == OURS:  # the others count the normalisers of N(mean; z, cov)
            values = (normalised(values[0], mine[2]), *values[1:])
        found.append([np.asarray(leaf) for leaf in jax.tree.leaves((values, slopes))])
    gaps = [
        np.abs(symmetric(a) - symmetric(b)).max() / np.abs(symmetric(a)).max()
        for other in found[1:]
        for a, b in zip(found[0], other, strict=False)
    ]
    assert max(gaps) < 1e-3, gaps
    return float(f"{max(gaps):.1e}")


def measure(size: int, length: int, task: str, names: list[str], args: Any) -> dict[str, Any]:
    """Compile seconds, MiB, milliseconds and ratios of one task."""
    calls, seconds, memory = {}, {}, {}
    for name in names:
        if name == NUMPY:
            theirs = problem(size, length)[1]
            calls[name] = lambda theirs=theirs: by_hand(theirs)
            continue
        work, inputs = prepared(name, task, size, length)
        if name == PARALLEL:
            seconds[name] = compiled_elsewhere(name, task, size, length, args.limit)
            if seconds[name] is None:
                seconds[name] = f"did not compile in {args.limit} s"
                continue
            call, _, memory[name] = compiled(work, *inputs)  # from the cache
        else:
            call, seconds[name], memory[name] = compiled(work, *inputs)
        calls[name] = partial(call, *inputs)
    print(f"timing D={size}, T={length}, {task}", flush=True)
    rounds = args.rounds if length <= 1000 else max(3, args.rounds // 4)
    cpu = {name: each["cpu"] for name, each in interleaved(calls, rounds).items()}
    print({name: round(sorted(each)[len(each) // 2], 1) for name, each in cpu.items()}, flush=True)
    return {
        "rounds": rounds,
        "compile_s": seconds,
        "temporary_mib": memory,
        "cpu": {name: summary(each) for name, each in cpu.items()},
        "ratio": {name: ratio(each, cpu[OURS]) for name, each in cpu.items() if name != OURS},
    }


def chosen(task: str, length: int, args: Any) -> list[str]:
    """Who takes part: NumPy forward, the parallel mode and cuthbert up to a length."""
    names = [OURS, SEQUENTIAL]
    if task == FORWARD:
        names.append(NUMPY)
    elif length <= args.parallel:
        names.append(PARALLEL)
    return names + [CUTHBERT] * (CUTHBERT in SMOOTHERS and length <= args.cuthbert)


def main() -> None:
    """Check, measure, write after each size and length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[3, 10], help="entries of a latent")
    parser.add_argument("--lengths", type=int, nargs="+", default=[200, 1000], help="steps")
    parser.add_argument("--parallel", type=int, default=200, help="most steps in parallel mode")
    parser.add_argument("--cuthbert", type=int, default=1000, help="most steps of cuthbert")
    parser.add_argument("--limit", type=int, default=300, help="seconds for the parallel mode")
    parser.add_argument("--rounds", type=int, default=12, help="turns of each competitor")
    parser.add_argument("--add", action="store_true", help="keep other results that are there")
    parser.add_argument("--compile", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.compile:
        return report_compiling(*args.compile)
    cache = tempfile.mkdtemp()  # of this run alone: only `PARALLEL` finds there what it needs
    os.environ["JAX_COMPILATION_CACHE_DIR"] = cache
    jax.config.update("jax_compilation_cache_dir", cache)
    kept = RESULTS / "message_passing.json"
    before = json.loads(kept.read_text()) if args.add and kept.is_file() else {}
    rows = before.get("results", {})
    result: dict[str, Any] = {
        "claim": {"ratio": {"3": 10.0, "10": 4.0}, "compile_ratio": 3.0},
        "provenance": provenance("dynamax", *(["cuthbert"] if CUTHBERT in SMOOTHERS else [])),
        "batch": BATCH,
        "relative_difference": before.get("relative_difference", {}),
        "provenance_by_result": provenances(before, rows, "provenance_by_result"),
        "results": rows,
    }
    for size in args.sizes:
        everyone = [name for name in (*SMOOTHERS, NUMPY) if name != PARALLEL]
        result["relative_difference"][str(size)] = agree(size, everyone)
        for length in args.lengths:
            key = f"D={size}, T={length}"
            found = result["results"][key] = {}
            result["provenance_by_result"][key] = result["provenance"]
            for task in (FORWARD, GRADIENT):
                names = chosen(task, length, args)
                found[task] = measure(size, length, task, names, args)
                write("message_passing", result)
    return None


if __name__ == "__main__":
    main()
