"""A training step of SRNN with AVF on music, against PyTorch eager in the authors' order of work.

Claim: 3 times faster than `eager_srnn.py`, K = 1 and K = 5, on the same CPU with the same number of
threads. It holds for two threads, not for one: see `benchmarks/README.md`. PyTorch is needed for
this benchmark only: `pip install -r benchmarks/requirements.txt`. Run from the repository's root:

    python benchmarks/music_step.py --threads 1 --compile
    python benchmarks/music_step.py --threads 2 --compile

One step is a batch of 16 sequences of 25 steps: inference, gradients, and Adam for model and update
network. Before the clock starts both sides get the same weights, observations and noise, and must
agree in free energy and in every gradient. PyTorch is given its noise; avfkit draws its own, which
it has to pay for. For comparison, the authors' own code, made to run on a current PyTorch: 584 ms
(K = 1) and 2,154 ms (K = 5) of processor time, one thread, another machine.

With `--threads 1` the process keeps to one core (on Linux). `--compile` adds `torch.compile`, in
its default mode, around what is called at each step: the prior, the free energy of a step, the
update network. The loop over time stays Python's, as in eager. What it took to compile for the
first K, with an empty cache, is in the file: seconds of the processor, PyTorch's and those of the
C++ compiler that it calls. (Another K has the same graphs.)

Writes `benchmarks/results/music_step_threads_N.json`; `--add` keeps what is there of another K,
with the provenance of its own run.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from typing import Any

OBS, LATENT, HIDDEN, WIDTH, UPDATE = 88, 100, 300, 500, 1024
BATCH, STEPS = 16, 25


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="turns of each competitor")
    parser.add_argument("--iterations", type=int, nargs="+", default=[1, 5], help="K")
    parser.add_argument("--threads", type=int, default=1, help="threads of both sides")
    parser.add_argument("--compile", action="store_true", help="torch.compile as well")
    parser.add_argument("--add", action="store_true", help="keep other K that are there")
    return parser.parse_args()


ARGUMENTS = arguments()
if ARGUMENTS.threads == 1:  # read when JAX starts
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    if sys.platform == "linux":
        os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp()
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # in this process, where it can be timed

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jax.random as jr  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
import torch  # noqa: E402
from eager_srnn import Model, Trainer, Update  # noqa: E402
from measure import (  # noqa: E402
    RESULTS,
    interleaved,
    provenance,
    provenances,
    ratio,
    summary,
    write,
)

import avfkit  # noqa: E402
from avfkit import train  # noqa: E402


class Batch(eqx.Module):
    """What `batch_loss` reads."""

    x: jax.Array
    observed: jax.Array


def make_tree(num_iterations: int) -> tuple[avfkit.SRNN, avfkit.IterativeFilter]:
    """Model and filter at the sizes of the AVF authors' JSB experiment."""
    model_key, update_key = jr.split(jr.key(0))
    model = avfkit.SRNN(
        OBS,
        LATENT,
        hidden_size=HIDDEN,
        width=WIDTH,
        depth=1,
        likelihood_depth=2,
        embed_depth=0,
        latent_context=False,
        key=model_key,
    )
    rule = avfkit.inference.learned_step
    update = avfkit.LearnedUpdate(
        model, width=UPDATE, depth=2, rule=rule, normalise_mean=True, key=update_key
    )
    return model, avfkit.IterativeFilter(update, num_iterations)


def make_trainer(tree: tuple) -> Trainer:
    """The same in PyTorch, with the same weights."""
    model, inference = Model(OBS, LATENT, HIDDEN, WIDTH), Update(LATENT, UPDATE)
    trainer = Trainer(model, inference, tree[1].num_iterations)
    with torch.no_grad():
        for parameter, value in pairs(trainer, tree):
            parameter.copy_(torch.from_numpy(np.array(value)))
        model.cell.bias_hh.zero_()  # PyTorch's cell has two biases
    return trainer


