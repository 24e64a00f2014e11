"""Triangular solves and Cholesky factors of small matrices, row by row, without LAPACK.

A latent has a handful of entries, and a batch has thousands of latents: each step below is one
product over the whole batch, where LAPACK would be called for each matrix. There is a second
reason. On few cores two batched LAPACK calls at a time can wait for each other for ever: each
blocks a thread of XLA's pool until the pool has done its batch (seen with JAX 0.10.2 on 2 cores).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_UNROLL = 4  # rows that are written out; longer loops stay loops and compile as fast as short ones


def solve_lower(
    scale: Float[Array, "size size"], values: Float[Array, "size ..."]
) -> Float[Array, "size ..."]:
    """L^-1 b for a lower-triangular L: forward substitution. The upper triangle is not read."""

    def row(solved: Array, inputs: tuple[Array, Array, Array]) -> tuple[Array, None]:
        i, weights, value = inputs
        before = jnp.where(jnp.arange(len(weights)) < i, weights, 0.0)
        return solved.at[i].set((value - before @ solved) / weights[i]), None

    rows = (jnp.arange(len(scale)), scale, values)
    return jax.lax.scan(row, jnp.zeros_like(values), rows, unroll=_UNROLL)[0]


def cholesky(covariance: Float[Array, "size size"]) -> Float[Array, "size size"]:
    """The lower-triangular L of L L' = covariance; NaN where that is not positive definite."""

    def column(scale: Array, inputs: tuple[Array, Array]) -> tuple[Array, None]:
        j, values = inputs
        rest = values - scale @ scale[j]
        below = jnp.arange(len(values)) >= j
        return scale.at[:, j].set(jnp.where(below, rest / jnp.sqrt(rest[j]), 0.0)), None

    columns = (jnp.arange(len(covariance)), covariance)
    return jax.lax.scan(column, jnp.zeros_like(covariance), columns, unroll=_UNROLL)[0]
