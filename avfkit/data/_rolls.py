"""Piano rolls in a canonical form, whose digest says whether two copies are the same music.

A roll is `[time, 88]`: column k is MIDI note 21 + k, 1 where it sounds. Canonically the songs of
the training, validation and test part lie end to end, 88 bits packed into 11 bytes a step.
"""

import hashlib
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

KEYS = 88
LOWEST_NOTE = 21
_MOST_STEPS, _MOST_NOTES = 2**22, 2**24  # of a set; the largest has a tenth of them
HIGHEST_NOTE = LOWEST_NOTE + KEYS - 1
PARTS = ("train", "valid", "test")


class Rolls(NamedTuple):
    """The songs of one set.

    Attributes:
        packed: 88 bits a step in 11 bytes, all songs end to end.
        length: steps of each song.
        split: 0 training, 1 validation, 2 test, per song; in this order.
    """

    packed: UInt8[np.ndarray, "time 11"]
    length: Int[np.ndarray, " songs"]
    split: UInt8[np.ndarray, " songs"]

    def counts(self) -> tuple[int, ...]:
        """Songs in the training, validation and test part."""
        return tuple(int((self.split == part).sum()) for part in range(len(PARTS)))

    def songs(self, part: int) -> tuple[Float[np.ndarray, "time 88"], ...]:
        """The songs of a part as rolls of zeros and ones."""
        bits = np.split(self.packed, np.cumsum(self.length)[:-1])
        chosen = [b for b, split in zip(bits, self.split, strict=True) if split == part]
        return tuple(np.unpackbits(b, axis=1, count=KEYS).astype(np.float32) for b in chosen)

    def digest(self) -> str:
        """SHA-256 of the content: lengths, split and bits, whatever file they came from."""
        sha = hashlib.sha256(b"avfkit rolls 1\n")
        for array, kind in ((self.length, "<i8"), (self.split, "u1"), (self.packed, "u1")):
            sha.update(np.int64(array.size).astype("<i8").tobytes())
            sha.update(np.ascontiguousarray(array, kind).tobytes())
        return sha.hexdigest()


def rolls_of(songs: Sequence[np.ndarray], split: Sequence[int]) -> Rolls:
    """The canonical form of rolls `[time, 88]` of zeros and ones, sorted by part."""
    order = np.argsort(np.asarray(split), kind="stable")
    packed = [np.packbits(np.asarray(songs[i], np.uint8), axis=1) for i in order]
    return Rolls(
        np.concatenate(packed),
        np.array([len(p) for p in packed], np.int64),
        np.asarray(split, np.uint8)[order],
    )


def rolls_of_notes(where: str, parts: Any) -> Rolls:
    """The canonical form of `{"train": songs, ...}`; a song is a list of lists of MIDI notes.

    This is how the published pickles and their JSON copies are laid out; a silent step is an empty
    list.

    Raises:
        ValueError: if a part is missing or empty, or a note is not an integer in 21..108.
    """
    if not isinstance(parts, Mapping) or any(part not in parts for part in PARTS):
        found = sorted(map(str, parts)) if isinstance(parts, Mapping) else type(parts).__name__
        raise ValueError(f"{where} holds {found}, expected the parts {list(PARTS)}.")
    songs: list[np.ndarray] = []
    split: list[int] = []
    _check_size(where, parts)
    for code, part in enumerate(PARTS):
        if not isinstance(parts[part], list | tuple):
            raise ValueError(f"{where}: {part} is not a list of songs.")
        for number, song in enumerate(parts[part]):
            songs.append(_roll(f"{where}: {part} song {number}", song))
            split.append(code)
    if not songs:
        raise ValueError(f"{where} holds no songs.")
    return rolls_of(songs, split)


def _check_size(where: str, parts: Mapping[str, Any]) -> None:
    """Refuses what a small file may become in which one list stands in many places."""
    lists = [part for part in parts.values() if isinstance(part, list | tuple)]
    songs = [song for part in lists for song in part if isinstance(song, list | tuple)]
    most, size = _MOST_STEPS, sum(map(len, songs))
    if size <= most:
        steps = (step for song in songs for step in song if isinstance(step, list | tuple))
        most, size = _MOST_NOTES, sum(map(len, steps))
    if size > most:
        kind = "steps" if most == _MOST_STEPS else "notes"
        raise ValueError(f"{where} holds {size:,} {kind}, expected at most {most:,}.")


def rolls_of_arrays(where: str, arrays: Mapping[str, np.ndarray]) -> Rolls:
    """The canonical form of the arrays `roll`, `length` and `split` of an `.npz`.

    Raises:
        ValueError: if their shapes do not belong together: the file is truncated or altered.
    """
    packed, length, split = (arrays[name] for name in ("roll", "length", "split"))
    ok = packed.ndim == 2 and packed.shape[1] == KEYS // 8 and packed.dtype == np.uint8
    if not ok:
        raise ValueError(
            f"{where}: roll is {packed.dtype} {packed.shape}, expected uint8 (steps, {KEYS // 8})."
        )
    if length.ndim != 1 or length.shape != split.shape or (length < 1).any():
        raise ValueError(
            f"{where}: length {length.shape} and split {split.shape} must be vectors of the same "
            "size, with lengths of at least 1."
        )
    if length.sum() != len(packed):
        raise ValueError(
            f"{where}: roll has {len(packed)} steps, expected {length.sum()}, the sum of length. "
            "The file is truncated or altered: delete it, and fetch or copy it again."
        )
    if (np.diff(split.astype(int)) < 0).any() or not np.isin(split, range(len(PARTS))).all():
        raise ValueError(f"{where}: split must be 0, 1 or 2, ascending.")
    return Rolls(packed, length.astype(np.int64), split.astype(np.uint8))


def _roll(where: str, song: Any) -> UInt8[np.ndarray, "time 88"]:
    if not isinstance(song, list | tuple) or not all(isinstance(n, list | tuple) for n in song):
        raise ValueError(f"{where} is not a list of lists of notes.")
    if len(song) == 0:
        raise ValueError(f"{where} is empty, expected at least one step.")
    roll = np.zeros((len(song), KEYS), np.uint8)
    for step, notes in enumerate(song):
        for note in notes:
            if not isinstance(note, int | np.integer) or not LOWEST_NOTE <= note <= HIGHEST_NOTE:
                raise ValueError(
                    f"{where}, step {step}: found the note {reprlib.repr(note)}, expected an "
                    f"integer in {LOWEST_NOTE}..{HIGHEST_NOTE}."
                )
            roll[step, note - LOWEST_NOTE] = 1
    return roll