def pairs(trainer: Trainer, tree: tuple) -> list[tuple[torch.Tensor, jax.Array]]:
    """Each parameter of one side with that of the other."""
    model, update = tree[0], tree[1].update
    ours, theirs = [], []
    for name in ("prior_net", "likelihood_net"):
        net = getattr(model, name)
        ours += [*net.layers, net.head.linear]
        theirs += getattr(trainer.model, name).layers
    ours += [layer.branches for layer in update.trunk.layers] + [update.heads]
    theirs += [trainer.update.first, trainer.update.second, trainer.update.heads]
    both = []
    for their, our in zip(theirs, ours, strict=True):
        both += [(their.weight, our.weight), (their.bias, our.bias)]
    cell, start = model.memory.cell, model.memory.initial
    both += [(trainer.model.cell.weight_ih, cell.weight_ih)]
    both += [(trainer.model.cell.weight_hh, cell.weight_hh)]
    both += [(trainer.model.cell.bias_ih, cell.bias)]
    return both + [(trainer.model.h, start[0]), (trainer.model.c, start[1])]


def draws(num_iterations: int, key: jax.Array) -> jax.Array:
    """The noise avfkit draws for a batch, [time, K + 2, batch, latent]."""

    def of_step(key: jax.Array) -> jax.Array:
        infer_key, draw_key, _ = jr.split(key, 3)
        keys = [*jr.split(infer_key, num_iterations + 1)]
        shapes = [(1, LATENT)] * len(keys) + [(LATENT,)]
        normal = [jr.normal(k, shape) for k, shape in zip([*keys, draw_key], shapes, strict=True)]
        return jnp.stack([each.reshape(LATENT) for each in normal])

    def of_sequence(key: jax.Array) -> jax.Array:
        return jax.vmap(lambda t: of_step(jr.fold_in(key, t)))(jnp.arange(STEPS))

    return jnp.transpose(jax.vmap(of_sequence)(jr.split(key, BATCH)), (1, 2, 0, 3))


LOSS = train.batch_loss(avfkit.free_energy)


def loss(tree: Any, batch: Batch, key: jax.Array) -> jax.Array:
    """Free energy in nats per step."""
    return LOSS(tree, batch, key=key, step=jnp.array(0))[0]


def agree(tree: tuple, trainers: list[Trainer], batch: Batch, xs: torch.Tensor) -> dict[str, float]:
    """The largest differences between the two sides, relative to the largest entry.

    Raises:
        SystemExit: if they do not compute the same thing.
    """
    key = jr.key(2)
    value, grads = eqx.filter_jit(eqx.filter_value_and_grad(loss))(tree, batch, key)
    noise = torch.from_numpy(np.array(draws(tree[1].num_iterations, key)))
    found = {"free_energy": 0.0, "gradients": 0.0}
    for trainer in trainers:
        theirs = float(trainer.gradients(xs, noise))
        gap = abs(float(value) - theirs) / abs(float(value))
        found["free_energy"] = max(found["free_energy"], gap)
        for parameter, gradient in pairs(trainer, grads):
            ours = np.array(gradient)
            gap = float(np.abs(parameter.grad.numpy() - ours).max() / np.abs(ours).max())
            found["gradients"] = max(found["gradients"], gap)
    if found["free_energy"] > 1e-5 or found["gradients"] > 1e-3:
        raise SystemExit(f"the two sides disagree: {found}")
    return found


def step_of_avfkit(tree: tuple, batch: Batch) -> Callable[[], None]:
    """One optimizer step, state donated."""
    optimizer = optax.adam(1e-4)

    @eqx.filter_jit(donate="all-except-first")
    def advance(inputs: tuple, state: tuple) -> tuple:
        batch, key = inputs
        tree, opt_state = state
        grads = eqx.filter_grad(loss)(tree, batch, key)
        updates, opt_state = optimizer.update(grads, opt_state)
        return eqx.apply_updates(tree, updates), opt_state

    tree = jax.tree.map(lambda a: jnp.array(a) if eqx.is_array(a) else a, tree)
    state = [(tree, optimizer.init(eqx.filter(tree, eqx.is_inexact_array)))]
    key = jr.key(3)

    def work() -> None:
        state[0] = jax.block_until_ready(advance((batch, key), state[0]))

    return work


