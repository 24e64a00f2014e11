"""What every pair of model and inference keeps, checked on any pair, also one's own.

Missing data and streams need no option anywhere: they follow from a handful of properties, which
the tests of this library check on its pairs and `check_contract` checks on yours.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Key, PyTree

from ._checked import Nonnegative, checked
from ._inference import AbstractInference, stepwise
from ._model import AbstractModel, prepare
from ._objectives import e_step_gradient
from ._sample import sample
from ._streaming import OnlineFilter
from ._types import Observations

CLAUSES = {
    "finite": "with gaps, free energy and gradients are finite",
    "missing": "a missing value, whatever stands in its place, influences nothing",
    "prior": "where nothing is observed the posterior is the prior, at no cost",
    "padding": "missing steps at the end change and teach nothing",
    "causal": "what comes later does not move what came before",
    "streaming": "step by step is the same as all at once, in constant memory",
}
_LENGTH, _PADS, _CUT = 6, 2, 3


class Clause(NamedTuple):
    """One clause of the contract, and what was found.

    Attributes:
        holds: whether it is kept; None if it is not claimed, as causality of a smoother.
        worst: the largest deviation found, relative to 1 + the size of what deviates; NaN if there
            is nothing to compare.
        about: the clause in words.
    """

    holds: bool | None
    worst: float
    about: str


class Contract(NamedTuple):
    """What a pair of model and inference keeps; `print` it.

    Attributes:
        pair: names of the two classes.
        clauses: "finite", "missing", "prior", "padding", "causal" and "streaming".
    """

    pair: tuple[str, str]
    clauses: dict[str, Clause]

    @property
    def holds(self) -> bool:
        """Whether every clause that is claimed is kept."""
        return all(clause.holds is not False for clause in self.clauses.values())

    def __str__(self) -> str:
        """One line for each clause."""
        says = {True: "kept", False: "BROKEN", None: "-"}
        lines = [f"{self.pair[0]} x {self.pair[1]}"]
        for name, (holds, worst, about) in self.clauses.items():
            lines.append(f"  {name:<10} {says[holds]:<7}{worst:<9.1e}{about}")
        return "\n".join(lines)


@checked
def check_contract(
    model: AbstractModel,
    inference: AbstractInference,
    xs: Observations | None = None,
    *,
    key: Key[Array, ""],
    tolerance: Nonnegative | None = None,
) -> Contract:
    """Check what the library promises of every pair on one pair, by running it.

    A short sequence is inferred with gaps, with other values in the gaps, with nothing observed,
    with padding, with another future and step by step; gradients are taken each time. It compiles
    three functions, so it takes seconds, not milliseconds.

    Args:
        model: the generative model.
        inference: how its latents are inferred.
        xs: observations `[time, obs]` without gaps, at least 6 steps; by default the model draws.
        key: randomness.
        tolerance: the largest relative deviation that counts as none; by default rounding, about
            4e-10 in double and 7e-5 in single precision.

    Returns:
        A report, clause by clause. Causality and streaming are claimed of filters only.

    Raises:
        ValueError: `xs` is malformed, too short or has gaps.
        TypeError: the method cannot serve this model.
    """
    drawn_key, other_key, infer_key = jr.split(key, 3)
    draw = eqx.filter_jit(sample)
    drawn = draw(model, _LENGTH, key=drawn_key)[0] if xs is None else xs
    xs, observed = prepare(model, drawn, None)
    if len(xs) < _LENGTH or not observed.all():
        raise ValueError(
            f"xs has {len(xs)} steps, {int((~observed).sum())} entries of them missing; expected "
            f"at least {_LENGTH} steps and none missing."
        )
    gaps = observed.at[1].set(False).at[4, 0].set(False)
    other = draw(model, len(xs), key=other_key)[0].astype(xs.dtype)
    found = _deviations((model, inference), (xs, other, gaps), key=infer_key)
    limit = float(jnp.finfo(xs.dtype).eps ** 0.6) if tolerance is None else tolerance
    claimed = stepwise(inference) is not None
    clauses = {
        name: Clause((name in _OF_ALL or claimed or None) and worst <= limit, worst, CLAUSES[name])
        for name, worst in found.items()
    }
    return Contract((type(model).__name__, type(inference).__name__), clauses)


_OF_ALL = ("finite", "missing", "prior", "padding")


def _deviations(
    pair: tuple[AbstractModel, AbstractInference],
    data: tuple[Float[Array, "time obs"], Float[Array, "time obs"], Bool[Array, "time obs"]],
    *,
    key: Key[Array, ""],
) -> dict[str, float]:
    xs, other, gaps = data
    base = _infer(pair, xs, gaps, key)
    instead = [
        _infer(pair, jnp.where(gaps, xs, jnp.nan), jnp.ones_like(gaps), key),
        _infer(pair, jnp.where(gaps, xs, 1e30), gaps, key),
    ]
    nothing, _ = _infer(pair, xs, jnp.zeros_like(gaps), key)
    later = _infer(pair, xs.at[_CUT:].set(other[_CUT:]), gaps, key)
    pads = ((0, _PADS), (0, 0))
    padded = _infer(pair, jnp.pad(xs, pads, constant_values=7.0), jnp.pad(gaps, pads), key)
    free, until = ("reconstruction", "kl"), lambda found, t: jax.tree.map(lambda a: a[:t], found)
    scores = [[found[0][name] for name in free] for found in (base, padded)]
    rest = jax.tree.map(lambda a: a[len(xs) :], scores[1])
    scores[1] = until(scores[1], len(xs))
    prior = [nothing["posterior"].mean - nothing["prior"].mean, nothing["reconstruction"]]
    return {
        "finite": 0.0 if all(np.isfinite(a).all() for a in jax.tree.leaves(base)) else np.inf,
        "missing": max(_worst(base, found) for found in instead),
        "prior": _worst([*prior, nothing["kl"]]),
        "padding": max(_worst(*scores), _worst(rest), _worst(base[1], padded[1])),
        "causal": _worst(until(base[0], _CUT), until(later[0], _CUT)),
        "streaming": _streamed(pair, xs, gaps, base[0], key=key),
    }


@eqx.filter_jit
def _infer(
    pair: tuple[AbstractModel, AbstractInference], xs: Array, observed: Array, key: Key[Array, ""]
) -> tuple[dict[str, PyTree], PyTree]:
    """What a trace says at each step, and the gradient of the free energy in both of the pair."""

    def energy(pair: tuple) -> tuple[Float[Array, ""], dict[str, PyTree]]:
        trace = pair[1].infer(pair[0], xs, observed, key=key)
        names = ("prior", "posterior", "z", "reconstruction", "kl", "iterations")
        total = jnp.sum(trace.free_energy + e_step_gradient(trace))
        return total, {name: getattr(trace, name) for name in names}

    gradient, found = eqx.filter_grad(energy, has_aux=True)(pair)
    return found, gradient


def _streamed(
    pair: tuple[AbstractModel, AbstractInference],
    xs: Float[Array, "time obs"],
    observed: Bool[Array, "time obs"],
    batch: dict[str, PyTree],
    *,
    key: Key[Array, ""],
) -> float:
    if stepwise(pair[1]) is None:
        return np.nan
    online = OnlineFilter(*pair)
    state, steps = online.init(key=key), []
    size = jax.tree.map(jax.typeof, state)
    for x, seen in zip(np.asarray(xs), np.asarray(observed), strict=True):
        state, step = online.step(state, x, seen)
        steps.append({name: getattr(step, name) for name in batch})
    if jax.tree.map(jax.typeof, state) != size:
        return np.inf
    return _worst(jax.tree.map(lambda *leaves: np.stack(leaves), *steps), batch)


def _worst(found: PyTree, expected: PyTree = None) -> float:
    """The largest deviation between two trees, or from zero; infinite if there is a NaN."""
    expected = jax.tree.map(jnp.zeros_like, found) if expected is None else expected
    worst = 0.0
    for leaves in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        a, b = (np.asarray(leaf, float) for leaf in leaves)
        deviation = np.abs(a - b) / (1.0 + np.abs(b))
        deviation = np.where(np.isfinite(deviation), deviation, np.inf)
        worst = max(worst, float(np.max(deviation, initial=0.0)))
    return worst
