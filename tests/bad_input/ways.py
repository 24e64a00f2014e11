"""Ways to spoil an argument: arrays, keys and numbers that are not what was asked for."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from hypothesis import strategies as st

SHAPES = {
    "one axis more": lambda a: a[None],
    "one axis less": lambda a: a[0] if a.ndim else a,
    "length zero": lambda a: a[:0] if a.ndim else a,
    "length one": lambda a: a[:1] if a.ndim else a,
    "one entry more": lambda a: np.concatenate([a, a[-1:]]) if a.ndim and len(a) else a,
    "narrower": lambda a: a[..., :1] if a.ndim else a,
    "two axes more": lambda a: a[None, None],
    "another shape": lambda a: st.lists(st.integers(0, 4), max_size=4).map(
        lambda shape: np.ones(shape, a.dtype)
    ),
}
KINDS = {
    **{kind: lambda a, kind=kind: np.asarray(a).astype(kind) for kind in
       ("float16", "float32", "float64", "int32", "int64", "uint8", "bool", "complex64")},
    "objects": lambda a: np.asarray(a).astype(object),
    "other byte order": lambda a: np.asarray(a).astype(np.asarray(a).dtype.newbyteorder()),
    "words": lambda a: np.asarray(a).astype(str),
    "None": lambda a: None,
    "a word": lambda a: "word",
}  # fmt: skip
VALUES = {
    "huge": lambda a: np.asarray(a) * 1e30,
    "tiny": lambda a: np.asarray(a) * 1e-30,
    "NaN": lambda a: np.asarray(a) * np.nan,
    "infinite": lambda a: np.full(np.shape(a), np.inf),
    "negative": lambda a: -np.abs(a) - 1.0,
    "scaled": lambda a: st.floats(-1e300, 1e300).map(lambda scale: np.asarray(a) * scale),
}
LAYOUTS = {
    "reversed in memory": lambda a: np.ascontiguousarray(np.asarray(a)[::-1])[::-1],
    "every second entry": lambda a: np.repeat(np.asarray(a), 2, axis=-1)[..., ::2],
    "columns first": lambda a: np.asfortranarray(a),
    "read-only": lambda a: read_only(a),
}
NUMBERS = {
    **{repr(value): lambda a, value=value: value for value in
       (0, -1, 1, 2.5, None, "3", True, np.int64(2), np.float32(2.0), 1j, np.nan, np.inf)},
    "an array": lambda a: np.full(2, a),
    "an integer": lambda a: st.integers(-(2**70), 4),
    "a fraction": lambda a: st.floats(max_value=2.0),
}  # fmt: skip
KEYS = {
    "raw": lambda key: jr.key_data(key),
    "raw of NumPy": lambda key: np.asarray(jr.key_data(key)),
    "two": lambda key: jr.split(key, 2),
    "a seed": lambda key: 0,
    "None": lambda key: None,
}
NO_NUMBERS = {*KEYS, "complex64", "objects", "words", "a word", "1j", "'3'"} - {"None"}
ALWAYS_WRONG = NO_NUMBERS | {"two axes more", "-1", "an array"}
SAME_SHAPE = {*KINDS, *VALUES, *LAYOUTS} - {"None"}


def is_key(leaf):
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def is_number(leaf):
    return isinstance(leaf, int | float) and not isinstance(leaf, bool)


def ways(leaf, costly):
    """The ways to spoil an argument, by name; of a costly function what it must refuse."""
    if is_key(leaf):
        found = KEYS
    elif is_number(leaf):
        found = NUMBERS
    else:
        found = SHAPES | KINDS | (LAYOUTS if leaf.ndim else {})
        found |= VALUES if jnp.issubdtype(leaf.dtype, jnp.floating) else {}
    return {name: way for name, way in found.items() if not costly or name in ALWAYS_WRONG}


def read_only(array):
    array = np.array(array)
    array.flags.writeable = False
    return array
