"""A heat map as a tiny PNG written by hand, for the picture that needs no script."""

import base64
import re
import struct
import zlib
from typing import Any

import numpy as np
from plotly.colors import get_colorscale

_Colors = list[tuple[float, tuple[float, float, float, float]]]


def heatmap_png(trace: dict[str, Any], *, flip: bool) -> str:
    """Paint the grid `z` of a heat map, one pixel a cell.

    Args:
        trace: a plotly heat map with `z` as rows of numbers; None is left transparent.
        flip: whether the first row lies at the bottom.

    Returns:
        A `data:` address of the PNG.
    """
    grid = np.asarray(
        [[np.nan if v is None else float(v) for v in row] for row in trace["z"]], dtype=float
    )
    finite = grid[np.isfinite(grid)]
    low = trace.get("zmin", finite.min() if finite.size else 0.0)
    high = trace.get("zmax", finite.max() if finite.size else 1.0)
    share = np.clip((grid - low) / ((high - low) or 1.0), 0.0, 1.0)
    stops = _stops(trace.get("colorscale", "cividis"))
    at = [stop for stop, _ in stops]
    bands = [np.interp(share, at, [color[i] for _, color in stops]) for i in range(4)]
    pixels = np.stack(bands, axis=-1)
    pixels[~np.isfinite(grid)] = 0.0
    rows = np.nan_to_num(pixels).round().astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(_png(rows[::-1] if flip else rows)).decode()


def _stops(scale: Any) -> _Colors:
    pairs = get_colorscale(scale) if isinstance(scale, str) else scale
    return [(float(stop), _rgba(color)) for stop, color in pairs]


def _rgba(color: str) -> tuple[float, float, float, float]:
    if color.startswith("#"):
        red, green, blue = (float(int(color[i : i + 2], 16)) for i in (1, 3, 5))
        return red, green, blue, 255.0
    numbers = [float(number) for number in re.findall(r"[\d.]+", color)]
    if len(numbers) not in (3, 4):
        raise ValueError(f"colorscale must hold '#rrggbb' or 'rgb(...)' colours, found {color!r}")
    alpha = 255.0 * numbers[3] if len(numbers) == 4 else 255.0
    return numbers[0], numbers[1], numbers[2], alpha


def _png(rows: np.ndarray) -> bytes:
    height, width, _ = rows.shape
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
