"""A small reader of MATLAB files (level 5): cells of full numeric arrays, and nothing else.

scipy's reader may crash the process on an altered file, and a file from elsewhere is not trusted
that far. Nothing is read beyond the end, and nothing is larger than what a tag's bytes hold.

Reference: MathWorks (2024), "MAT-file format", level 5.
"""

import math
import struct
import zlib
from collections.abc import Iterator

import numpy as np

_KINDS = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4"},
    **{9: "f8", 12: "i8", 13: "u8"},
}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _NUMBERS, _COMPLEX = 1, range(6, 16), 0x800
_HEADER = 128
_LARGEST = 2**28  # bytes that a variable may unpack to


def read_cells(content: bytes) -> dict[str, list[np.ndarray]]:
    """The cells of a file by name, each as the list of its arrays; other variables are left out.

    Raises:
        ValueError: if the file is no MATLAB file of level 5, or is truncated or altered.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER])
    if order is None:
        raise ValueError("it has no header of MATLAB 5")
    cells = {}
    for kind, data in _elements(content[_HEADER:], order):
        if kind == _COMPRESSED:
            kind, data = next(_elements(_unpacked(data), order))
        if kind == _MATRIX:
            name, arrays = _variable(data, order)
            cells |= {} if arrays is None else {name: arrays}
    return cells


def _unpacked(data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(data, _LARGEST)
    if unpacker.unconsumed_tail:
        raise ValueError(f"a variable unpacks to more than {_LARGEST:,} bytes")
    return content


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """The kind and the bytes of one element after the other."""
    at = 0
    while at < len(data):
        if at + 8 > len(data):
            raise ValueError("it ends within a tag")
        kind, size = struct.unpack_from(f"{order}II", data, at)
        small = kind >> 16  # the size, and up to four bytes, are within the tag
        start, end = at + 8, at + 8 + size + (0 if kind == _COMPRESSED else -size % 8)
        if small:
            kind, size, start, end = kind & 0xFFFF, small, at + 4, at + 8
        if start + size > len(data) or (small and size > 4):
            raise ValueError(f"a tag asks for {size:,} bytes, it holds {len(data) - start:,}")
        yield kind, data[start : start + size]
        at = end


def _variable(data: bytes, order: str) -> tuple[str, list[np.ndarray] | None]:
    """The name of a variable, and its arrays if it is a cell."""
    parts = _elements(data, order)
    flags, shape, name = _head(parts, order)
    if flags & 0xFF != _CELL:
        return name, None
    arrays = [_array(inner, order) for kind, inner in parts if kind == _MATRIX]
    if len(arrays) != math.prod(shape):
        raise ValueError(f"the cell {name!r} holds {len(arrays)} arrays, its size is {shape}")
    return name, arrays


def _array(data: bytes, order: str) -> np.ndarray:
    parts = _elements(data, order)
    flags, shape, _ = _head(parts, order)
    if flags & 0xFF not in _NUMBERS or flags & _COMPLEX:
        raise ValueError("a cell holds something else than full real arrays of numbers")
    kind, values = next(parts, (0, b""))
    dtype = np.dtype(order + _KINDS.get(kind, "u1"))
    if kind not in _KINDS or len(values) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"an array of size {shape} has {len(values):,} bytes of kind {kind}")
    return np.frombuffer(values, dtype).reshape(shape, order="F")


def _head(parts: Iterator[tuple[int, bytes]], order: str) -> tuple[int, tuple[int, ...], str]:
    """The flags, the size and the name with which every variable begins."""
    head = [next(parts, (0, b""))[1] for _ in range(3)]
    if len(head[0]) != 8 or len(head[1]) % 4 or len(head[1]) < 8:
        raise ValueError("a variable has no flags or no size")
    shape = struct.unpack(f"{order}{len(head[1]) // 4}i", head[1])
    if min(shape) < 0:
        raise ValueError(f"a variable has the size {shape}")
    return struct.unpack(f"{order}I", head[0][:4])[0], shape, head[2].decode("latin1")
