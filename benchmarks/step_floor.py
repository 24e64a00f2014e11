"""How far a training step of AVF is from the products and convolutions it cannot do without.

Claim: a step costs at most 1.6 times its own products, timed alone in the same run, at the sizes of
VRNN-TIMIT, SRNN-JSB and SVG-KTH. Run from the repository's root:

    python benchmarks/step_floor.py vrnn-timit --threads 1 --steps 10
    python benchmarks/step_floor.py srnn-jsb --threads 1
    python benchmarks/step_floor.py svg-kth --threads 1

Both sides run in float32 on the same threads, in turn. The floor has the products of one step and
nothing else: no activation, no normalisation, no likelihood, no random number, no optimizer. Each
product appears as often as the algorithm needs it and no more (the state's part of the likelihood's
first layer once for all iterations, for instance), in a scan where it waits for the product before
it, and as one large product over all steps where it does not: every weight gradient, the networks
that read observations, the backward passes of prior, likelihood and update network. It is written
out in `floor_products.py` (VRNN, SRNN) and `floor_svg.py`.

With `--threads 1` the process keeps to one core (on Linux). Writes
`benchmarks/results/step_floor_NAME.json`; ratios are of processor time with one thread, and of time
by the clock with more.
"""

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=("vrnn-timit", "srnn-jsb", "svg-kth"), help="the preset")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each competitor")
    parser.add_argument("--iterations", type=int, nargs="+", help="K; by default the case's")
    parser.add_argument("--batch", type=int, help="sequences")
    parser.add_argument("--steps", type=int, help="of each sequence")
    parser.add_argument("--threads", type=int, help="1, or all there are")
    return parser.parse_args()


ARGUMENTS = arguments()
if ARGUMENTS.threads == 1:  # read when JAX starts
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    if sys.platform == "linux":
        os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jax.random as jr  # noqa: E402
from avf_step import CASES, make_batch, make_tree, training_step  # noqa: E402
from floor_products import srnn, srnn_floor, vrnn, vrnn_floor  # noqa: E402
from floor_svg import svg, svg_floor  # noqa: E402
from measure import cores, interleaved, provenance, ratio, summary, write  # noqa: E402

FLOORS = {
    "vrnn-timit": (vrnn, vrnn_floor),
    "srnn-jsb": (srnn, srnn_floor),
    "svg-kth": (svg, svg_floor),
}


def make_floor(num_iterations: int, xs: jax.Array) -> Callable[[], Any]:
    """The products of one step, compiled."""
    make, floor = FLOORS[ARGUMENTS.name]
    nets = make(key=jr.key(0))
    products = jax.jit(partial(floor, num_iterations=num_iterations))
    return lambda: jax.block_until_ready(products(nets, xs))


def main() -> None:
    """Measure and write the result."""
    case = CASES[ARGUMENTS.name]
    batch, steps = ARGUMENTS.batch or case.batch, ARGUMENTS.steps or case.steps
    data, threads = make_batch(ARGUMENTS.name, batch, steps), ARGUMENTS.threads or cores()
    result: dict[str, Any] = {"model": ARGUMENTS.name, "claim": {"step_over_floor": 1.6}}
    result |= {"batch": batch, "steps": steps, "threads": threads}
    result |= {"rounds": ARGUMENTS.rounds, "provenance": provenance("optax")}
    for count in ARGUMENTS.iterations or case.iterations:
        competitors = {
            "avf": training_step(make_tree(ARGUMENTS.name, count), data),
            "floor": make_floor(count, jnp.swapaxes(data.x, 0, 1)),
        }
        times = interleaved(competitors, ARGUMENTS.rounds)
        each = {name: time["cpu" if threads == 1 else "wall"] for name, time in times.items()}
        result[f"K={count}"] = {name: summary(time) for name, time in each.items()} | {
            "avf_over_floor": ratio(each["avf"], each["floor"])
        }
    write(f"step_floor_{ARGUMENTS.name}", result)


if __name__ == "__main__":
    main()
