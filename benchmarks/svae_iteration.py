"""How long a training iteration of the structured VAE and of its rivals takes, against T.

Figure 3 of Zhao and Linderman (2023): a batch of ten sequences of a linear dynamical system, D = 3,
N = 5, RNNs of size 10, a kernel of 10. On a Tesla T4 they find the SVAE with a parallel scan almost
ten times as fast as the fastest RNN. Claim wanted: ten times on a GPU, twice on a CPU, at the
longest of the lengths. The same is run here on whatever device JAX has, and the SVAE also with its
sequential walk. Run from the repository's root, on a CPU (minutes, most of them
compiling) and on a GPU (after `pip install "jax[cuda12]"`):

    python benchmarks/svae_iteration.py
    python benchmarks/svae_iteration.py --rounds 10 --lengths 100 200 500 1000 2000 5000 10000

An iteration is the free energy of the batch along one sampled path, its gradient, and Adam. The
competitors take turns. Compiling is timed apart, each time in a process of its own, which ends when
it has used `--limit` seconds of the processor: what needs more at some length is left out there.
Before anything is timed the SVAE's two walks must agree in free energy and gradient.

Writes `benchmarks/results/svae_iteration_cpu.json` (or `_gpu`, `_tpu`: JAX's default backend);
`--add` keeps what is there of other lengths, each with the provenance of its own run.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from measure import RESULTS, cores, interleaved, provenance, provenances, ratio, summary, write

import avfkit
from avfkit import kalman, nn, train

LATENT, OBS, HIDDEN, KERNEL, BATCH = 3, 5, 10, 10, 10
BASE = "svae-sequential"
CACHE = {  # new for each run: nothing is compiled before its time is taken
    "jax_compilation_cache_dir": tempfile.mkdtemp(),
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_persistent_cache_min_entry_size_bytes": 0,
}


class Batch(eqx.Module):
    """What `batch_loss` reads."""

    x: jax.Array
    observed: jax.Array


class WalkedPath(avfkit.AbstractPath):
    """A linear-Gaussian chain of conditionals that is walked by a method of our choice."""

    chain: kalman.Conditionals
    method: str = eqx.field(static=True)

    def sample(self, *, key: jax.Array) -> jax.Array:
        """One exact joint draw."""
        return kalman.sample(self.chain, key=key, method=self.method)

    def conditionals(self, zs: jax.Array) -> avfkit.AbstractGaussian:
        """As of `GaussMarkov`: without a loop."""
        return avfkit.GaussMarkov(self.chain).conditionals(zs)

    def until(self, inside: jax.Array, model: avfkit.AbstractModel) -> "WalkedPath":
        """Itself, as of a structured posterior: without potentials it is the model's."""
        del inside, model
        return self

    def divergence(self, model: avfkit.AbstractModel) -> jax.Array:
        """In closed form."""
        assert isinstance(model, avfkit.AbstractLatentLDS)
        return kalman.divergence(self.chain, model.chain, method=self.method)


class Walked(avfkit.AbstractSmoother):
    """The structured VAE's posterior, its messages passed by a method of our choice."""

    inner: avfkit.StructuredSmoother
    method: str = eqx.field(static=True)

    def path(
        self, model: avfkit.AbstractModel, xs: jax.Array, observed: jax.Array
    ) -> avfkit.AbstractPath:
        """The chain of conditionals of prior times potentials."""
        potentials = self.inner.potentials(model, xs, observed)
        assert isinstance(model, avfkit.AbstractLatentLDS)
        return WalkedPath(
            kalman.conditionals(model.chain, potentials, method=self.method), self.method
        )


def make_model(*, key: jax.Array) -> avfkit.LDS:
    """The generative model, the same for all: its emission is linear."""
    dynamics_key, emission_key = jr.split(key)
    matrix = jr.normal(emission_key, (OBS, LATENT)) / LATENT**0.5
    emission = nn.LinearGaussian(matrix, jnp.zeros(OBS), jnp.zeros(OBS))
    return avfkit.LDS.create(nn.FreeDynamics.rotation(LATENT, key=dynamics_key), emission=emission)


