"""KTH Actions from the user's own copy: found, counted, split and decoded once.

References:
    Schuldt, Laptev and Caputo (2004), "Recognizing human actions: a local SVM approach", ICPR.
    Marino, Cvitkovic and Yue (2018), "A general method for amortizing variational filtering",
    and the code of its authors: the split, and that the last frame of a sequence is left out.
"""

import re
import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ._avi import DECODING, Film, films_below, read_film
from ._cache import cache_folder
from ._dataset import Splits
from ._films import Words, film_splits
from ._recordings import decoded, fingerprint, index_path

_ACTIONS = ("walking", "jogging", "running", "boxing", "handwaving", "handclapping")
_PERSONS = (
    (11, 12, 13, 14, 15, 16, 17, 18),
    (19, 20, 21, 23, 24, 25, 1, 4),
    (22, 2, 3, 5, 6, 7, 8, 9, 10),
)
_SEQUENCES = (760, 768, 863)
_NEVER_MADE = "person13_handclapping_d3"
_RATE = 25
_SHAPE = (64, 64)
_CUTTING = 1  # raise it with any change of which frames a sequence has: cached ones are old then
_LIST = "00sequences.txt"
_ENTRY = re.compile(r"(person\d\d_[a-z]+_d\d)\s+frames\s+((?:\d+-\d+[,\s]*)+)")
_SLACK = 12  # frames, half a second, that a film may lack of the last sequence in it


class _Sequence(NamedTuple):
    film: str
    number: int
    start: int
    end: int

    @property
    def person(self) -> int:
        return int(self.film[len("person") :][:2])


def kth(folder: str | Path, *, complete: bool = True, cache: str | Path | None = None) -> Splits:
    """KTH Actions, from your own copy: 760 / 768 / 863 sequences of 25 frames per second.

    Persons 11 to 18 for training, 19 20 21 23 24 25 01 04 for validation, the others for test. A
    sequence has the frames from its start to one before its end in the official list, as the
    authors of AVF cut them; grey, made 64x64 by bilinear interpolation, divided by 255. (Those
    authors also stretched the contrast of every frame, by way of the library they saved it with.)

    Decoders may lose the last frames of a film. A film may end up to 12 frames before the last
    frame that the list asks of it: the sequence then ends with the film, is never padded, and keeps
    at least one frame. A warning counts such sequences and the frames they lack. A film that is
    shorter still is refused.

    Args:
        folder: the copy: the films `personPP_ACTION_dN_uncomp.avi`, unpacked or in the published
            `.zip` files, and the list `00sequences.txt`, anywhere below.
        complete: refuse a copy that lacks films, naming them; `False` takes what is there.
        cache: where the decoded pictures are kept, by default `AVFKIT_CACHE` or the user's cache
            folder: 0.9 GB, memory-mapped.

    Returns:
        Frames `[time, 4096]` of shape (64, 64) in [0, 1]; of their `window` see `films`.

    Raises:
        FileNotFoundError: if there is no list of sequences, or no film.
        ImportError: if PyAV or Pillow is not installed.
        ValueError: if films are missing, or a file is truncated or altered.

    Warns:
        UserWarning: if sequences end before the list says.

    References:
        Marino, Cvitkovic and Yue (2018), appendix; Schuldt, Laptev and Caputo (2004).
    """
    place = Path(folder).expanduser()
    listed = _listed(place)
    films = films_below(place)
    missing = _missing(listed, films)
    if missing and complete:
        raise ValueError(
            f"{place} is not all of KTH Actions: {missing}. Copy what is missing, or pass "
            "complete=False to take what is there; results are then not comparable."
        )
    mine = [s for s in listed if s.film in films]
    if not mine:
        raise FileNotFoundError(f"folder {str(folder)!r} holds no film of {_LIST}.")
    files = sorted({film.path for film in films.values()} | {_list(place)})
    index = index_path(cache_folder(cache), "kth", fingerprint(files), DECODING, _CUTTING)
    recordings = decoded(index, lambda: _decode(mine, films), len(mine))
    _warn_of_short(place, mine, recordings.length)
    split = np.array([next(i for i, p in enumerate(_PERSONS) if s.person in p) for s in mine])
    words = Words(
        "KTH Actions" if not missing else "KTH Actions (incomplete)",
        "people walking, jogging, running, boxing, waving and clapping",
        "KTH Actions, Schuldt, Laptev and Caputo (2004); split by person as Marino et al. (2018)",
        "non-commercial use, see www.csc.kth.se/cvap/actions",
    )
    return film_splits(recordings, split, words, _RATE)


