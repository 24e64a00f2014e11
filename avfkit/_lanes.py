"""Small matrices by the thousand: axes (row, column, lane), each operation one loop over the lanes.

A latent has a handful of entries, and a batch has many latents. With the batch as the last axis the
innermost loop of every operation runs over it, whatever the size of the matrices; with the batch
first it runs over three entries, or calls a routine for each matrix. `lanes_last` makes `jax.vmap`
put the batch there.

What is shared by all lanes has one lane and is broadcast.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

Lanes = Float[Array, "_ _ _"]

_FUSED = 4096  # multiplications of a product, from which on a contraction beats one fused loop
_ENTRIES = 3  # rows, up to which a matrix is inverted entry by entry
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
    if left.shape[0] * left.shape[1] * right.shape[1] * lanes <= _FUSED:
        return jnp.sum(left[:, :, None] * right[None], axis=1)
    left, right = (jnp.broadcast_to(m, (*m.shape[:2], lanes)) for m in (left, right))
    return jnp.einsum("ikl,kjl->ijl", left, right, precision="highest")


def cholesky(matrix: Lanes, least: float | None = None) -> Lanes:
    """The lower-triangular factor; see `_linalg.cholesky`."""
    return transpose(_upper(matrix, matrix[:, :0], least))


def inverse_root(matrix: Lanes, least: float) -> Lanes:
    """The inverse G of the lower-triangular factor, so that G'G is the inverse of the matrix.

    By halves, down to matrices of three rows, whose entries are written out.

    Args:
        matrix: symmetric and positive definite.
        least: a positive number that no eigenvalue is below; pivots are lifted to it.
    """
    size, half = len(matrix), len(matrix) // 2
    if size <= _ENTRIES:
        return _written_root(matrix, least)
    first = inverse_root(matrix[:half, :half], least)
    across = product(first, matrix[:half, half:])
    second = inverse_root(matrix[half:, half:] - product(transpose(across), across), least)
    corner = -product(product(second, transpose(across)), first)
    none = jnp.zeros((half, size - half, matrix.shape[-1]), matrix.dtype)
    upper, lower = jnp.concatenate([first, none], 1), jnp.concatenate([corner, second], 1)
    return jnp.concatenate([upper, lower])


def _written_root(matrix: Lanes, least: float) -> Lanes:
    """Elimination, entry by entry."""
    size, zero, one = len(matrix), jnp.zeros_like(matrix[0, 0]), jnp.ones_like(matrix[0, 0])
    rest = [[matrix[i, j] for j in range(size)] for i in range(size)]
    found = [[one if i == j else zero for j in range(size)] for i in range(size)]
    for i in range(size):
        root = jax.lax.rsqrt(jnp.maximum(rest[i][i], least))
        row = [entry * root for entry in rest[i]]
        found[i] = [entry * root for entry in found[i]]
        for k in range(i + 1, size):
            rest[k] = [a - row[k] * b for a, b in zip(rest[k], row, strict=True)]
            found[k] = [a - row[k] * b for a, b in zip(found[k], found[i], strict=True)]
    return jnp.stack([jnp.stack(row) for row in found])


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


def _upper(matrix: Lanes, values: Lanes, least: float | None) -> Lanes:
    """Elimination: the rows of [C', C^-1 B] with C C' = matrix, from the symmetric [matrix, B]."""
    size, table = len(matrix), jnp.concatenate([matrix, values], axis=1)
    if size > _WRITTEN_OUT:

        def step(i: Array, table: Array) -> Array:
            row = _scaled(table[i], i, least)
            after = (jnp.arange(size) > i)[:, None, None]
            rest = table - jnp.where(after, row[:size, None], 0.0) * row
            return rest.at[i].set(row)

        found = jax.lax.fori_loop(0, size, step, table)
        return jnp.where(jnp.tri(*found.shape[:2], k=-1, dtype=bool)[..., None], 0.0, found)
    rows = []
    for i in range(size):
        row = _scaled(table[0], 0, least)
        rows.append(jnp.pad(row, ((i, 0), (0, 0))))
        table = table[1:, 1:] - row[1 : size - i, None] * row[1:]
    return jnp.stack(rows)


def _scaled(row: Array, i: Array | int, least: float | None) -> Array:
    """A row of the table over the root of its pivot, which is its entry i."""
    if least is None:
        return row / jnp.sqrt(row[i])
    pivot = jnp.maximum(row[i], least)
    root = jnp.sqrt(jnp.where(pivot > 0.0, pivot, 1.0))
    return jnp.where(pivot > 0.0, row.at[i].set(pivot) / root, 0.0)