def svae(method: str, *, key: jax.Array) -> avfkit.AbstractInference:
    """The structured posterior, one way or the other."""
    net = nn.Conditional(OBS, LATENT, head=nn.FullGaussianHead, width=20, depth=0, key=key)
    return Walked(avfkit.StructuredSmoother(net), method)


def rival(trunk: Callable, head: Callable, *, key: jax.Array) -> avfkit.AbstractInference:
    """A network that reads the sequence, and a head that gives a path."""
    trunk_key, head_key = jr.split(key)
    reader = trunk(OBS, HIDDEN, key=trunk_key)
    return avfkit.AmortizedSmoother(reader, head(reader.out_size, LATENT, key=head_key))


def nonlinear(in_size: int, latent: int, *, key: jax.Array) -> avfkit.NonlinearHead:
    """A GRU along the path, of the same size as those of the trunk."""
    return avfkit.NonlinearHead(in_size, latent, hidden_size=HIDDEN, key=key)


def convolutions(in_size: int, hidden: int, *, key: jax.Array) -> nn.TemporalCNN:
    """Convolutions over time, of the kernel of Figure 3."""
    return nn.TemporalCNN(in_size, hidden, kernel=KERNEL, key=key)


METHODS: dict[str, Callable[..., avfkit.AbstractInference]] = {
    BASE: lambda key: svae("sequential", key=key),
    "svae-parallel": lambda key: svae("parallel", key=key),
    "rnn-mf": lambda key: rival(nn.BidirectionalRNN, avfkit.FactorisedHead, key=key),
    "rnn-ar-l": lambda key: rival(nn.BidirectionalRNN, avfkit.LinearHead, key=key),
    "rnn-ar-nl": lambda key: rival(nn.BidirectionalRNN, nonlinear, key=key),
    "cnn-ar-l": lambda key: rival(convolutions, avfkit.LinearHead, key=key),
}


LOSS = train.batch_loss(avfkit.free_energy)


def problem(name: str, length: int) -> tuple[tuple, Batch, jax.Array]:
    """(Model, inference), a batch, and the key of an iteration."""
    model_key, inference_key, data_key, key = jr.split(jr.key(0), 4)
    tree = (make_model(key=model_key), METHODS[name](key=inference_key))
    batch = Batch(jr.normal(data_key, (BATCH, length, OBS)), jnp.ones((BATCH, length), bool))
    return tree, batch, key


def agree(length: int) -> float:
    """The largest relative difference of the SVAE's loss and gradient, walked in the two ways.

    The other methods approximate the posterior in other ways, and have other losses.

    Raises:
        AssertionError: it is not one of rounding.
    """
    found = []
    for name in (BASE, "svae-parallel"):
        tree, batch, key = problem(name, length)
        step = eqx.filter_jit(eqx.filter_value_and_grad(LOSS, has_aux=True))
        (value, _), slopes = step(tree, batch, key=key, step=jnp.array(0))
        found.append(jax.tree.leaves((value, slopes)))
    gaps = [jnp.abs(a - b).max() / (jnp.abs(a).max() + 1e-9) for a, b in zip(*found, strict=True)]
    assert max(gaps) < 1e-2, gaps
    return float(f"{float(max(gaps)):.1e}")


def make_iteration(name: str, length: int) -> tuple[Callable[[], None], dict[str, float]]:
    """One training iteration, compiled, and how long that took in seconds."""
    tree, batch, key = problem(name, length)
    optimizer = optax.adam(1e-3)

    @eqx.filter_jit(donate="all-except-first")
    def advance(inputs: tuple, state: tuple) -> tuple:
        batch, key = inputs
        tree, opt_state = state
        grads = eqx.filter_grad(lambda tree: LOSS(tree, batch, key=key, step=jnp.array(0))[0])(tree)
        updates, opt_state = optimizer.update(grads, opt_state)
        return eqx.apply_updates(tree, updates), opt_state

    started = (tree, optimizer.init(eqx.filter(tree, eqx.is_inexact_array)))
    own = jax.tree.map(lambda a: jnp.array(a, copy=True) if eqx.is_array(a) else a, started)
    state = [own]  # donated, so no two of its arrays may be one
    began, cpu = time.perf_counter(), time.process_time()
    lowered = advance.lower((batch, key), state[0])
    traced = time.perf_counter()
    compiled = lowered.compile()
    ended, cpu = time.perf_counter(), time.process_time() - cpu
    seconds = {"trace": traced - began, "compile": ended - traced, "processor": cpu}

    def work() -> None:
        state[0] = jax.block_until_ready(compiled((batch, key), state[0]))

    return work, {part: round(value, 2) for part, value in seconds.items()}


