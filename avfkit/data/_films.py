"""Films of small grey pictures: what `films`, `kth` and the moving digits have in common.

A step is a frame, its pixels in rows from the top left, in [0, 1]: black is 0.

Pixels are the levels k / 255, and the window is the 1/256 of Marino et al. (2018), so that nats
compare with theirs. Levels lie 1/255 apart: bins of 1/256 around them leave gaps, and where the
density is wide against a level their probabilities sum to 255/256. They are never too large, each
bin being part of the one that tiles, so that a free energy stays an upper bound; it is too high by
about log(256 / 255) nats per pixel, which is 16 nats in a frame of 64x64. For bins that tile, give
model and baseline 1/255: `SVG(..., window=1 / 255)`, `dataclasses.replace(part, window=1 / 255)`.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ._dataset import Dataset, Splits
from ._levels import Levels
from ._recordings import Prepared, Recordings

WHITE = 255
WINDOW = 1 / 256  # of the likelihood, as Marino et al. (2018) have it; see above
_PARTS = ("train", "valid", "test")

MOTION = Prepared(
    "the CMU films",
    "cmu_motion",
    "cmu_motion.npz",
    "f8e6d8e0dcf38eb5e421cc6dd5a2f77aca9157e40d85fd4365e0d5abd9281c02",
)


class Words(NamedTuple):
    """What a reader must know of a set of films."""

    title: str
    description: str
    source: str
    licence: str


def films(folder: str | Path | None = None) -> Splits:
    """77 films of people walking and exercising: silhouettes of real motion, 64x64, 24 per second.

    Rendered from the CMU motion capture database, seen from the side by a fixed camera. Cut by
    person: 50 / 13 / 14 films, 6,314 / 958 / 2,788 frames.

    As in every film of `avfkit.data`, pixels are the levels k / 255 and `window` is 1/256, as
    Marino et al. (2018) have it. Bins of that width around the levels do not quite tile: nats are
    too high, by about log(256 / 255) per pixel, and never too low.

    Args:
        folder: where `cmu_motion.npz` lies, there or in its `cmu_motion/`; by default the folder
            that the environment variable `AVFKIT_DATA` names.

    Returns:
        Frames `[time, 4096]` of shape (64, 64) in [0, 1].

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is truncated or altered.

    References:
        CMU Graphics Lab Motion Capture Database, mocap.cs.cmu.edu, NSF EIA-0196217.
    """
    arrays = MOTION.read(folder, ("frames", "length", "split", "action"))
    recordings = Recordings(arrays["frames"], arrays["length"], arrays["action"])
    words = Words(
        "CMU films",
        "silhouettes of people in motion, 4 m wide",
        "rendered from the CMU Graphics Lab Motion Capture Database (mocap.cs.cmu.edu), which was "
        "created with funding from NSF EIA-0196217; split by person",
        "free for research; may be part of products, may not be resold, even converted",
    )
    return film_splits(recordings, arrays["split"], words, 24)


def film_splits(
    recordings: Recordings, split: np.ndarray, words: Words, rate: int | float
) -> Splits:
    """Films of bytes as data sets of pixels in [0, 1].

    Args:
        recordings: frames `[time, height, width]` from 0 to 255, end to end.
        split: 0, 1 or 2 of each film.
        words: for the reader.
        rate: frames per second.

    Raises:
        ValueError: if a part has no film.
    """
    shape = recordings.values.shape[1:]
    pixels = recordings.values.reshape(len(recordings.values), -1)
    cut = np.split(pixels, np.cumsum(recordings.length)[:-1])

    def part(code: int) -> Dataset:
        name = f"{words.title}, {_PARTS[code]}"
        return Dataset(
            name=name,
            sequences=tuple(
                Levels(film, 0.0, float(WHITE))
                for film, p in zip(cut, split, strict=True)
                if p == code
            ),
            description=f"{words.description}; {shape[0]}x{shape[1]} grey pixels in [0, 1], in "
            "rows from the top left",
            source=words.source,
            licence=words.licence,
            step=f"frame, {1000 / rate:.4g} ms",
            scale=float(WHITE),
            window=WINDOW,
            rate=float(rate),
            shape=shape,
        )

    return Splits(part(0), part(1), part(2))
