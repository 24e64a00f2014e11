"""What the walk's automatic choices rest on, on a CPU: chunks, blocks of a batch, small matrices.

Claim: no other choice would be faster by a third. That is, in value and gradient a walk in chunks
of the time axis could not be; and each product, factor, solution and layout of small matrices
takes, as `avfkit/_lanes.py` and `avfkit/_linalg.py` choose its way, at most 4/3 of the better one
of its ways (so their constants can be derived anew from this file). Sequential against parallel is
in `grid.py`. Run from the repository's root, with the extra `book`:

    python benchmarks/choices.py

Chunks in time are more lanes for the same loop: of C chunks, each needs a pass that finds what the
chunk does to any message, and a second one when the message is known. So from B sequences they
gain at most u(B) / (u(C B) w), where u is the time per step and lane, measured here against the
number of lanes, and w the work of both passes in steps of the walk. In the filter, by XLA's count
of arithmetic, a step of the first pass is that of `extended` below; in a gradient most loops are
X <- L X R' + S, which needs a third product for what the chunk does to X: 3 + 2 products for 2.
What comes between the passes is taken to cost nothing, and all that is timed to be loops. u is the
least of all turns.

Blocks of a batch are the whole task for 32 sequences at a time, by `jax.lax.map`.

float32; ways take turns; processor time of all threads.

Writes `benchmarks/results/choices.json`; `--add` keeps other parts that are there, each with the
provenance of its own run.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from unittest.mock import patch

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")  # read when JAX starts

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from grid import FILTER, GRADIENT, prepared  # noqa: E402
from measure import RESULTS, compiled, interleaved, provenance, provenances, ratio, spread, write  # noqa: E402
from smoothers import OURS  # noqa: E402

from avfkit import _lanes, _linalg, kalman  # noqa: E402
from avfkit.kalman._recursion import accumulated  # noqa: E402

NEVER, ALWAYS, BLOCK = 0, 10**12, 32
WALKED = {  # task and size: steps, and numbers of lanes
    (FILTER, 2): (1_000, (1, 2, 4, 8, 16, 32, 64)),
    (FILTER, 3): (1_000, (1, 2, 4, 8, 16, 32, 64)),
    (GRADIENT, 3): (1_000, (1, 2, 4, 8, 16, 32, 64)),
    (GRADIENT, 10): (200, (1, 4, 16)),
}


def lanes(task: str, size: int, length: int, counts: Iterable[int], rounds: int) -> dict[str, Any]:
    """Microseconds per step and lane, of each number of lanes, and what chunks gain at most."""
    calls = {}
    for count in counts:
        work, inputs, _ = prepared(OURS, task, (size, length, count))
        calls[str(count)] = partial(compiled(work, *inputs)[0], *inputs)
    times = interleaved(calls, rounds)
    each = {
        count: spread([1e3 * ms / length / int(count) for ms in found["cpu"]])
        for count, found in times.items()
    }
    work = 2.5 if task == GRADIENT else 1.0 + extension(size)
    best = min(found["min"] for found in each.values())
    return {
        "steps": length,
        "us_per_step_and_lane": each,
        "work_of_chunks": round(work, 2),
        "gain_of_chunks_at_most": {
            count: round(found["min"] / best / work, 2) for count, found in each.items()
        },
    }


def moved(belief: tuple, step: tuple, hint: tuple) -> tuple:
    """A step of the filter."""
    (mean, cov), (dynamics, bias, noise) = belief, step
    return kalman.update(dynamics @ mean + bias, dynamics @ cov @ dynamics.T + noise, *hint)[:2]


def extended(element: kalman.Element, step: tuple, hint: tuple) -> kalman.Element:
    """What an interval does, one step longer: the least that a first pass over a chunk computes."""
    (dynamics, bias, noise), (precision, linear) = step, hint
    mean, cov = dynamics @ element.bias + bias, dynamics @ element.cov @ dynamics.T + noise
    after, updated, _ = kalman.update(mean, cov, precision, linear)
    before = dynamics @ element.dynamics
    shrunk = before - updated @ (precision @ before)
    heard = element.precision + before.T @ precision @ shrunk
    return kalman.Element(
        shrunk, after, updated, heard, element.linear + shrunk.T @ (linear - precision @ mean)
    )


def extension(size: int) -> float:
    """The arithmetic of `extended` in steps of the filter, when both give what they should."""
    rng = np.random.default_rng(0)
    eye, draw = np.eye(size), partial(rng.normal, size=size)
    step = rng.normal(size=(size, size)), draw(), eye
    hint, first = (2.0 * eye, draw()), (0.5 * eye, draw())
    steps, hints = (kalman.Conditionals(*step), kalman.Potentials(*first, jnp.zeros(())))
    one = kalman.element(steps, hints)
    two = kalman.combine(one, kalman.element(steps, kalman.Potentials(*hint, jnp.zeros(()))))
    long = extended(one, step, hint)
    for a, b in zip(long, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
    parts = (one, step, hint), ((one.bias, one.cov), step, hint)
    counts = [
        jax.jit(way).lower(*arguments).cost_analysis()["flops"]
        for way, arguments in zip((extended, moved), parts, strict=True)
    ]
    return counts[0] / counts[1]


def blocks(batch: int, rounds: int) -> dict[str, Any]:
    """Value and gradient of a batch at once, over that of 32 sequences at a time."""
    work, (inputs, keys, weights), _ = prepared(OURS, GRADIENT, (3, 1_000, batch))
    chain, *each = inputs

    def cut(tree: Any) -> Any:
        return jax.tree.map(lambda a: a.reshape(batch // BLOCK, BLOCK, *a.shape[1:]), tree)

    def in_blocks(inputs: tuple, keys: jax.Array, weights: tuple) -> Any:
        chain, *each = inputs
        value, (of_chain, *rest) = jax.lax.map(
            lambda part: work((chain, *part[0]), *part[1:]), cut((each, keys, weights))
        )
        whole = [part.reshape(batch, *part.shape[2:]) for part in rest]
        return jnp.sum(value), (jax.tree.map(lambda a: jnp.sum(a, 0), of_chain), *whole)

    arguments = (chain, *each), keys, weights
    ways = {"at once": compiled(work, *arguments), "in blocks": compiled(in_blocks, *arguments)}
    found = [jax.tree.leaves(call(*arguments)) for call, *_ in ways.values()]
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-2 * float(jnp.abs(a).max()))
    times = interleaved({n: partial(way[0], *arguments) for n, way in ways.items()}, rounds)
    return {
        "temporary_mib": {name: way[2] for name, way in ways.items()},
        "at_once_over_in_blocks": ratio(times["at once"]["cpu"], times["in blocks"]["cpu"]),
    }


def timed(
    work: Callable,
    inputs: tuple,
    ways: dict[str, dict],
    taken: str,
    rounds: int,
    module: Any = _lanes,
) -> dict[str, Any]:
    """Compile and run a function with other constants of a module, in turns."""
    calls, seconds, values = {}, {}, []
    for name, constants in ways.items():
        jax.clear_caches()
        with patch.multiple(module, **constants):
            began = time.process_time()
            call = jax.jit(work).lower(*inputs).compile()
            seconds[name] = round(time.process_time() - began, 2)
        calls[name] = lambda call=call: jax.block_until_ready(call(*inputs))
        values.append(np.asarray(jax.tree.leaves(calls[name]())[-1]))
    np.testing.assert_allclose(*values, rtol=1e-2, atol=1e-3 * np.abs(values[0]).max())
    cpu = {name: each["cpu"] for name, each in interleaved(calls, rounds).items()}
    best = min(calls, key=lambda name: np.median(cpu[name]))
    return {
        "ms": {name: spread(each) for name, each in cpu.items()},
        "compile_s": seconds,
        "chosen": taken,
        "chosen_over_best": ratio(cpu[taken], cpu[best]),
    }


def products(size: int, count: int, rounds: int) -> dict[str, Any]:
    """The recursion X <- L X L' + S, its products as one fused loop each or as contractions."""
    rng, length = np.random.default_rng(0), 200
    weights = 0.5 * rng.normal(size=(count, length, size, size)) / np.sqrt(size)
    terms = rng.normal(size=(count, length, size, size))
    inputs = jnp.asarray(weights, jnp.float32), jnp.asarray(terms, jnp.float32)
    work = jax.vmap(lambda weight, term: accumulated((weight, weight), term))
    ways = {"fused": {"_FUSED": ALWAYS}, "contraction": {"_FUSED": NEVER}}
    chosen = "fused" if size**3 * count < _lanes._FUSED else "contraction"
    return timed(work, inputs, ways, chosen, rounds)


