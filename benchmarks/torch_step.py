"""A training step of AVF against PyTorch, eager and compiled, in the authors' order of work.

Claim: at SRNN-JSB size 3 times faster than PyTorch eager, K = 1 and K = 5, on the same CPU with the
same number of threads; `benchmarks/README.md` says where it holds. Nothing is claimed of VRNN-TIMIT
and SVG-KTH. PyTorch is needed for this benchmark only:
`pip install -r benchmarks/requirements.txt`. Run from the repository's root:

    python benchmarks/torch_step.py srnn-jsb --compile
    python benchmarks/torch_step.py srnn-jsb --compile --threads 2
    python benchmarks/torch_step.py vrnn-timit --compile --steps 10 --rounds 4
    python benchmarks/torch_step.py svg-kth --compile --rounds 5

One step is a batch of sequences: inference, gradients, and Adam for model and update network. The
sizes are the paper's. Before the clock starts both sides get the same weights, observations and
noise, and must agree in free energy and in every gradient, in double precision; what is compiled
must agree with eager as far as rounding lets it in single precision. PyTorch is given its noise;
avfkit draws its own, which it has to pay for. For comparison, the authors' own code of SRNN-JSB,
made to run on a current PyTorch: 584 ms (K = 1) and 2,154 ms (K = 5) of processor time, one thread,
another machine.

With `--threads 1` the process keeps to one core (on Linux). `--compile` adds `torch.compile`, in
its default mode, around what is called at each step: prior, free energy, update network, memory.
The loop over time stays Python's, as in eager. What it took to compile for the first K, with an
empty cache, is in the file: seconds of the processor, PyTorch's and those of the C++ compiler that
it calls. (Another K has the same graphs. A later run with `--add` may be given a filled cache in
TORCHINDUCTOR_CACHE_DIR; the seconds in the file stay.)

Writes `benchmarks/results/torch_step_NAME_threads_N.json`; `--add` keeps what is there of another
K, with the provenance of its own run.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
from typing import Any

NAMES = ("srnn-jsb", "vrnn-timit", "svg-kth")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=NAMES, help="the preset")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each competitor")
    parser.add_argument("--iterations", type=int, nargs="+", help="K; by default the case's")
    parser.add_argument("--batch", type=int, help="sequences")
    parser.add_argument("--steps", type=int, help="of each sequence")
    parser.add_argument("--threads", type=int, default=1, help="threads of both sides")
    parser.add_argument("--compile", action="store_true", help="torch.compile as well")
    parser.add_argument("--add", action="store_true", help="keep other K that are there")
    return parser.parse_args()


ARGUMENTS = arguments()
if ARGUMENTS.threads == 1:  # read when JAX starts
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    if sys.platform == "linux":
        os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", tempfile.mkdtemp())
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # in this process, where it can be timed

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jax.random as jr  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from avf_step import CASES, Batch, loss, make_batch, make_tree, training_step  # noqa: E402
from measure import (  # noqa: E402
    RESULTS,
    interleaved,
    provenance,
    provenances,
    ratio,
    summary,
    write,
)
from torch_avf import Trainer, Update  # noqa: E402
from torch_srnn import SRNN  # noqa: E402
from torch_svg import SVG  # noqa: E402
from torch_vrnn import VRNN  # noqa: E402

CLAIMS = {"srnn-jsb": {"eager_over_avfkit": 3}}
MODELS = {
    "srnn-jsb": lambda: (SRNN(), Update(100, 1024, 2, learned_step=True)),
    "vrnn-timit": lambda: (VRNN(), Update(200, 1024, 2, learned_step=True)),
    "svg-kth": lambda: (SVG(), Update(512, 1024, 1, learned_step=False)),
}


def make_trainer(tree: tuple, dtype: torch.dtype = torch.float32) -> Trainer:
    """The same in PyTorch, with the same weights."""
    nets = (net.to(dtype) for net in MODELS[ARGUMENTS.name]())
    trainer = Trainer(*nets, tree[1].num_iterations)
    with torch.no_grad():
        for parameter, value in trainer.counterparts(tree):
            parameter.copy_(torch.from_numpy(np.array(value)))
    return trainer


def draws(shape: tuple[int, int, int], num_iterations: int, key: jax.Array) -> jax.Array:
    """The noise avfkit draws for [batch, time] latents, as [time, K + 2, batch, latent]."""
    batch, steps, latent = shape

    def of_step(key: jax.Array) -> jax.Array:
        infer_key, draw_key, _ = jr.split(key, 3)
        keys = [*jr.split(infer_key, num_iterations + 1)]
        shapes = [(1, latent)] * len(keys) + [(latent,)]
        normal = [jr.normal(k, shape) for k, shape in zip([*keys, draw_key], shapes, strict=True)]
        return jnp.stack([each.reshape(latent) for each in normal])

    def of_sequence(key: jax.Array) -> jax.Array:
        return jax.vmap(lambda t: of_step(jr.fold_in(key, t)))(jnp.arange(steps))

    return jnp.transpose(jax.vmap(of_sequence)(jr.split(key, batch)), (1, 2, 0, 3))


def agree(tree: tuple, batch: Batch) -> dict[str, float]:
    """The largest differences between the two sides, relative to the largest entry.

    In double precision, because in single precision rounding can turn the sign of what a ReLU
    reads; of two sequences and three steps.

    Raises:
        SystemExit: if they do not compute the same thing.
    """
    x, key = batch.x[:2, :3], jr.key(2)
    with jax.enable_x64(True):
        double = lambda a: a.astype(float) if eqx.is_inexact_array(a) else a  # noqa: E731
        tree, x = jax.tree.map(double, (tree, x))
        shape = (*x.shape[:2], tree[0].latent_size)
        noise = torch.from_numpy(np.array(draws(shape, tree[1].num_iterations, key)))
        few = Batch(x, batch.observed[:2, :3])
        value, grads = eqx.filter_jit(eqx.filter_value_and_grad(loss))(tree, few, key)
        ours = [np.array(leaf) for leaf in (value, *jax.tree.leaves(grads))]
        assert all(leaf.dtype == np.float64 for leaf in ours)
    trainer = make_trainer(tree, torch.float64)
    theirs = float(trainer.gradients(torch.from_numpy(np.array(x)).transpose(0, 1), noise))
    found = {"free_energy": abs(float(value) - theirs) / abs(theirs), "gradients": 0.0}
    for parameter, gradient in trainer.counterparts(grads):
        ours = np.array(gradient)
        gap = float(np.abs(parameter.grad.numpy() - ours).max() / np.abs(ours).max())
        found["gradients"] = max(found["gradients"], gap)
    if not (found["free_energy"] <= 1e-9 and found["gradients"] <= 1e-9):
        raise SystemExit(f"the two sides disagree: {found}")
    return found


def same(trainers: list[Trainer], xs: torch.Tensor, noise: torch.Tensor) -> float:
    """How far two trainers' gradients are apart, all together, relative to their length.

    Raises:
        SystemExit: farther than rounding explains.
    """
    values = [float(each.gradients(xs, noise)) for each in trainers]
    first, second = (
        torch.cat([p.grad.ravel() for p in each.theta + each.phi]) for each in trainers
    )
    gap = float((second - first).norm() / first.norm())
    if not (abs(values[1] / values[0] - 1) <= 1e-5 and gap <= 1e-2):
        raise SystemExit(f"eager and compiled disagree: {values}, gradients by {gap}")
    return gap


def compiled(trainer: Trainer, xs: torch.Tensor, noise: torch.Tensor) -> float:
    """Compile what a trainer calls at each step; processor seconds until the first step is done."""
    torch._dynamo.reset()  # or the second trainer would meet the limit on recompilations
    model = trainer.model
    for owner, name in (
        *((model, "prior"), (model, "next")),
        *((trainer, "energy"), (trainer, "score"), (trainer, "update")),
    ):
        setattr(owner, name, torch.compile(getattr(owner, name)))
    began = processor_seconds()
    trainer.gradients(xs, noise)
    return round(processor_seconds() - began, 1)


def processor_seconds() -> float:
    """Of this process and of those that it has waited for."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(each) for each in who]
    return sum(each.ru_utime + each.ru_stime for each in used)


