"""Arrays as text for a page: rounded to 256 or 65 536 levels, deflated, base64.

An array is stored as codes 0..L, L = 255 or 65 535, with value = low + code * step. The largest
error is step / 2: 0.2 % of the array's range in one byte, 0.0008 % in two. A page unpacks the same
doubles as `unpack` (static/table_core.js).
"""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def pack(
    arrays: Mapping[str, np.ndarray],
    bits: Mapping[str, int],
    ranges: Mapping[str, tuple[float, float]] | None = None,
) -> dict[str, Any]:
    """Quantise arrays and pack them into one text.

    Args:
        arrays: finite arrays by name.
        bits: 8 or 16, for each name.
        ranges: for some names, the values of the first and the last level; the rest span their
            own smallest and largest value. Values beyond become the nearest level.

    Returns:
        What JSON can hold: `blob` and, per array, its shape, bits, `low` and `step`.

    Raises:
        ValueError: if an array holds NaN or infinity, or `bits` is neither 8 nor 16.
    """
    ranges = {} if ranges is None else ranges
    heads, codes = [], []
    for name, array in arrays.items():
        array = np.asarray(array, np.float64)
        _check(name, array, bits[name])
        low, high = ranges.get(name, (float(array.min()), float(array.max())))
        levels = 2 ** bits[name] - 1
        step = (high - low) / levels or 1.0
        code = np.clip(np.rint((array - low) / step), 0, levels)
        codes.append(code.astype("<u1" if bits[name] == 8 else "<u2").tobytes())
        head = dict(name=name, shape=list(array.shape), bits=bits[name], low=low, step=step)
        heads.append(head)
    blob = base64.b64encode(zlib.compress(b"".join(codes), 9)).decode()
    return {"arrays": heads, "blob": blob}


def unpack(packed: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays as the page sees them.

    Args:
        packed: what `pack` returned.

    Returns:
        Arrays by name, each within half a step of what was packed (or of its range).
    """
    content, start, arrays = zlib.decompress(base64.b64decode(packed["blob"])), 0, {}
    for head in packed["arrays"]:
        kind = "<u1" if head["bits"] == 8 else "<u2"
        count = int(np.prod(head["shape"], dtype=int))
        codes = np.frombuffer(content, kind, count, start).reshape(head["shape"])
        arrays[head["name"]] = head["low"] + codes.astype(np.float64) * head["step"]
        start += codes.nbytes
    return arrays


def _check(name: str, array: np.ndarray, bits: int) -> None:
    if bits not in (8, 16):
        raise ValueError(f"{name}: bits is {bits}, expected 8 or 16.")
    if not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} is {array[place]} at {place}; expected finite numbers.")
