"""The training step of AVF that `torch_step.py` and `step_floor.py` time, of a preset of the paper.

Model and update network are the preset's, at their full sizes. Observations are random, and batch
and length may be smaller than the preset's: what a step costs is linear in both, nearly.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax

import avfkit
from avfkit import train
from avfkit_experiments.presets import PRESETS


class Case(NamedTuple):
    """A model, and on what it is timed.

    Attributes:
        iterations: K, by default.
        batch: sequences.
        steps: of each.
        observations: draws them: `observations(key, shape)`.
    """

    iterations: list[int]
    batch: int
    steps: int
    observations: Callable[..., jax.Array]


CASES = {
    "vrnn-timit": Case([1, 2], 64, 40, jr.normal),
    "srnn-jsb": Case([1, 5], 16, 25, lambda key, shape: jr.bernoulli(key, 0.045, shape) * 1.0),
    "svg-kth": Case([1], 2, 5, jr.uniform),
}


class Batch(eqx.Module):
    """What `batch_loss` reads."""

    x: jax.Array
    observed: jax.Array


def make_batch(name: str, batch: int, steps: int) -> Batch:
    """Random observations."""
    size = eqx.filter_eval_shape(lambda: PRESETS[name].model(key=jr.key(0))).obs_size
    x = CASES[name].observations(jr.key(1), (batch, steps, size))
    return Batch(x, jnp.ones((batch, steps), bool))


def make_tree(name: str, num_iterations: int) -> tuple[Any, avfkit.IterativeFilter]:
    """Model and filter of a preset."""
    model_key, update_key = jr.split(jr.key(0))
    model = PRESETS[name].model(key=model_key)
    update = avfkit.LearnedUpdate(model, **PRESETS[name].update, key=update_key)
    return model, avfkit.IterativeFilter(update, num_iterations)


LOSS = train.batch_loss(avfkit.free_energy)


def loss(tree: Any, batch: Batch, key: jax.Array) -> jax.Array:
    """Free energy in nats per step."""
    return LOSS(tree, batch, key=key, step=jnp.array(0))[0]


def training_step(tree: tuple, batch: Batch) -> Callable[[], None]:
    """One optimizer step, state donated, on the same batch again and again: as `fit` does it."""
    optimizer = optax.adam(1e-4)

    @eqx.filter_jit(donate="all-except-first")
    def advance(inputs: tuple, state: tuple) -> tuple[tuple, jax.Array]:
        tree, opt_state = state
        value, grads = eqx.filter_value_and_grad(loss)(tree, *inputs)
        updates, opt_state = optimizer.update(grads, opt_state)
        return (eqx.apply_updates(tree, updates), opt_state), value

    tree = jax.tree.map(lambda a: jnp.array(a) if eqx.is_array(a) else a, tree)
    state = [(tree, optimizer.init(eqx.filter(tree, eqx.is_inexact_array)))]
    key = jr.key(3)

    def work() -> None:
        state[0] = jax.block_until_ready(advance((batch, key), state[0]))[0]

    return work
