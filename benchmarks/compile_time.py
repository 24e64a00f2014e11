"""How long the training step of each model of the AVF paper takes to compile.

Claim: under 60 seconds each on two cores, at the paper's sizes. Run from the repository's root:

    python benchmarks/compile_time.py
    python benchmarks/compile_time.py svg-kth

On a busy machine look at the processor seconds of tracing and compiling, of all threads together.
Nothing is run: the step of `fit` (loss, gradient, Adam, donated state) is traced and compiled for
the shapes of a batch, in turn with the model's own filter and with AVF. The compilation cache is
off. Seconds are medians over the turns, with the range of those of the processor.

Writes `benchmarks/results/compile_time.json`; what is there of other presets stays, each with
the provenance of its own run.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from measure import RESULTS, provenance, write

import avfkit
from avfkit import train

SPEECH = partial(avfkit.nn.DiscretisedGaussianHead, window=1.8190742e-3)
KEY = jr.key(0)


class Batch(eqx.Module):
    """What `batch_loss` reads."""

    x: jax.Array
    observed: jax.Array


def vrnn_timit() -> avfkit.AbstractModel:
    """Speech, half a second of 200-sample steps."""
    sizes = dict(hidden_size=2000, width=500, obs_width=600, depth=4)
    return avfkit.VRNN(200, 200, **sizes, head=SPEECH, key=KEY)


def srnn_timit() -> avfkit.AbstractModel:
    """Speech."""
    form = dict(embed_depth=0, latent_context=False)
    return avfkit.SRNN(200, 256, hidden_size=1024, width=512, depth=2, head=SPEECH, key=KEY, **form)


def srnn_music() -> avfkit.AbstractModel:
    """Piano rolls."""
    form = dict(embed_depth=0, latent_context=False)
    sizes = dict(hidden_size=300, width=500, depth=1, likelihood_depth=2)
    return avfkit.SRNN(88, 100, **sizes, **form, key=KEY)


def svg_kth() -> avfkit.AbstractModel:
    """Video, 64 x 64 pixels, with the VGG backbone."""
    return avfkit.SVG((64, 64), 512, backbone="vgg", key=KEY)


# model, K, depth of the update network, batch, steps
PRESETS: dict[str, tuple[Callable, int, int, int, int]] = {
    "vrnn-timit": (vrnn_timit, 2, 2, 64, 40),
    "srnn-timit": (srnn_timit, 1, 2, 64, 40),
    "srnn-jsb": (srnn_music, 5, 2, 16, 25),
    "srnn-nottingham": (srnn_music, 1, 2, 16, 25),
    "svg-kth": (svg_kth, 1, 1, 20, 20),
}


def seconds(name: str, own: bool) -> dict[str, float]:
    """Seconds to trace and to compile one preset, with AVF or with the model's own filter."""
    build, num_iterations, depth, batch, steps = PRESETS[name]
    tree = tree_of(build, num_iterations, depth, own)
    data = Batch(jnp.zeros((batch, steps, tree[0].obs_size)), jnp.ones((batch, steps), bool))
    optimizer, loss = optax.adam(1e-4), train.batch_loss(avfkit.free_energy)

    @eqx.filter_jit(donate="all-except-first")
    def advance(inputs: tuple, state: tuple) -> tuple:
        batch, key = inputs
        tree, opt_state = state
        grads = eqx.filter_grad(lambda tree: loss(tree, batch, key=key, step=jnp.array(0))[0])(tree)
        updates, opt_state = optimizer.update(grads, opt_state)
        return eqx.apply_updates(tree, updates), opt_state

    opt_state = optimizer.init(eqx.filter(tree, eqx.is_inexact_array))
    began, cpu = time.perf_counter(), time.process_time()
    lowered = advance.lower((data, KEY), (tree, opt_state))
    traced = time.perf_counter()
    lowered.compile()
    ended, cpu = time.perf_counter(), time.process_time() - cpu
    return {
        "trace": round(traced - began, 1),
        "compile": round(ended - traced, 1),
        "processor": round(cpu, 1),
    }


def tree_of(build: Callable, num_iterations: int, depth: int, own: bool) -> tuple:
    """A model and a filter for it."""
    model = build()
    if own and isinstance(model, avfkit.SVG):
        return model, avfkit.RecurrentFilter.create(model, hidden_size=256, key=KEY)
    if own:
        return model, avfkit.DirectFilter.create(model, width=500, depth=4, key=KEY)
    update = avfkit.LearnedUpdate(model, width=1024, depth=depth, key=KEY)
    return model, avfkit.IterativeFilter(update, num_iterations)


def turns(name: str, rounds: int) -> dict[str, dict[str, float]]:
    """Medians of both ways of one preset."""
    found: dict[str, list[dict[str, float]]] = {"avf": [], "own": []}
    for _ in range(rounds):
        for method, each in found.items():
            each.append(seconds(name, method == "own"))
            print(f"{name:16} {method} {each[-1]}", flush=True)
            jax.clear_caches()  # or what is traced once is not traced again
    result = {}
    for method, each in found.items():
        medians = {part: round(statistics.median(one[part] for one in each), 2) for part in each[0]}
        used = [one["processor"] for one in each]
        result[method] = medians | {"processor_min": min(used), "processor_max": max(used)}
    return result


def main() -> None:
    """Compile everything and write the seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("presets", nargs="*", default=list(PRESETS), help="which; all by default")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    arguments = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)
    kept = RESULTS / "compile_time.json"
    result: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() else {}
    result |= {"claim": {"seconds": 60}, "provenance": provenance("optax")}
    for name in arguments.presets:
        facts = {"provenance": result["provenance"], "rounds": arguments.rounds}
        result[name] = facts | turns(name, arguments.rounds)
        write("compile_time", result, quiet=True)


if __name__ == "__main__":
    main()
