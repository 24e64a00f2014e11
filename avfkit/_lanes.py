"""Small matrices by the thousand: axes (row, column, lane), each operation one loop over the lanes.

A latent has a handful of entries, and a batch has many latents. With the batch as the last axis the
innermost loop of every operation runs over it, whatever the size of the matrices; with the batch
first it runs over three entries, or calls a routine for each matrix. `lanes_last` makes `jax.vmap`
put the batch there.

What is shared by all lanes has one lane and is broadcast.

The constants below are where one way overtakes another in `benchmarks/choices.py`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

Lanes = Float[Array, "_ _ _"]

_FUSED = 4096  # multiplications of a product, from which on a contraction beats one fused loop
_ENTRIES = 4  # rows, up to which a matrix is inverted entry by entry
_WRITTEN_OUT = 10  # rows, up to which a loop over them is written out; it compiles for longer


def lanes_last(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of single arrays, from one whose arrays end in an axis of lanes.

    `jax.vmap`, however often, adds lanes and calls nothing twice. The result has no derivative of
    its own (the caller gives it one), and each of its outputs depends on some input.
    """
    compiled = jax.jit(function)  # one program, also where the caller compiles nothing

    @custom_vmap
    def along(*trees: Any) -> Any:
        return compiled(*trees)

    @along.def_vmap
    def mapped(size: int, batched: Any, *trees: Any) -> tuple[Any, Any]:
        leaves, structure = jax.tree.flatten(trees)
        before = max(leaf.shape[-1] for leaf in leaves)
        pairs = zip(leaves, jax.tree.leaves(batched), strict=True)
        merged = [_merged(leaf, new, size, before) for leaf, new in pairs]
        found = along(*jax.tree.unflatten(structure, merged))
        found = jax.tree.map(lambda leaf: _parted(leaf, size, before), found)
        return found, jax.tree.map(lambda leaf: True, found)

    def single(*trees: Any) -> Any:
        found = along(*jax.tree.map(lambda leaf: leaf[..., None], trees))
        return jax.tree.map(lambda leaf: leaf[..., 0], found)

    return single


def _merged(leaf: Array, new: bool, size: int, before: int) -> Array:
    """A leaf with `size` times the lanes; where it is `new`, they are along its first axis."""
    if not new and leaf.shape[-1] == 1:
        return leaf
    leaf = jnp.moveaxis(leaf, 0, -2) if new else leaf[..., None, :]
    wide = jnp.broadcast_to(leaf, (*leaf.shape[:-2], size, before))
    return wide.reshape(*wide.shape[:-2], size * before)


def _parted(leaf: Array, size: int, before: int) -> Array:
    wide = jnp.broadcast_to(leaf, (*leaf.shape[:-1], size * before))
    return jnp.moveaxis(wide.reshape(*wide.shape[:-1], size, before), -2, 0)


def transpose(matrix: Lanes) -> Lanes:
    """Rows for columns."""
    return jnp.swapaxes(matrix, 0, 1)


def product(left: Lanes, right: Lanes) -> Lanes:
    """The matrix product of each lane.

    As long as it is small it is one fused loop, which costs less than the call of a contraction.
    """
    lanes = max(left.shape[-1], right.shape[-1])
    if left.shape[0] * left.shape[1] * right.shape[1] * lanes < _FUSED:
        return jnp.sum(left[:, :, None] * right[None], axis=1)
    left, right = (jnp.broadcast_to(m, (*m.shape[:2], lanes)) for m in (left, right))
    return jnp.einsum("ikl,kjl->ijl", left, right, precision="highest")


def factors(matrix: Lanes, least: float | None = None) -> tuple[Lanes, Lanes]:
    """The lower-triangular factor, and its inverse G: G'G is the inverse of the matrix.

    By halves, down to matrices of a few rows, whose entries are written out.

    Args:
        matrix: symmetric and positive definite.
        least: see `_linalg.cholesky`. Where a pivot is 0, a column of the factor and a row of its
            inverse are.
    """
    size, half = len(matrix), len(matrix) // 2
    if size <= _ENTRIES:
        return _written_out(matrix, least)
    first, undone = factors(matrix[:half, :half], least)
    low = product(matrix[half:, :half], transpose(undone))
    second, solved = factors(matrix[half:, half:] - product(low, transpose(low)), least)
    return _lower(first, low, second), _lower(
        undone, -product(product(solved, low), undone), solved
    )


def _lower(first: Lanes, corner: Lanes, second: Lanes) -> Lanes:
    upper = jnp.concatenate([first, jnp.zeros_like(transpose(corner))], axis=1)
    return jnp.concatenate([upper, jnp.concatenate([corner, second], axis=1)])


def _written_out(matrix: Lanes, least: float | None) -> tuple[Lanes, Lanes]:
    """Elimination, entry by entry."""
    size, zero, one = len(matrix), jnp.zeros_like(matrix[0, 0]), jnp.ones_like(matrix[0, 0])
    rest = [[matrix[i, j] for j in range(size)] for i in range(size)]
    rows, inverse = [], [[one if i == j else zero for j in range(size)] for i in range(size)]
    for i in range(size):
        root, undone = _root(rest[i][i], least)
        row = [*[zero] * i, root, *(entry * undone for entry in rest[i][i + 1 :])]
        inverse[i] = [entry * undone for entry in inverse[i]]
        for k in range(i + 1, size):
            rest[k] = [a - row[k] * b for a, b in zip(rest[k], row, strict=True)]
            inverse[k] = [a - row[k] * b for a, b in zip(inverse[k], inverse[i], strict=True)]
        rows.append(row)
    rows, inverse = (jnp.stack([jnp.stack(row) for row in table]) for table in (rows, inverse))
    return transpose(rows), inverse


def _root(pivot: Array, least: float | None) -> tuple[Array, Array]:
    """The root of a pivot, and what to multiply by to divide by it."""
    if least is not None:
        pivot = jnp.maximum(pivot, least)
    if least != 0.0:
        return jnp.sqrt(pivot), jax.lax.rsqrt(pivot)
    positive = pivot > 0.0
    return jnp.sqrt(pivot), jnp.where(positive, jax.lax.rsqrt(jnp.where(positive, pivot, 1.0)), 0.0)


def solve_lower(scale: Lanes, values: Lanes) -> Lanes:
    """L^-1 B by forward substitution; the upper triangle of L is not read."""
    size = len(scale)
    diagonal = jnp.stack([scale[i, i] for i in range(size)])
    if size > _WRITTEN_OUT:
        below = jnp.where(jnp.tri(size, k=-1, dtype=bool)[..., None], scale, 0.0)

        def step(i: Array, found: Array) -> Array:
            return found - below[:, i, None] * (found[i] / diagonal[i])

        start = jnp.broadcast_to(values, (values + diagonal[:, None]).shape)
        return jax.lax.fori_loop(0, size, step, start) / diagonal[:, None]
    rows = []
    for i in range(size):
        rows.append(values[0] / diagonal[i])
        values = values[1:] - scale[i + 1 :, i, None] * rows[-1]
    return jnp.stack(rows)
