"""From scores to chorales: what the voices sing at each quarter, and which pieces are the same.

Whether two pieces are the same is asked in a way that no transposition changes.
"""

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from ._musicxml import Part, read_parts
from ._rolls import KEYS, LOWEST_NOTE

_VOICES = ("soprano", "alto", "tenor", "bass")
_SHARES = (0.6, 0.8)  # of the unit interval: train below the first, valid below the second
_SILENT = 0.25  # a score whose voices rest longer is a chorus with interludes, not a chorale
_SAME = 0.5  # share of chord successions from which two scores count as one harmonisation


_MOST_STEPS = 2**16  # quarters of a score


class Chorale(NamedTuple):
    """A chorale as a roll `[time, 88]`; `fifths` counts its sharps (or flats, negative)."""

    name: str
    roll: UInt8[np.ndarray, "time 88"]
    fifths: int


def read_chorales(paths: Sequence[Path]) -> tuple[Chorale, ...]:
    """The chorales among the given MusicXML scores, each once, in the order of their names."""
    found: dict[bytes, Chorale] = {}
    for path in paths:
        if path.suffix in (".mxl", ".xml", ".musicxml"):
            roll, fifths = _roll(read_parts(path))
            if len(roll):
                lowest = int(np.flatnonzero(roll.any(0))[0])
                in_any_key = np.roll(roll, -lowest, 1).tobytes()
                found.setdefault(in_any_key, Chorale(path.stem, roll, fifths))
    return tuple(found.values())


def split_of(pieces: Sequence[Chorale]) -> tuple[int, ...]:
    """The part of each piece: 0, 1 or 2, by the hash of the first name of its group."""
    group = list(range(len(pieces)))
    for one, other in _related(pieces):
        first, second = sorted((group[one], group[other]))
        group = [first if g == second else g for g in group]
    return tuple(_part(_catalogue(pieces[g].name)) for g in group)


def _roll(parts: Sequence[Part]) -> tuple[UInt8[np.ndarray, "time 88"], int]:
    """What the four voices sing at each quarter; empty if the score is no four-part chorale."""
    named = [(p.name.split() or [""])[0].lower() for p in parts]
    if any(named.count(voice) != 1 for voice in _VOICES):
        return np.zeros((0, KEYS), np.uint8), 0
    voices = [parts[named.index(voice)] for voice in _VOICES]
    pickup = voices[0].bar % 1
    steps = math.ceil(max(p.length for p in voices) - pickup)
    if steps > _MOST_STEPS:
        raise ValueError(f"a score has {steps:,} quarters, expected at most {_MOST_STEPS:,}.")
    roll = np.zeros((steps, KEYS), np.uint8)
    for note in (note for voice in voices for note in voice.notes):
        start, end = (max(math.ceil(t - pickup), 0) for t in (note.start, note.end))
        roll[start:end, note.pitch - LOWEST_NOTE] = 1
    sounding = np.flatnonzero(roll.any(1))
    if len(sounding) == 0 or 1 - len(sounding) / len(roll) > _SILENT:
        return roll[:0], 0
    return roll[sounding[0] : sounding[-1] + 1], voices[0].fifths


def _successions(roll: np.ndarray) -> set[tuple[tuple[int, ...], ...]]:
    """Pairs of neighbouring chords, as intervals from the first one's highest note."""
    chords = [np.flatnonzero(step) for step in roll]
    both = ((a, b) for a, b in pairwise(chords) if len(a) and len(b))
    return {(tuple((a - a[-1]).tolist()), tuple((b - a[-1]).tolist())) for a, b in both}


def _related(pieces: Sequence[Chorale]) -> Iterator[tuple[int, int]]:
    """Pairs of pieces with one catalogue number, or with the same harmonisation in any key."""
    signs = [_successions(piece.roll) for piece in pieces]
    shared = _pairs(signs)
    for (one, other), count in shared.items():
        if count >= _SAME * min(len(signs[one]), len(signs[other])):
            yield one, other
    yield from _pairs([{_catalogue(piece.name)} for piece in pieces])


def _pairs(signs: Sequence[Iterable[Hashable]]) -> Counter[tuple[int, int]]:
    """How many signs each two sets have in common, where they have any."""
    holders: dict[Hashable, list[int]] = defaultdict(list)
    for i, members in enumerate(signs):
        for sign in members:
            holders[sign].append(i)
    return Counter(pair for sharing in holders.values() for pair in combinations(sharing, 2))


def _catalogue(name: str) -> str:
    """The number in the catalogue of Bach's works, without what tells versions apart."""
    match = re.match(r"bwv\d+(\.\d+)?", name)
    return match.group() if match else name


def _part(key: str) -> int:
    unit = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64
    return sum(unit >= edge for edge in _SHARES)
