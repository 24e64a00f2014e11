"""One method on one problem: what `certify` measures."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from .._distributions import AbstractGaussian
from .._divergence import kl
from .._inference import AbstractFilter, AbstractInference, StepProblem, select
from .._model import prepare, step_keys
from ._oracle import Target, Truth, target_of, truth
from ._problems import Problem


class Findings(NamedTuple):
    """The columns of `Certificate`, of one problem."""

    kl: Float[Array, " time"]
    gap: Float[Array, ""]
    gap_error: Float[Array, ""]
    calibration: Float[Array, ""]
    leak: Float[Array, ""]


SCALARS = ("gap", "gap_error", "calibration", "leak")


def examined(
    problem: Problem, inference: AbstractInference, keys: Key[Array, " draws"]
) -> Findings:
    """Run the method on all draws of one problem, and once more on another future."""
    data = prepare(problem.model, problem.xs, problem.observed)
    known = truth(problem.model, *data)  # compiled once, for all methods
    found = _examined(Problem(problem.model, *data, problem.zs, 0.0), inference, known, keys)
    return jax.tree.map(np.asarray, found)


@eqx.filter_jit
def _examined(
    problem: Problem, inference: AbstractInference, known: Truth, keys: Key[Array, " draws"]
) -> Findings:
    model, xs, observed = problem.model, problem.xs, problem.observed
    target, half = target_of(inference), len(xs) // 2
    changed = jnp.concatenate([xs[:half], xs[half:] + 3.0 * jnp.std(xs) + 1.0])
    versions = jnp.concatenate([jnp.broadcast_to(xs, (len(keys), *xs.shape)), changed[None]])

    def run(xs: Array, key: Key[Array, ""]) -> tuple[AbstractGaussian, Array, Array]:
        trace = inference.infer(model, xs, observed, key=key)
        errors = jax.vmap(kl)(trace.posterior, known.of(target, trace.z))
        nats = -trace.log_weight if inference.joint else trace.free_energy
        return trace.posterior, errors, jnp.sum(nats)

    drawn, errors, nats = jax.vmap(run)(versions, jnp.concatenate([keys, keys[:1]]))
    gaps = (nats[:-1] + jnp.sum(known.log_p)) / len(xs)
    q = jax.tree.map(lambda leaf: leaf[:-1], drawn)
    if inference.stepper is not None:
        q = _given_the_truth(inference.stepper, problem, key=keys[0])
    leak = jnp.max(jnp.abs(errors[-1] - errors[0])[:half], initial=0.0)
    return Findings(
        jnp.mean(errors[:-1], axis=0),
        jnp.mean(gaps),
        jnp.std(gaps, ddof=1) / jnp.sqrt(float(len(keys))),
        _squared_error(q, problem.zs, draws=inference.stepper is None),
        jnp.where(target is Target.PATH, jnp.nan, leak),
    )


def _given_the_truth(
    filter: AbstractFilter, problem: Problem, *, key: Key[Array, ""]
) -> AbstractGaussian:
    """The filter's q_t after the true past."""
    model, one = problem.model, jnp.ones((), problem.xs.dtype)

    def body(loop: tuple, inputs: tuple) -> tuple[tuple, AbstractGaussian]:
        (state, carry), (x, seen, z, step_key) = loop, inputs
        step = StepProblem(model, state, model.prior(state), x, seen, one)
        q, _, carry = filter.posterior(carry, step, key=step_key)
        q = select(jnp.any(seen), q, step.prior)
        return (model.next(state, x, z), carry), q

    keys = step_keys(len(problem.xs), key=key)
    inputs = (problem.xs, problem.observed, problem.zs, keys)
    return jax.lax.scan(body, (model.init(), filter.init(model)), inputs)[1]


def _squared_error(
    q: AbstractGaussian, zs: Float[Array, "time latent"], *, draws: bool
) -> Float[Array, ""]:
    """(z - m)' V^-1 (z - m) per entry, on average over steps; draws are mixed first."""
    mean, cov = q.mean, q.covariance
    if draws:
        shift = mean - jnp.mean(mean, axis=0)
        spread = jnp.einsum("nti,ntj->tij", shift, shift) / (len(mean) - 1)
        mean, cov = jnp.mean(mean, axis=0), jnp.mean(cov, axis=0) + spread
    error = zs - mean
    return (
        jnp.mean(jnp.sum(error * jnp.linalg.solve(cov, error[..., None])[..., 0], axis=-1))
        / zs.shape[1]
    )
