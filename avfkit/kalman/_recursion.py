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

Weights = tuple[Float[Array, "_ rows _ *_"], Float[Array, "_ _ columns *_"] | None]
"""L and R of a step: matrices, or affine maps [A | b], which as L are A and as R [[A, b], [0, 1]].
`None` is the identity."""


@full_precision
def accumulated(
    weights: Weights, terms: Float[Array, "time rows columns"], *, reverse: bool = False
) -> Float[Array, "time rows columns"]:
    """X_t = L_t X_{t-1} R_t' + S_t from X_0 = 0; in reverse X_t = L_{t+1}' X_{t+1} R_{t+1} + S_t.

    Either is a linear system in X, and is differentiated as one: the derivative is a recursion in
    the same weights, and the gradient is the other of the two. The first weights are not read.

    Args:
        weights: (L, R) of each step.
        terms: S.
        reverse: whether to begin at the last step.
    """
    there, back = (lanes_last(partial(_scanned, way)) for way in (reverse, not reverse))

    def residual(found: Array) -> Array:
        return found - _moved(weights, found, reverse)

    return jax.lax.custom_linear_solve(
        residual, terms, lambda _, s: there(weights, s), lambda _, s: back(weights, s)
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


def _moved(weights: Weights, found: Array, reverse: bool) -> Array:
    """What reaches each step from its neighbour."""
    left, right = weights
    left = left[..., : left.shape[1]]
    if right is None:
        right = jnp.eye(found.shape[2], dtype=found.dtype)[None]
    elif right.shape[1] < right.shape[2]:
        right = whole(right)
    if reverse:
        return shifted(jnp.matrix_transpose(left) @ found @ right, reverse=True)
    return left @ shifted(found) @ jnp.matrix_transpose(right)


def whole(half: Float[Array, "time latent latent+1"]) -> Float[Array, "time latent+1 latent+1"]:
    """[[A, b], [0, 1]] from [A | b]."""
    length, _, size = half.shape
    last = jnp.broadcast_to(jnp.eye(size, dtype=half.dtype)[-1:], (length, 1, size))
    return jnp.concatenate([half, last], axis=1)


def _scanned(reverse: bool, weights: Weights, terms: Array) -> Array:
    lanes = max(leaf.shape[-1] for leaf in jax.tree.leaves((weights, terms)))

    def step(told: Array, inputs: tuple) -> tuple[Array, Array]:
        weights, term = inputs
        now = (told if reverse else _forth(weights, told)) + term
        return _back(weights, now) if reverse else now, now

    start = jnp.zeros((*terms.shape[1:3], lanes), terms.dtype)
    return jax.lax.scan(step, start, (weights, terms), reverse=reverse)[1]


def _forth(weights: Weights, value: Array) -> Array:
    """L X R' of each lane."""
    left, right = weights
    moved = product(left[:, : len(left)], value)
    if right is None:
        return moved
    return jnp.concatenate([product(moved, transpose(right)), moved[:, len(right) :]], axis=1)


def _back(weights: Weights, value: Array) -> Array:
    """L' X R of each lane."""
    left, right = weights
    moved = product(transpose(left[:, : len(left)]), value)
    if right is None:
        return moved
    kept = jnp.pad(moved[:, len(right) :], ((0, 0), (len(right), 0), (0, 0)))
    return product(moved[:, : len(right)], right) + kept