def factored(size: int, count: int, rounds: int) -> dict[str, Any]:
    """Factor and inverse of matrices in a loop, entry by entry or by halves."""
    rng, length = np.random.default_rng(0), 200
    root = rng.normal(size=(length, size, size, count)) / np.sqrt(size)
    noise = np.einsum("tikl,tjkl->tijl", root, root) + np.eye(size)[..., None]

    def work(matrices: jax.Array) -> jax.Array:
        def step(before: jax.Array, matrix: jax.Array) -> tuple[jax.Array, None]:
            factor, inverse = _lanes.factors(matrix + before, least=1.0)
            return 0.1 * _lanes.product(inverse, _lanes.transpose(inverse)) + 0.0 * factor, None

        return jax.lax.scan(step, jnp.zeros_like(matrices[0]), matrices)[0]

    inputs = (jnp.asarray(noise, jnp.float32),)
    ways = {
        "entries": {"_ENTRIES": size},
        "halves": {"_ENTRIES": min(_lanes._ENTRIES, (size + 1) // 2)},
    }
    chosen = "entries" if size <= _lanes._ENTRIES else "halves"
    return timed(work, inputs, ways, chosen, rounds)


def solved(size: int, count: int, rounds: int) -> dict[str, Any]:
    """L^-1 B of a thousand lanes, the loop over rows written out or not."""
    rng = np.random.default_rng(0)
    scale = np.tril(rng.normal(size=(count, size, size)) / size) + 2.0 * np.eye(size)
    values = rng.normal(size=(count, size, size))
    inputs = tuple(jnp.asarray(np.moveaxis(a, 0, -1), jnp.float32) for a in (scale, values))
    ways = {
        "written out": {"_WRITTEN_OUT": ALWAYS},
        "loop": {"_WRITTEN_OUT": NEVER},
    }
    chosen = "written out" if size <= _lanes._WRITTEN_OUT else "loop"
    return timed(_lanes.solve_lower, inputs, ways, chosen, rounds)


def laid_out(size: int, count: int, rounds: int) -> dict[str, Any]:
    """Value and gradient, matrices laid out in memory before products over time, or not."""
    work, inputs, _ = prepared(OURS, GRADIENT, (size, 500, count))
    ways = {"as they lie": {"_SMALL": ALWAYS}, "laid out": {"_SMALL": NEVER}}
    chosen = "as they lie" if size <= _linalg._SMALL else "laid out"
    return timed(work, inputs, ways, chosen, rounds, _linalg)


KERNELS: dict[str, tuple[Callable, tuple, tuple]] = {
    "products": (products, (2, 3, 4, 5, 8, 10, 16), (1, 10, 32, 64, 256)),
    "factors": (factored, (2, 3, 4, 5, 6), (1, 10, 64)),
    "solutions": (solved, (3, 6, 10, 13, 16, 32), (1_000,)),
    "layouts": (laid_out, (3, 4, 5), (10,)),
}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parts = [*KERNELS, "lanes", "blocks"]
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts, help="what to measure")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each way")
    parser.add_argument("--add", action="store_true", help="keep other parts that are there")
    args = parser.parse_args()
    kept = RESULTS / "choices.json"
    before = json.loads(kept.read_text()) if args.add and kept.is_file() else {}
    rows = {part: before[part] for part in parts if part in before}
    result: dict[str, Any] = {
        "claim": {"other_over_chosen": 4 / 3},
        "provenance": provenance("dynamax"),
        "provenance_by_result": provenances(before, rows, "provenance_by_result"),
        "constants": {n: getattr(_lanes, n) for n in ("_FUSED", "_ENTRIES", "_WRITTEN_OUT")}
        | {"_SMALL": _linalg._SMALL},
        **rows,
    }
    for part in args.parts:
        found = result[part] = {}
        result["provenance_by_result"][part] = result["provenance"]
        if part in KERNELS:
            kernel, sizes, counts = KERNELS[part]
            for size in sizes:
                for count in counts:
                    each = found[f"D={size}, lanes={count}"] = kernel(size, count, args.rounds)
                    medians = {name: ms["median"] for name, ms in each["ms"].items()}
                    print(part, size, count, medians, each["compile_s"], each["chosen"], flush=True)
        elif part == "lanes":
            for (task, size), (length, counts) in WALKED.items():
                key = f"{task}, D={size}"
                found[key] = lanes(task, size, length, counts, args.rounds)
                print(key, found[key], flush=True)
        else:
            for batch in (64, 256):
                found[f"batch={batch}"] = blocks(batch, args.rounds)
                print(found, flush=True)
        write("choices", result, quiet=True)


if __name__ == "__main__":
    main()
