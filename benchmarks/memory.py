"""Memory of a training step against the length of the sequences, plain and rematerialised.

Claim: with `Rematerialised`, memory grows sublinearly up to T = 2,000. Run from the repository's
root:

    python benchmarks/memory.py

VRNN with AVF, K = 1, a batch of 4, float32, LSTM 200. The number is what XLA allocates for the
gradient of a batch besides its inputs and outputs (`temp_size_in_bytes`): exact, the same on every
run of the same versions, and known without running anything. For T = 2,000 the gradient
is also run, in a process of its own, and it is given how far that raises the peak of the process's
memory above what compiling had reached (0 if it stays below). Before anything is measured the two
must give the same gradients.

Writes `benchmarks/results/memory.json`.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from measure import provenance, write

import avfkit

OBS, LATENT, HIDDEN, WIDTH, UPDATE, BATCH = 88, 32, 200, 200, 256, 4
LENGTHS = (125, 250, 500, 1000, 2000)
MEBI = 2**20


def gradient(rematerialised: bool, length: int) -> tuple[Any, tuple]:
    """The compiled gradient of the free energy of a batch, and its arguments."""
    model_key, update_key, key = jr.split(jr.key(0), 3)
    model = avfkit.VRNN(OBS, LATENT, hidden_size=HIDDEN, width=WIDTH, depth=1, key=model_key)
    update = avfkit.LearnedUpdate(model, width=UPDATE, depth=2, key=update_key)
    inference: avfkit.AbstractInference = avfkit.IterativeFilter(update, 1)
    if rematerialised:
        inference = avfkit.Rematerialised(inference)

    def loss(tree: tuple, xs: jax.Array, keys: jax.Array) -> jax.Array:
        def one(x: jax.Array, key: jax.Array) -> jax.Array:
            return avfkit.free_energy(*tree, x, key=key)

        return jnp.sum(jax.vmap(one)(xs, keys))

    arguments = ((model, inference), jnp.zeros((BATCH, length, OBS)), jr.split(key, BATCH))
    return eqx.filter_jit(eqx.filter_grad(loss)).lower(*arguments).compile(), arguments


def temporary(rematerialised: bool, length: int) -> float:
    """What XLA allocates besides inputs and outputs, in MiB."""
    compiled, _ = gradient(rematerialised, length)
    return round(compiled.compiled.memory_analysis().temp_size_in_bytes / MEBI, 1)


def agree(length: int) -> float:
    """The largest relative difference of the two gradients.

    Raises:
        AssertionError: it is not one of rounding.
    """
    found = []
    for rematerialised in (False, True):
        compiled, arguments = gradient(rematerialised, length)
        xs = jr.bernoulli(jr.key(1), 0.05, arguments[1].shape).astype(arguments[1].dtype)
        found.append(jax.tree.leaves(compiled(arguments[0], xs, arguments[2])))
    gaps = [jnp.abs(a - b).max() / (jnp.abs(a).max() + 1e-9) for a, b in zip(*found, strict=True)]
    assert max(gaps) < 1e-3, gaps
    return float(f"{float(max(gaps)):.1e}")


def peak(rematerialised: bool, length: int) -> float:
    """Growth of the peak resident memory of a fresh process by one gradient, in MiB."""
    command = [sys.executable, __file__, "--peak", str(length), str(int(rematerialised))]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def report_peak(length: int, rematerialised: bool) -> None:
    """Run one gradient and print by how many MiB the peak of this process grew."""
    compiled, arguments = gradient(rematerialised, length)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    jax.block_until_ready(compiled(*arguments))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(round((after - before) / 1024, 1))  # Linux counts in KiB


def exponent(curve: dict[int, float], first: int, last: int) -> float:
    """The p of memory ~ T^p between two lengths."""
    return round(math.log(curve[last] / curve[first]) / math.log(last / first), 2)


def main() -> None:
    """Measure both curves and write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, help="steps")
    parser.add_argument("--peak", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        return report_peak(arguments.peak[0], bool(arguments.peak[1]))
    result: dict[str, Any] = {"claim": {"exponent_below": 1}, "batch": BATCH, "hidden": HIDDEN}
    first, last = min(arguments.lengths), max(arguments.lengths)
    result |= {"provenance": provenance(), "relative_difference": agree(first)}
    for name, rematerialised in (("plain", False), ("rematerialised", True)):
        curve = {length: temporary(rematerialised, length) for length in arguments.lengths}
        print(name, json.dumps(curve), flush=True)
        result[name] = {
            "temporary_mib": curve,
            f"exponent_{first}_to_{last}": exponent(curve, first, last),
            f"peak_growth_mib_{last}": peak(rematerialised, last),
        }
    return write("memory", result)


if __name__ == "__main__":
    main()