def measure(num_iterations: int, batch: Batch) -> dict[str, Any]:
    """Agreement and times for one K."""
    tree = make_tree(ARGUMENTS.name, num_iterations)
    xs = torch.from_numpy(np.array(batch.x)).transpose(0, 1).contiguous()
    noise = torch.randn(xs.shape[0], num_iterations + 2, xs.shape[1], tree[0].latent_size)
    trainers, result = {"eager": make_trainer(tree)}, {"difference": agree(tree, batch)}
    print(f"K = {num_iterations}: {result['difference']}", flush=True)
    if ARGUMENTS.compile:
        trainers["torch.compile"] = make_trainer(tree)
        result["compile_s"] = compiled(trainers["torch.compile"], xs, noise)
        result["difference"]["compiled"] = same([*trainers.values()], xs, noise)
        print(f"torch.compile took {result['compile_s']} s; {result['difference']}", flush=True)
    competitors = {"avfkit": training_step(tree, batch)}
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
    case = CASES[ARGUMENTS.name]
    batch, steps = ARGUMENTS.batch or case.batch, ARGUMENTS.steps or case.steps
    name = f"torch_step_{ARGUMENTS.name}_threads_{ARGUMENTS.threads}"
    kept = RESULTS / f"{name}.json"
    before = json.loads(kept.read_text()) if ARGUMENTS.add and kept.is_file() else {}
    rows = {key: each for key, each in before.items() if key.startswith("K=")}
    result: dict[str, Any] = {"model": ARGUMENTS.name, "claim": CLAIMS.get(ARGUMENTS.name, {})}
    result |= {"batch": batch, "steps": steps}
    result |= {"threads": ARGUMENTS.threads, "rounds": ARGUMENTS.rounds}
    result |= {"provenance": provenance("optax", "torch")}
    result |= {"provenance_by_iterations": provenances(before, rows, "provenance_by_iterations")}
    if "torch.compile_s" in before:
        result["torch.compile_s"] = before["torch.compile_s"]
    for count in ARGUMENTS.iterations or case.iterations:
        found = rows[f"K={count}"] = measure(count, make_batch(ARGUMENTS.name, batch, steps))
        result["provenance_by_iterations"][f"K={count}"] = result["provenance"]
        if ARGUMENTS.compile:
            seconds = found.pop("compile_s")
            result.setdefault("torch.compile_s", seconds)
        write(name, result | {key: rows[key] for key in sorted(rows)})


if __name__ == "__main__":
    main()
