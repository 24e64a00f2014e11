"""How a filter that outputs q_t directly is trained: end to end, or in AVF's detached EM scheme.

The AVF authors' code does not train its baselines end to end, as their papers do, but as it trains
AVF: with no gradient through z_t to later steps, an E-step that teaches the filter and an M-step
that teaches the model. In terms of what is held fixed:

* the E-step minimises the step free energy F_t (Eq. 9) at a fresh draw from q_t in the filter's
  parameters, model and past fixed (Eq. 11);
* the M-step has the draw z_t and the filter's parameters fixed (Eq. 12). Its KL term still reaches
  the model through what the filter reads of it, the features and the context, as in that code.

The filter then is one inference iteration: its trace has the step free energies at the prior and
at q_t, so that `per_iteration` shows what the filter gains over the prior prediction.
"""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from .._distributions import AbstractGaussian
from .._inference import AbstractFilter
from .._problem import StepProblem
from .._types import Carry

Tree = TypeVar("Tree")

Encode: TypeAlias = Callable[..., tuple[AbstractGaussian, Carry]]
"""`encode(filter, carry, problem)` -> (q_t, the new memory)."""


def amortized(
    encode: Encode,
    filter: AbstractFilter,
    carry: Carry,
    problem: StepProblem,
    *,
    key: Key[Array, ""],
) -> tuple[AbstractGaussian, Float[Array, " iterations"], Carry]:
    """The posterior step of a filter: one call end to end, both steps if not `through_past`.

    Args:
        encode: what the filter does.
        filter: the filter.
        carry: its memory; the E-step's gradient flows back through it.
        problem: the step.
        key: of the E-step's draws.

    Returns:
        q_t, no iterations and the new memory; or, in the EM scheme, q_t with the M-step's gradient,
        the free energies at prior and q_t with the E-step's, and the new memory.
    """
    if filter.through_past:
        q, after = encode(filter, carry, problem)
        return q, jnp.zeros((0,), q.mean.dtype), after
    fixed = fix(problem)
    estimate, after = encode(filter, carry, fixed)
    noises = jr.normal(key, (2, 1, *estimate.mean.shape), estimate.mean.dtype)
    first = jax.lax.stop_gradient(fixed.free_energy(fixed.prior, noises[0]))
    energy = fixed.free_energy(estimate, noises[1])
    q, _ = encode(fix(filter), fix(carry), problem)
    return q, jnp.stack([first, energy]), after


def fix(tree: Tree) -> Tree:
    """The same tree, its arrays without gradient."""
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.lax.stop_gradient(arrays), rest)
