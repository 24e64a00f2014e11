"""The M-step along a path that has been found: its gradient for all steps at once.

Once the path is drawn, the model's part of the free energy is an ordinary function of the model. A
scan that is differentiated multiplies one step at a time and adds to the gradient of every weight
at each of them. Here only the tangent of the state runs through a scan; prior, likelihood, what
each step adds to the state and its derivative in the state are taken for the whole path in a few
large products.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, Var
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

    derivative, needed = _derivative(along, model)

    def step(tangent: State, inputs: tuple) -> tuple[State, State]:
        carried = derivative(inputs[0], tangent)
        return jax.tree.map(jnp.add, carried, inputs[1]), tangent

    return path.states, jax.lax.scan(step, _whole(*start), (needed, _whole(*added)))[1]


def _derivative(along: tuple, model: AbstractModel) -> tuple[Callable[[list, State], State], list]:
    """That of `next` in the state, and what it needs of each step, computed for all at once.

    What no step changes, the weights, is needed once.
    """

    def parts(*here: Any) -> tuple[list, Any]:
        linear = jax.linearize(lambda state: model.next(state, *here[1:]), here[0])[1]
        return jax.tree.flatten(linear)

    first = jax.tree.map(lambda leaf: leaf[0], along)
    once, structure = parts(*first)
    varies = _varies(jax.make_jaxpr(lambda *here: parts(*here)[0])(*first).jaxpr)

    def varying(*here: Any) -> list:
        return [part for part, v in zip(parts(*here)[0], varies, strict=True) if v]

    def derivative(needed: list, tangent: State) -> State:
        rest = iter(needed)
        every = [next(rest) if v else p for p, v in zip(once, varies, strict=True)]
        return jax.tree.unflatten(structure, every)(tangent)

    return derivative, jax.vmap(varying)(*along)


def _varies(jaxpr: Jaxpr) -> list[bool]:
    """Which results of a program depend on its inputs, and not on its constants alone."""
    found = set(jaxpr.invars)
    for eqn in jaxpr.eqns:
        if not found.isdisjoint(v for v in eqn.invars if isinstance(v, Var)):
            found.update(eqn.outvars)
    return [isinstance(v, Var) and v in found for v in jaxpr.outvars]


def _whole(values: State, tangents: State) -> State:
    """Tangents with zeros where there are none."""
    none = lambda leaf: leaf is None  # noqa: E731
    filled = lambda t, v: jnp.zeros_like(v) if t is None else t  # noqa: E731
    return jax.tree.map(filled, tangents, values, is_leaf=none)