def _list(folder: Path) -> Path:
    found = [p for p in sorted(folder.rglob("*.txt")) if p.name.lower() == _LIST]
    if not found:
        raise FileNotFoundError(
            f"folder {str(folder)!r} holds no {_LIST}, the official list of sequences: "
            "it is published beside the films."
        )
    return found[0]


def _listed(folder: Path) -> list[_Sequence]:
    """The sequences of the official list, in the order of person, action, scene and time."""
    path = _list(folder)
    found = set[_Sequence]()
    for match in _ENTRY.finditer(path.read_text("latin1")):
        ranges = re.findall(r"(\d+)-(\d+)", match[2])
        found |= {_Sequence(match[1], i, int(s), int(e)) for i, (s, e) in enumerate(ranges)}
    for sequence in found:
        if not 1 <= sequence.start < sequence.end or not 1 <= sequence.person <= 25:
            raise ValueError(
                f"{path}: {sequence.film} has the frames {sequence.start}-{sequence.end}, expected "
                "a start of at least 1, a later end, and a person of 1 to 25."
            )
    return sorted(found)


def _missing(listed: list[_Sequence], films: dict[str, Film]) -> str:
    """What a copy lacks, in words; empty if nothing."""
    scenes = product(range(1, 26), _ACTIONS, range(1, 5))
    names = [f"person{person:02}_{action}_d{scene}" for person, action, scene in scenes]
    names = sorted({*names} - {_NEVER_MADE})
    lacking = [name for name in names if name not in films]
    counts = tuple(sum(s.person in persons for s in listed) for persons in _PERSONS)
    reasons = []
    if lacking:
        some = ", ".join(lacking[:10]) + (f" and {len(lacking) - 10} more" * (len(lacking) > 10))
        reasons.append(f"found {len(names) - len(lacking)} of {len(names)} films; missing: {some}")
    if counts != _SEQUENCES:
        reasons.append(
            f"{_LIST} lists {counts} sequences (train, valid, test), expected {_SEQUENCES}"
        )
    return "; ".join(reasons)


def _warn_of_short(folder: Path, sequences: list[_Sequence], length: np.ndarray) -> None:
    """Counts what films lack of their last sequences: at each call, not only when decoding."""
    lacking = np.array([s.end - s.start for s in sequences]) - length
    if lacking.any():
        warnings.warn(
            f"{folder}: {np.count_nonzero(lacking)} of {len(sequences)} sequences end with their "
            f"film, before {_LIST} says: frames lacking, {lacking.sum()}; nothing is padded. "
            "Results are not quite comparable.",
            stacklevel=3,
        )


def _decode(sequences: list[_Sequence], films: dict[str, Film]) -> Iterator[tuple[str, np.ndarray]]:
    """The frames of each sequence, one film in memory at a time."""
    name, frames = "", np.zeros((0, *_SHAPE), np.uint8)
    for sequence in sequences:
        if sequence.film != name:
            name, frames = sequence.film, read_film(films[sequence.film], _SHAPE)
        start, end = sequence.start - 1, sequence.end - 1  # the list counts from 1
        if len(frames) < max(end - _SLACK, start + 1):
            raise ValueError(
                f"{films[name].where} has {len(frames)} frames, expected {end} by {_LIST} and at "
                f"most {_SLACK} fewer. It is truncated or altered: copy it again."
            )
        yield f"{name}_{sequence.number}", frames[start:end]
