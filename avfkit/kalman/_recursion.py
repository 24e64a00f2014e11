"""Linear recursions of matrices along time, and how they are solved: one loop for all derivatives.

Reference: Blelloch (1990), section 1.4, for first-order recurrences as scans.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._lanes import lanes_last, product, transpose
from .._linalg import follow
from .._precision import full_precision
from ._condition import symmetric

Weights = tuple[Float[Array, "_ rows rows *_"], Float[Array, "_ columns columns *_"] | None]
"""Of a step: L and R; `None` for the identity."""


@full_precision
def accumulated(
    weights: Weights, terms: Float[Array, "time rows columns"], *, reverse: bool = False
) -> Float[Array, "time rows columns"]:
    """X_t = L_t X_{t-1} R_t' + S_t from X_0 = 0; in reverse, X_t = L_t X_{t+1} R_t' + S_t.

    This is a linear system in X, and is differentiated as one: the derivative is a recursion in the
    same weights, and the gradient one in the opposite direction. The first weights are not read.

    Args:
        weights: (L, R) of each step; R = `None` is the identity.
        terms: S.
        reverse: whether to begin at the last step.
    """
    there, back = (lanes_last(partial(_scanned, way)) for way in (reverse, not reverse))
    turned = _transposed(weights, reverse)

    def residual(found: Array) -> Array:
        return found - _moved(weights, shifted(found, reverse=reverse))

    return jax.lax.custom_linear_solve(
        residual, terms, lambda _, s: there(weights, s), lambda _, s: back(turned, s)
    )


@jax.custom_jvp
@full_precision
def spread(
    weights: Float[Array, "time latent latent"], terms: Float[Array, "time latent latent"]
) -> Float[Array, "time latent latent"]:
    """The symmetric part of X_t = L_t X_{t-1} L_t' + S_t from X_0 = 0; L_1 is not read."""
    return symmetric(accumulated((weights, weights), terms))


@spread.defjvp
@full_precision
def _spread_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """The same recursion, of the terms dS + dL X L' + L X dL'."""
    found = spread(*primals)
    change = follow(tangents[0], primals[0] @ shifted(found))
    return found, spread(primals[0], tangents[1] + change + jnp.matrix_transpose(change))


def shifted(array: Float[Array, "time ..."], *, reverse: bool = False) -> Float[Array, "time ..."]:
    """What the step before held (in reverse: the step after), and zeros where there is none."""
    if reverse:
        return jnp.concatenate([array[1:], jnp.zeros_like(array[:1])])
    return jnp.concatenate([jnp.zeros_like(array[:1]), array[:-1]])


def _moved(weights: Weights, array: Array) -> Array:
    left, right = weights
    moved = left @ array
    return moved if right is None else moved @ jnp.matrix_transpose(right)


def _transposed(weights: Weights, reverse: bool) -> Weights:
    def turn(array: Array) -> Array:
        return shifted(jnp.matrix_transpose(array), reverse=not reverse)

    left, right = weights
    return turn(left), None if right is None else turn(right)


def _scanned(reverse: bool, weights: Weights, terms: Array) -> Array:
    lanes = max(leaf.shape[-1] for leaf in jax.tree.leaves((weights, terms)))

    def step(before: Array, inputs: tuple) -> tuple[Array, Array]:
        (left, right), term = inputs
        now = product(left, before)
        if right is not None:
            now = product(now, transpose(right))
        return now + term, now + term

    start = jnp.zeros((*terms.shape[1:3], lanes), terms.dtype)
    return jax.lax.scan(step, start, (weights, terms), reverse=reverse)[1]
