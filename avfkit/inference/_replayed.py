"""The M-step along a path that has been found: its gradient for all steps at once.

Once the path is drawn, the model's part of the free energy is an ordinary function of the model. A
scan that is differentiated multiplies one step at a time and adds to the gradient of every weight
at each of them. Here only the tangent of the state runs through a scan; prior, likelihood and what
each step adds to the state are taken for the whole path in a few large products.
"""

from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._distributions import AbstractGaussian
from .._model import AbstractModel
from .._types import State

Scores: TypeAlias = tuple[AbstractGaussian, Float[Array, " time"]]


class Path(eqx.Module):
    """A path that has been found.

    Attributes:
        states: the model's state before each step.
        xs: what the model's memory has read: the observations, with what was missing drawn.
        observed: which entries were observed.
        zs: the latents.
    """

    states: State
    xs: Float[Array, "time obs"]
    observed: Bool[Array, "time obs"]
    zs: Float[Array, "time latent"]


@eqx.filter_custom_jvp
def replayed(
    scores: Scores, path: Path, model: AbstractModel, xs: Float[Array, "time obs"]
) -> Scores:
    """Prior and reconstruction of each step, with their gradient in model and observations.

    If no gradient is asked for, nothing is computed.

    Args:
        scores: their values, known from the search for the path, without a gradient.
        path: the path, fixed.
        model: the model that is to learn.
        xs: the observations that are scored.
    """
    del path, model, xs
    return scores


@replayed.def_jvp
def _replayed(primals: tuple, tangents: tuple) -> tuple[Scores, Scores]:
    scores, path, *learners = primals

    def along(model: AbstractModel, xs: Float[Array, "time obs"]) -> Scores:
        states = _states(path, model)
        likelihoods = jax.vmap(model.likelihood)(states, path.zs)
        log_probs = jax.vmap(lambda p, *x: p.log_prob(*x))(likelihoods, xs, path.observed)
        return jax.vmap(model.prior)(states), -log_probs

    return scores, eqx.filter_jvp(along, tuple(learners), tuple(tangents[2:]))[1]


@eqx.filter_custom_jvp
def _states(path: Path, model: AbstractModel) -> State:
    del model
    return path.states


@_states.def_jvp
def _states_jvp(primals: tuple, tangents: tuple) -> tuple[State, State]:
    (path, model), (_, change) = primals, tangents
    along = (path.states, path.xs, path.zs)
    added = eqx.filter_jvp(lambda m: jax.vmap(m.next)(*along), (model,), (change,))
    start = eqx.filter_jvp(lambda m: m.init(), (model,), (change,))

    def step(tangent: State, inputs: tuple) -> tuple[State, State]:
        (state, x, z), here = inputs
        carried = jax.jvp(lambda state: model.next(state, x, z), (state,), (tangent,))[1]
        return jax.tree.map(jnp.add, carried, here), tangent

    return path.states, jax.lax.scan(step, _whole(*start), (along, _whole(*added)))[1]


def _whole(values: State, tangents: State) -> State:
    """Tangents with zeros where there are none."""
    none = lambda leaf: leaf is None  # noqa: E731
    filled = lambda t, v: jnp.zeros_like(v) if t is None else t  # noqa: E731
    return jax.tree.map(filled, tangents, values, is_leaf=none)
