"""Along a chain of conditionals: marginal moments, exact joint samples, and a divergence."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from .._checked import checked
from .._linalg import cholesky, coloured, copied, whitening
from .._precision import full_precision
from ._chain import Conditionals, Markov, unrolled
from ._filter import moved
from ._method import Method, associative_scan, is_parallel
from ._recursion import accumulated, spread


class Marginals(NamedTuple):
    """Moments of each z_t, and Cov(z_{t+1}, z_t)."""

    mean: Float[Array, "time latent"]
    cov: Float[Array, "time latent latent"]
    cross_cov: Float[Array, "steps latent latent"]


@checked
@full_precision
def marginals(path: Conditionals, *, method: Method = "auto") -> Marginals:
    """The moments of every latent of a chain, and of neighbours.

    Reference: Zhao and Linderman (2023), section 3.2: mu_t and Sigma_t, and the operator
    that joins two steps.
    """
    if is_parallel(method, length=len(path.bias), size=path.bias.shape[1]):
        first = path._replace(dynamics=path.dynamics.at[0].set(0.0))
        found = associative_scan(_composed, first)
        mean, cov = found.bias, found.noise_cov
    else:
        mean = accumulated((path.dynamics, None), path.bias[..., None])[..., 0]
        cov = spread(path.dynamics, path.noise_cov)
    return Marginals(mean, cov, path.dynamics[1:] @ cov[:-1])


def _composed(earlier: Conditionals, later: Conditionals) -> Conditionals:
    mean, cov = moved(later, (earlier.bias, earlier.noise_cov))
    return Conditionals(later.dynamics @ earlier.dynamics, mean, cov)


@checked
@full_precision
def sample(
    path: Conditionals, *, key: Key[Array, ""], method: Method = "auto"
) -> Float[Array, "time latent"]:
    """One exact joint draw of z_1..T, reparameterised.

    The noise of step t does not depend on the length, so more steps at the end change no earlier
    draw.

    Reference: Zhao and Linderman (2023), section 3.2, for the parallel scan.
    """
    keys = jax.vmap(lambda t: jr.fold_in(key, t))(jnp.arange(len(path.bias)))
    noise = jax.vmap(lambda k: jr.normal(k, path.bias.shape[1:], path.bias.dtype))(keys)
    shift = path.bias + jax.vmap(coloured)(path.noise_cov, noise)
    if is_parallel(method, length=len(shift), size=shift.shape[1]):
        dynamics = path.dynamics.at[0].set(0.0)
        return associative_scan(_applied, (dynamics, shift))[1]

    return accumulated((path.dynamics, None), shift[..., None])[..., 0]


def _applied(earlier: tuple[Array, Array], later: tuple[Array, Array]) -> tuple[Array, Array]:
    return later[0] @ earlier[0], later[0] @ earlier[1] + later[1]


@checked
@full_precision
def divergence(q: Conditionals, p: Markov, *, method: Method = "auto") -> Float[Array, " time"]:
    """KL(q || p) of two chains in nats, E_q KL(q(z_t | z_{t-1}) || p(z_t | z_{t-1})) of each step.

    In closed form: the expectation over z_{t-1} is of a quadratic, so it needs the moments of q
    only. The sum over time is the divergence of the whole paths.

    Args:
        q: the first chain, such as a posterior.
        p: the second, such as a prior; its covariances are positive definite.
        method: how to walk q for its moments.

    Raises:
        ValueError: the chains differ in their number of steps.

    Reference: Zhao and Linderman (2023), section 2.
    """
    mean, cov, _ = marginals(q, method=method)
    start, later = _parted(q)
    if isinstance(p, Conditionals):
        (first, moves), each = _parted(unrolled(p, len(q.bias))), 0
    else:  # what is the same at all steps is factored once
        first = Conditionals(start.dynamics, p.initial_mean, p.initial_cov)
        moves, each = Conditionals(p.dynamics, p.bias, p.noise_cov), None
    known = jnp.zeros_like(mean[0]), jnp.zeros_like(cov[0])
    begun = _step_divergence(start, first, *known)
    rest = jax.vmap(_step_divergence, (0, each, 0, 0))(later, moves, mean[:-1], cov[:-1])
    return jnp.concatenate([begun[None], rest])


def _parted(chain: Conditionals) -> tuple[Conditionals, Conditionals]:
    """The first step, whose dynamics are not read, and the others."""
    first, later = (jax.tree.map(lambda leaf, s=s: leaf[s], chain) for s in (0, slice(1, None)))
    return first._replace(dynamics=jnp.zeros_like(first.dynamics)), later


def _step_divergence(
    q: Conditionals,
    p: Conditionals,
    mean: Float[Array, " latent"],
    cov: Float[Array, "latent latent"],
) -> Float[Array, ""]:
    """The noise of p is whitened by W: all that is left are squares, and an average of them."""
    scale, size = cholesky(q.noise_cov), len(mean)
    white = copied(whitening(p.noise_cov), scale)
    turn = q.dynamics - p.dynamics
    shift = turn @ mean + q.bias - p.bias
    seen = white @ jnp.column_stack([scale, shift, turn])
    moved = seen[:, size + 1 :]
    squares = jnp.sum(seen[:, : size + 1] ** 2) + jnp.sum((moved @ cov) * moved)
    log_ratio = jnp.log(jnp.diagonal(scale)) + jnp.log(jnp.diagonal(white))
    return 0.5 * (squares - size) - jnp.sum(log_ratio)
