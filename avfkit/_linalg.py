"""Solves and factors of small matrices, column by column, without LAPACK.

A latent has a handful of entries, and a batch has thousands of latents: each step below is one
product over the whole batch (`_lanes`), where LAPACK would be called for each matrix; derivatives,
forward and reverse, are solves again. There is a second reason. On few cores two batched LAPACK
calls at a time can wait for each other for ever: each blocks a thread of XLA's pool until the pool
has done its batch (seen with JAX 0.10.2 on 2 cores).
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from . import _lanes as lanes
from ._lanes import lanes_last
from ._precision import full_precision

_SMALL = 3  # columns of a matrix, up to which how it lies in memory does not matter

_substituted = lanes_last(lanes.solve_lower)


@full_precision
def solve_lower(
    scale: Float[Array, "size size"], values: Float[Array, "size ..."]
) -> Float[Array, "size ..."]:
    """L^-1 b for a lower-triangular L: forward substitution. The upper triangle is not read."""
    lower = jnp.tril(scale)
    columns = values.reshape(len(scale), -1)
    found = jax.lax.custom_linear_solve(
        lambda x: lower @ x,
        columns,
        lambda _, b: _substituted(lower, b),
        lambda _, b: jnp.flip(_substituted(jnp.flip(lower.T), jnp.flip(b, 0)), 0),
    )
    return found.reshape(values.shape)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _factors(
    covariance: Float[Array, "size size"], least: float | None
) -> tuple[Float[Array, "size size"], Float[Array, "size size"]]:
    return lanes_last(partial(lanes.factors, least=least))(covariance)


@_factors.defjvp
@full_precision
def _factors_jvp(least: float | None, primals: tuple, tangents: tuple) -> tuple[tuple, tuple]:
    """L H and -H L^-1, where H is the lower half of L^-1 dA L^-T."""
    scale, inverse = _factors(primals[0], least)
    half = _lower_half(follow(led(inverse, tangents[0]), inverse))
    return (scale, inverse), (led(scale, half), -half @ inverse)


def _lower_half(matrix: Float[Array, "size size"]) -> Float[Array, "size size"]:
    """The lower H with H + H' = M, for a symmetric M."""
    whole, diagonal = (f(len(matrix), dtype=matrix.dtype) for f in (jnp.tri, jnp.eye))
    return matrix * (whole - 0.5 * diagonal)


@jax.custom_jvp
def coloured(
    covariance: Float[Array, "size size"], noise: Float[Array, " size"]
) -> Float[Array, " size"]:
    """L e with L L' = covariance: what white noise is where it has that covariance.

    Of a semidefinite covariance too. The derivative, L (H e + de), multiplies a vector where that
    of `cholesky` multiplies a matrix.
    """
    return cholesky(covariance, least=0.0) @ noise


@coloured.defjvp
@full_precision
def _coloured_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    scale, inverse = _factors(primals[0], 0.0)
    half = _lower_half(follow(led(inverse, tangents[0]), inverse))
    return scale @ primals[1], scale @ (half @ primals[1] + tangents[1])


def follow(
    change: Float[Array, "*batch rows inner"], across: Float[Array, "*batch columns inner"]
) -> Float[Array, "*batch rows columns"]:
    """X M from M', for an X that is a tangent: its gradient is a plain product with M'.

    XLA multiplies stacks of matrices quickly as they lie in memory, and several times more slowly
    where a factor or the product has to be transposed on the way.
    """
    return change @ jnp.matrix_transpose(_laid_out(across))


def led(
    matrix: Float[Array, "*batch rows inner"], change: Float[Array, "*batch inner columns"]
) -> Float[Array, "*batch rows columns"]:
    """M X for an X that is a tangent: its gradient is the transpose of a plain product with M."""
    if matrix.shape[-1] <= _SMALL:
        return matrix @ change
    across = follow(_turned(change), matrix)
    return _turned(across)


def _turned(matrix: Float[Array, "*batch rows columns"]) -> Float[Array, "*batch columns rows"]:
    """The transpose, laid out before and after."""
    return _laid_out(jnp.matrix_transpose(_laid_out(matrix)))


def _laid_out(matrix: Float[Array, "*batch rows columns"]) -> Float[Array, "*batch rows columns"]:
    """Itself; of a large one, a barrier that makes the compiler lay it out in memory as it is."""
    return matrix if matrix.shape[-1] <= _SMALL else jax.lax.optimization_barrier(matrix)


def copied(shared: Float[Array, "*shape"], like: Float[Array, "..."]) -> Float[Array, "*shape"]:
    """Itself, for each member of the batch that another array has.

    XLA multiplies two stacks of small matrices several times faster than a stack by one matrix. And
    copied before it is spread over time, an array has a gradient that is summed over time first,
    which takes a tenth of the time of a sum over the batch.
    """
    one = jnp.ravel(like)[0]
    return jnp.where(one == one, shared, shared)  # noqa: PLR0124


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
    return _factors(covariance, least)[0]


def whitening(covariance: Float[Array, "size size"]) -> Float[Array, "size size"]:
    """The inverse of `cholesky`: W C W' is the identity."""
    return _factors(covariance, None)[1]


@full_precision
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
