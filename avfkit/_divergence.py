"""Kullback-Leibler divergences in closed form."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._distributions import (
    AbstractDistribution,
    AbstractGaussian,
    Bernoulli,
    DiagonalGaussian,
    FullGaussian,
)
from ._linalg import solve_lower


def kl(q: AbstractDistribution, p: AbstractDistribution) -> Float[Array, ""]:
    """Exact Kullback-Leibler divergence from `p` to `q`, KL(q || p), in nats.

    Serves two Gaussians, diagonal or full in any pairing, and two Bernoullis.

    Raises:
        TypeError: there is no closed form for this pair.
    """
    return jnp.sum(kl_per_dimension(q, p))


def kl_per_dimension(q: AbstractDistribution, p: AbstractDistribution) -> Float[Array, " size"]:
    """What each entry adds to `kl`, in nats; none is negative.

    Where entries are correlated, in `q` or in `p`, that is what an entry adds to those before it:
    the expected divergence of its distribution given them (the chain rule).

    Raises:
        ValueError: the means are not vectors of one size.
        TypeError: there is no closed form for this pair.
    """
    if q.mean.shape != p.mean.shape or q.mean.ndim != 1:
        raise ValueError(
            f"q has a mean of shape {q.mean.shape} and p one of shape {p.mean.shape}; expected "
            "vectors of one size (use jax.vmap for batches)."
        )
    if isinstance(q, DiagonalGaussian) and isinstance(p, DiagonalGaussian):
        log_ratio = q.log_var - p.log_var
        scaled = (q.mean - p.mean) ** 2 * jnp.exp(-p.log_var)
        return 0.5 * (jnp.expm1(log_ratio) - log_ratio + scaled)
    if isinstance(q, AbstractGaussian) and isinstance(p, AbstractGaussian):
        return _kl_full(FullGaussian.of(q), FullGaussian.of(p))
    if isinstance(q, Bernoulli) and isinstance(p, Bernoulli):
        difference = jax.nn.softplus(p.logits) - jax.nn.softplus(q.logits)
        return q.mean * (q.logits - p.logits) + difference
    raise TypeError(
        f"kl has no closed form for q = {type(q).__name__} and p = {type(p).__name__}; "
        "expected two Gaussians or two Bernoullis."
    )


def _kl_full(q: FullGaussian, p: FullGaussian) -> Float[Array, " size"]:
    scale = p.scale_tril
    columns = jnp.column_stack([q.scale_tril - scale, q.mean - p.mean])  # zero, exactly, for q = p
    solved = solve_lower(scale, columns)
    ratio, shift = solved[:, :-1], solved[:, -1]
    log_ratio = 2.0 * (q.log_scale - p.log_scale)
    diagonal = jnp.expm1(log_ratio) - log_ratio
    return 0.5 * (diagonal + jnp.sum(jnp.tril(ratio, -1) ** 2, axis=1) + shift**2)