def compiled_elsewhere(name: str, length: int, limit: int) -> dict[str, float] | None:
    """Seconds that a process of its own takes; the compiled program stays in the cache.

    `None` if it needs more than the limit.
    """
    command = [sys.executable, __file__, "--compile", name, str(length), str(limit)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def report_compiling(name: str, length: str, limit: str) -> None:
    """Compile, and print how long it took; the system ends this process at the limit."""
    resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit)))
    print(json.dumps(make_iteration(name, int(length))[1]))


def measure(names: list[str], length: int, rounds: int, limit: int) -> dict[str, Any]:
    """Compile the competitors for one length, and let them take turns."""
    works, result = {}, {}
    for name in names:
        seconds = compiled_elsewhere(name, length, limit)
        print(f"T = {length:6} {name:16} compiled {seconds or f'not in {limit} s'}", flush=True)
        if seconds is not None:
            works[name], result[name] = make_iteration(name, length)[0], {"compile_s": seconds}
    times = interleaved(works, rounds)
    for name, found in times.items():
        for clock, each in found.items():
            result[name][clock] = summary(each, digits=2)
            if BASE in times:
                result[name][f"{clock}_over_{BASE}"] = ratio(each, times[BASE][clock])
    return result


def exponent(lengths: dict[str, Any], name: str, clock: str) -> float:
    """The p of time ~ T^p between the shortest and the longest sequences."""
    first, last = min(lengths, key=int), max(lengths, key=int)
    grown = lengths[last][name][clock]["median_ms"] / lengths[first][name][clock]["median_ms"]
    return round(math.log(grown) / math.log(int(last) / int(first)), 2)


def main() -> None:
    """Measure all lengths and write after each, so that what is interrupted is not lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[100, 200, 500, 1000, 2000])
    parser.add_argument("--rounds", type=int, default=10, help="turns of each competitor")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--limit", type=int, default=300, help="seconds to compile one of them")
    parser.add_argument("--add", action="store_true", help="keep other lengths that are there")
    parser.add_argument("--compile", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.compile:
        return report_compiling(*arguments.compile)
    # The processes that compile share a GPU with this one, which must not take all its memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    for setting, value in CACHE.items():  # for the processes that compile, and for this one
        os.environ[setting.upper()] = str(value)
        jax.config.update(setting, value)
    kept = RESULTS / f"svae_iteration_{jax.default_backend()}.json"
    before = json.loads(kept.read_text()) if arguments.add and kept.is_file() else {}
    result: dict[str, Any] = {
        "claim": {"fastest_rnn_over_svae": 2.0 if jax.default_backend() == "cpu" else 10.0},
        "paper": {"device": "Tesla T4", "fastest_rnn_over_svae": "almost 10"},
        "sizes": {"batch": BATCH, "latent": LATENT, "obs": OBS, "rnn": HIDDEN, "kernel": KERNEL},
        "rounds": arguments.rounds,
        "limit_s": arguments.limit,
        "cores_allowed": cores(),
        "provenance": provenance("optax"),
        "relative_difference": agree(min(arguments.lengths)),
    }
    lengths = before.get("lengths", {})
    runs = provenances(before, lengths, "provenance_by_length")
    result["provenance_by_length"] = runs
    for length in sorted(arguments.lengths):
        lengths[str(length)] = measure(arguments.methods, length, arguments.rounds, arguments.limit)
        runs[str(length)] = result["provenance"]
        result["lengths"] = lengths = {n: lengths[n] for n in sorted(lengths, key=int)}
        result["exponents"] = {
            name: {clock: exponent(lengths, name, clock) for clock in ("wall", "cpu")}
            for name in arguments.methods
            if len(lengths) > 1 and all(name in found for found in lengths.values())
        }
        write(f"svae_iteration_{jax.default_backend()}", result)
    return None


if __name__ == "__main__":
    main()