def compiled(trainer: Trainer, xs: torch.Tensor, noise: torch.Tensor) -> float:
    """Compile what a trainer calls at each step; processor seconds until the first step is done."""
    torch._dynamo.reset()  # or the second trainer would meet the limit on recompilations
    for owner, name in ((trainer.model, "prior"), (trainer.model, "nats"), (trainer, "energy")):
        setattr(owner, name, torch.compile(getattr(owner, name)))
    trainer.update = torch.compile(trainer.update)
    began = processor_seconds()
    trainer.gradients(xs, noise)
    return round(processor_seconds() - began, 1)


def processor_seconds() -> float:
    """Of this process and of those that it has waited for."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(each) for each in who]
    return sum(each.ru_utime + each.ru_stime for each in used)


def measure(num_iterations: int) -> dict[str, Any]:
    """Agreement and times for one K."""
    tree = make_tree(num_iterations)
    x = jr.bernoulli(jr.key(1), 0.045, (BATCH, STEPS, OBS)).astype(float)
    batch = Batch(x, jnp.ones((BATCH, STEPS), bool))
    xs = torch.from_numpy(np.array(x)).transpose(0, 1).contiguous()
    noise = torch.randn(STEPS, num_iterations + 2, BATCH, LATENT)
    trainers, result = {"eager": make_trainer(tree)}, {}
    if ARGUMENTS.compile:
        trainers["torch.compile"] = make_trainer(tree)
        result["compile_s"] = compiled(trainers["torch.compile"], xs, noise)
        print(f"K = {num_iterations}: torch.compile took {result['compile_s']} s", flush=True)
    result["difference"] = agree(tree, [*trainers.values()], batch, xs)
    competitors = {"avfkit": step_of_avfkit(tree, batch)}
    for name, trainer in trainers.items():
        competitors[name] = lambda trainer=trainer: trainer.step(xs, noise)
    times = interleaved(competitors, ARGUMENTS.rounds)
    for clock in ("wall", "cpu"):
        own = times["avfkit"][clock]
        result[clock] = {name: summary(time[clock]) for name, time in times.items()}
        result[clock] |= {
            f"{name}_over_avfkit": ratio(time[clock], own)
            for name, time in times.items()
            if name != "avfkit"
        }
    return result


def main() -> None:
    """Measure and write the result, after each K."""
    torch.manual_seed(0)
    torch.set_num_threads(ARGUMENTS.threads)
    name = f"music_step_threads_{ARGUMENTS.threads}"
    kept = RESULTS / f"{name}.json"
    before = json.loads(kept.read_text()) if ARGUMENTS.add and kept.is_file() else {}
    rows = {key: each for key, each in before.items() if key.startswith("K=")}
    result: dict[str, Any] = {"claim": {"eager_over_avfkit": 3}, "batch": BATCH, "steps": STEPS}
    result |= {"threads": ARGUMENTS.threads, "rounds": ARGUMENTS.rounds}
    result |= {"provenance": provenance("optax", "torch")}
    result |= {"provenance_by_iterations": provenances(before, rows, "provenance_by_iterations")}
    if "torch.compile_s" in before:
        result["torch.compile_s"] = before["torch.compile_s"]
    for count in ARGUMENTS.iterations:
        found = rows[f"K={count}"] = measure(count)
        result["provenance_by_iterations"][f"K={count}"] = result["provenance"]
        if ARGUMENTS.compile:
            seconds = found.pop("compile_s")
            result.setdefault("torch.compile_s", seconds)
        write(name, result | {key: rows[key] for key in sorted(rows)})


if __name__ == "__main__":
    main()
