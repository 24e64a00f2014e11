"""Solves and factors of small matrices, column by column, without LAPACK.

A latent has a handful of entries, and a batch has thousands of latents: each step below is one
product over the whole batch, where LAPACK would be called for each matrix. There is a second
reason. On few cores two batched LAPACK calls at a time can wait for each other for ever: each
blocks a thread of XLA's pool until the pool has done its batch (seen with JAX 0.10.2 on 2 cores).
The loops stay loops: written out they compile for longer and run no faster.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def solve_lower(
    scale: Float[Array, "size size"], values: Float[Array, "size ..."]
) -> Float[Array, "size ..."]:
    """L^-1 b for a lower-triangular L: forward substitution. The upper triangle is not read."""

    def row(solved: Array, inputs: tuple[Array, Array, Array]) -> tuple[Array, None]:
        i, weights, value = inputs
        before = jnp.where(jnp.arange(len(weights)) < i, weights, 0.0)
        return solved.at[i].set((value - before @ solved) / weights[i]), None

    rows = (jnp.arange(len(scale)), scale, values)
    return jax.lax.scan(row, jnp.zeros_like(values), rows)[0]


def cholesky(
    covariance: Float[Array, "size size"], *, least: float | None = None
) -> Float[Array, "size size"]:
    """The lower-triangular L of L L' = covariance; NaN where that is not positive definite.

    Args:
        covariance: symmetric; only its lower triangle is read.
        least: a number that no eigenvalue is below, known beforehand. Pivots that rounding has
            pushed below it are lifted to it, so the factor is finite; with 0, a semidefinite
            matrix has columns of zeros in its factor.
    """

    def column(scale: Array, inputs: tuple[Array, Array]) -> tuple[Array, None]:
        j, values = inputs
        rest = values - scale @ scale[j]
        below = jnp.arange(len(values)) >= j
        if least is None:
            return scale.at[:, j].set(jnp.where(below, rest / jnp.sqrt(rest[j]), 0.0)), None
        lifted = rest.at[j].set(jnp.where(rest[j] < least, least, rest[j]))
        positive = lifted[j] > 0.0
        root = jnp.sqrt(jnp.where(positive, lifted[j], 1.0))
        return scale.at[:, j].set(jnp.where(below & positive, lifted / root, 0.0)), None

    columns = (jnp.arange(len(covariance)), covariance)
    return jax.lax.scan(column, jnp.zeros_like(covariance), columns)[0]


def solve(
    matrix: Float[Array, "size size"], values: Float[Array, "size columns"]
) -> Float[Array, "size columns"]:
    """M^-1 B by Gauss-Jordan elimination with row exchanges."""
    return jax.lax.custom_linear_solve(
        lambda x: matrix @ x,
        values,
        lambda _, b: _eliminated(matrix, b),
        lambda _, b: _eliminated(matrix.T, b),
    )


def _eliminated(
    matrix: Float[Array, "size size"], values: Float[Array, "size columns"]
) -> Float[Array, "size columns"]:
    size = len(matrix)
    rows = jnp.arange(size)

    def step(table: Array, j: Array) -> tuple[Array, None]:
        below = jnp.where(rows >= j, jnp.abs(table[:, j]), -1.0)
        pivot = jnp.argmax(below)
        upper, lower = table[pivot] / table[pivot, j], table[j]
        table = jnp.where((rows == pivot)[:, None], lower, table)  # scatters are slow
        return jnp.where((rows == j)[:, None], upper, table - table[:, j, None] * upper), None

    table = jnp.concatenate([matrix, values], axis=1)
    return jax.lax.scan(step, table, rows)[0][:, size:]
