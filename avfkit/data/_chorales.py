"""Bach's four-part chorales from the scores that the music21 library carries: real, and offline."""

import hashlib
import importlib.metadata
import importlib.util
from pathlib import Path

import numpy as np

from ._cache import cache_folder, read_arrays, write_arrays
from ._dataset import Dataset, Splits
from ._rolls import PARTS, rolls_of, rolls_of_arrays
from ._scores import Chorale, read_chorales, split_of

_FORMAT = 1  # raise it when the way from score to roll changes: old cache files are left behind
_ARRAYS = ("roll", "length", "split", "name", "fifths")


def chorales(cache: str | Path | None = None, *, transpose: bool = False) -> Splits:
    """Bach's four-part chorales in quarter-note steps, from the scores inside music21; no download.

    A step holds the notes of soprano, alto, tenor and bass that sound at that quarter, counted from
    the bar line; repeats are not played twice, silence at either end is cut. The first call reads
    the scores (some seconds) and keeps them in the cache. These are not the "JSB Chorales" rolls of
    the literature (see `jsb`), though mostly the same pieces: results are not comparable.

    The parts are about 60 / 20 / 20 by a hash of the catalogue number. A piece that stands twice in
    the collection, in any key, is taken once; settings that share half of their chord successions
    fall into the same part. The same tune in another harmonisation may stand in several.

    Args:
        cache: the cache folder, by default `AVFKIT_CACHE` or the user's cache folder.
        transpose: shift each piece, by at most six semitones, to the key without sharps and flats
            (C major, A minor; modal signatures as printed). By default the key is the original.

    Raises:
        ImportError: if music21, whose scores these are, is not installed.
        ValueError: if the cache file is truncated or altered.
    """
    version, folder = _corpus()
    path = cache_folder(cache) / f"chorales-{_FORMAT}-music21-{version}.npz"
    if not path.exists():
        _write(path, read_chorales(sorted(folder.glob("bwv*"))))
    arrays = _read(path)
    return Splits(*(_dataset(arrays, part, transpose) for part in range(len(PARTS))))


def _corpus() -> tuple[str, Path]:
    """The version of music21 and the folder of its Bach scores; music21 is not imported."""
    spec = importlib.util.find_spec("music21")
    if spec is None or spec.origin is None:
        raise ImportError(
            "chorales() reads the scores that music21 carries: pip install 'avfkit[music]'."
        )
    return importlib.metadata.version("music21"), Path(spec.origin).parent / "corpus" / "bach"


def _write(path: Path, pieces: tuple[Chorale, ...]) -> None:
    split = split_of(pieces)
    order = np.argsort(split, kind="stable")
    rolls = rolls_of([piece.roll for piece in pieces], split)
    arrays = {
        "roll": rolls.packed,
        "length": rolls.length,
        "split": rolls.split,
        "name": np.array([pieces[i].name for i in order]),
        "fifths": np.array([pieces[i].fifths for i in order], np.int64),
    }
    write_arrays(path, arrays | {"digest": np.array(_digest(arrays))})


def _read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of the cache file.

    Raises:
        ValueError: if they are not what was written.
    """
    arrays = read_arrays(path, (*_ARRAYS, "digest"))
    stored, found = str(arrays.pop("digest")), _digest(arrays)
    if found != stored:
        raise ValueError(
            f"{path} was altered: the SHA-256 of its content is {found}, expected {stored}. "
            "Delete it, and the next call makes it anew."
        )
    return arrays


def _digest(arrays: dict[str, np.ndarray]) -> str:
    rolls = rolls_of_arrays("chorales", arrays)
    rest = "\n".join(f"{n} {f}" for n, f in zip(arrays["name"], arrays["fifths"], strict=True))
    return hashlib.sha256(f"{rolls.digest()}\n{rest}".encode()).hexdigest()


def _dataset(arrays: dict[str, np.ndarray], part: int, transpose: bool) -> Dataset:
    songs = rolls_of_arrays("chorales", arrays).songs(part)
    if transpose:
        fifths = arrays["fifths"][arrays["split"] == part]
        songs = tuple(np.roll(s, _shift(int(f)), 1) for s, f in zip(songs, fifths, strict=True))
    key = "transposed to no sharps or flats" if transpose else "in the original key"
    return Dataset(
        name=f"Bach chorales (music21), {PARTS[part]}",
        sequences=songs,
        description=f"88-key piano roll, {key}: column k is MIDI note 21 + k, 1 where it sounds",
        source="the scores of J. S. Bach's chorales in the music21 library",
        licence="music: public domain; scores: as music21 states for its corpus",
        step="quarter note",
    )


def _shift(fifths: int) -> int:
    """Semitones, -6 to 5, from a key of so many sharps (or flats, negative) to one of none."""
    return (-7 * fifths + 6) % 12 - 6
