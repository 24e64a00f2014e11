"""The leaves of a pytree as plain facts (path, shape, dtype) and as plain bytes.

Arrays are stored: JAX arrays of any dtype, NumPy arrays, typed keys (by their key data). Of Python
numbers and strings the value is described, to be compared. Other leaves, such as functions, are
neither. Bytes are in C order and little-endian.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import PyTree, UInt8

Description = dict[str, Any]


def copied(tree: PyTree) -> PyTree:
    """Copies every array, so that donating the copy leaves the original alone.

    A copy is never weakly typed: a weak type would be lost at the first update, and the step would
    compile twice.
    """

    def copy(leaf: Any) -> Any:
        return jnp.array(leaf, leaf.dtype) if isinstance(leaf, jax.Array) else jnp.array(leaf)

    return jax.tree.map(lambda leaf: copy(leaf) if eqx.is_array(leaf) else leaf, tree)


def describe(tree: PyTree) -> list[Description]:
    """What a tree looks like, leaf by leaf: path, and shape and dtype or value."""
    described = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path)
        if is_stored(leaf):
            described.append({"path": name, "shape": [*leaf.shape], "dtype": str(leaf.dtype)})
        elif isinstance(leaf, bool | int | float | complex | str):
            described.append({"path": name, "value": repr(leaf)})
    return described


def say(leaf: Any) -> str:
    """One description in words, for an error message; it may come from an altered file."""
    match leaf:
        case None:
            return "missing"
        case {"path": path, "value": value}:
            return f"{path} = {value}"
        case {"path": path, "shape": list(shape), "dtype": dtype}:
            return f"{path} of shape {tuple(shape)} and dtype {dtype}"
    return "no description of a leaf"


def is_stored(leaf: Any) -> bool:
    """Whether a leaf is an array, or stands for one."""
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


def to_bytes(tree: PyTree) -> list[UInt8[np.ndarray, " bytes"]]:
    """The bytes of every array of a tree, in the order of its leaves."""
    arrays = [leaf for leaf in jax.tree.leaves(tree) if is_stored(leaf)]
    bits = [jr.key_data(leaf) if _is_key(leaf) else leaf for leaf in arrays]
    return [np.asarray(leaf, order="C").reshape(-1).view(np.uint8) for leaf in bits]


def num_bytes(like: PyTree) -> int:
    """How many bytes `to_bytes` would give."""
    arrays = [leaf for leaf in jax.tree.leaves(like) if is_stored(leaf)]
    specs = [jax.eval_shape(jr.key_data, leaf) if _is_key(leaf) else leaf for leaf in arrays]
    return sum(int(spec.size) * np.dtype(spec.dtype).itemsize for spec in specs)


def from_bytes(content: bytes, like: PyTree) -> PyTree:
    """The inverse of `to_bytes`, for a tree of the same structure, shapes and dtypes."""
    leaves, structure = jax.tree.flatten(like)
    offset, loaded = 0, []
    for leaf in leaves:
        if is_stored(leaf):
            spec = jax.eval_shape(jr.key_data, leaf) if _is_key(leaf) else leaf
            bits = np.frombuffer(content, spec.dtype, spec.size, offset).reshape(spec.shape)
            offset += bits.nbytes
            leaf = _array_like(bits, leaf)
        loaded.append(leaf)
    return jax.tree.unflatten(structure, loaded)


def _array_like(bits: np.ndarray, like: Any) -> Any:
    if isinstance(like, np.ndarray | np.generic):
        return bits.copy()
    if _is_key(like):
        return jr.wrap_key_data(jnp.array(bits), impl=jr.key_impl(jnp.empty((), like.dtype)))
    return jnp.array(bits)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
