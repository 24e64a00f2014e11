"""TIMIT from the user's own copy: found, counted, split and decoded once.

References:
    Garofolo et al. (1993), "TIMIT Acoustic-Phonetic Continuous Speech Corpus", LDC93S1.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ._cache import cache_folder
from ._dataset import Splits
from ._recordings import decoded, fingerprint, index_path
from ._speech import RATE, Words, speech_splits
from ._waves import DECODING, read_wave_file

_SEED = 1234
_VALIDATION = 20  # one in so many training utterances
_DEPTH = 3  # folders below the given one in which TRAIN and TEST are looked for
_UTTERANCES = {  # of each dialect region, DR1 to DR8
    "train": (380, 760, 760, 680, 700, 350, 770, 220),
    "test": (110, 260, 260, 320, 280, 110, 230, 110),
}
_PER_SPEAKER = 10
_PATH = re.compile(r"(train|test)/(dr[1-8])/(\w+)/(s[aix]\d+)\.wav(\.wav)?", re.IGNORECASE)


class _Utterance(NamedTuple):
    part: str
    region: str
    speaker: str
    sentence: str
    path: Path

    @property
    def name(self) -> str:
        return f"{self.part}/{self.region}/{self.speaker}/{self.sentence}"


def timit(
    folder: str | Path,
    *,
    complete: bool = True,
    samples_per_step: int = 200,
    cache: str | Path | None = None,
) -> Splits:
    """TIMIT, from your own copy of LDC93S1: 4,389 / 231 / 1,680 utterances, about five hours.

    The training utterances are sorted by region, speaker and sentence, in small letters, and then
    shuffled by Python's `random.Random(1234)`; the first 5 per cent are for validation. They are of
    speakers who are also trained on; the test speakers are others. AVF's authors shuffled a list in
    the order of their file system, so that their validation part cannot be had again. The standard
    deviation of their training samples is 549.7 levels; `train.scale` should be close to it.

    Args:
        folder: the copy: `TRAIN` and `TEST` lie in it or at most three folders below. Names may be
            in capitals or small letters, files NIST SPHERE or RIFF (`X.WAV`, `X.WAV.wav`).
        complete: refuse a copy that lacks utterances, naming where; `False` takes what is there.
        samples_per_step: samples in a frame; what remains at the end of an utterance is dropped.
        cache: where the decoded samples are kept, by default `AVFKIT_CACHE` or the user's cache
            folder: 0.6 GB, memory-mapped.

    Returns:
        Frames `[time, samples_per_step]`; see `waveform` for the way back to sound.

    Raises:
        FileNotFoundError: if there are no TRAIN and TEST.
        ImportError: if soundfile, which reads NIST SPHERE, is not installed.
        ValueError: if utterances are missing, or a file is truncated, altered or of another kind.

    References:
        Chung et al. (2015), section 4; Marino, Cvitkovic and Yue (2018), appendix.
    """
    root = _root(Path(folder).expanduser())
    utterances = _utterances(root)
    missing = _missing(utterances)
    if missing and complete:
        raise ValueError(
            f"{root} is not all of TIMIT: {missing}. Copy what is missing, or pass complete=False "
            "to take what is there; results are then not comparable."
        )
    split = _split(utterances)

    def decode() -> Iterator[tuple[str, np.ndarray]]:
        for utterance in utterances:
            yield utterance.name, read_wave_file(utterance.path, RATE)

    key = fingerprint(u.path for u in utterances)
    index = index_path(cache_folder(cache), "timit", key, DECODING)
    recordings = decoded(index, decode, len(utterances))
    words = Words(
        "TIMIT" if not missing else "TIMIT (incomplete)",
        "TIMIT Acoustic-Phonetic Continuous Speech Corpus (LDC93S1), Garofolo et al. (1993)",
        "LDC User Agreement for Non-Members, or your membership's",
    )
    return speech_splits(recordings, split, words, samples_per_step)


def _root(folder: Path) -> Path:
    """The folder that holds TRAIN and TEST."""
    level = [folder]
    for _ in range(_DEPTH + 1):
        below = {f: [d for d in sorted(f.iterdir()) if d.is_dir()] for f in level if f.is_dir()}
        for place, folders in below.items():
            if {"train", "test"} <= {d.name.lower() for d in folders}:
                return place
        level = [d for folders in below.values() for d in folders]
    raise FileNotFoundError(
        f"folder {str(folder)!r} holds no copy of TIMIT: expected folders TRAIN and TEST in it, or "
        f"at most {_DEPTH} folders below, as on the disc of LDC93S1."
    )


def _utterances(root: Path) -> list[_Utterance]:
    """The utterances in the order of their names in small letters, each once."""
    found: dict[str, _Utterance] = {}
    for path in sorted(root.rglob("*"), key=lambda p: (len(p.name), str(p))):  # X.WAV, X.WAV.wav
        match = _PATH.fullmatch(path.relative_to(root).as_posix())
        if match:
            utterance = _Utterance(*(g.lower() for g in match.groups()[:4]), path=path)
            found.setdefault(utterance.name, utterance)
    return [found[name] for name in sorted(found)]


def _missing(utterances: list[_Utterance]) -> str:
    """What a copy lacks, in words; empty if nothing."""
    regions = Counter((u.part, u.region) for u in utterances)
    lacking = [
        f"{part}/dr{i}: {regions[part, f'dr{i}']} of {n}"
        for part, numbers in _UTTERANCES.items()
        for i, n in enumerate(numbers, 1)
        if regions[part, f"dr{i}"] != n
    ]
    if not lacking:
        return ""
    parts = Counter(u.part for u in utterances)
    total = [f"{parts[p]:,} of {sum(n):,} {p} utterances" for p, n in _UTTERANCES.items()]
    speakers = Counter(u.name.rpartition("/")[0] for u in utterances)
    short = [f"{name} ({n})" for name, n in sorted(speakers.items()) if n != _PER_SPEAKER]
    few = f"; speakers without {_PER_SPEAKER} utterances: {_some(short)}" if short else ""
    return f"found {' and '.join(total)}; {', '.join(lacking)}{few}"


def _some(names: list[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _split(utterances: list[_Utterance]) -> np.ndarray:
    """0, 1 or 2 of each utterance."""
    train = [i for i, u in enumerate(utterances) if u.part == "train"]
    split = np.full(len(utterances), 2)
    split[train] = 0
    random.Random(_SEED).shuffle(train)
    split[train[: max(len(train) // _VALIDATION, 1)]] = 1
    return split
