"""Speech Commands: single words of a second, openly licensed.

References:
    Warden (2018), "Speech Commands: a dataset for limited-vocabulary speech recognition",
    arXiv:1804.03209; section 7 for the split by the hash of the speaker.
"""

import hashlib
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ._cache import cache_folder
from ._dataset import Splits
from ._download import download, sha256_of
from ._recordings import (
    Prepared,
    Recordings,
    check_one_source,
    decoded,
    fingerprint,
    index_path,
    place_of,
    places,
)
from ._speech import RATE, Words, speech_splits
from ._waves import DECODING, read_wave, read_wave_file

_CLIP = re.compile(r"(?:\./)?([a-z]+/[0-9a-f]+_nohash_\d+\.wav)")
_LARGEST = 2**20  # bytes of a clip: a second is 32,044
_BUCKETS = 2**27 - 1
_SHARE = 10  # per cent, of the validation and of the test part

SUBSET = Prepared(
    "the subset of Speech Commands",
    "speech_commands",
    "speech_commands_v2_subset.npz",
    "9372b820eddbe5bb901f9aae8ae86448f5307014525c2aeef3c56f393ea22489",
)


class Archive(NamedTuple):
    """A public archive and the SHA-256 of its bytes."""

    url: str
    sha256: str

    @property
    def file(self) -> str:
        """Its file name."""
        return self.url.rpartition("/")[2]


OFFICIAL = Archive(
    "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
)
_LICENCE = "CC BY 4.0, Pete Warden"


def speech_commands(
    folder: str | Path | None = None,
    *,
    download: bool = False,
    samples_per_step: int = 200,
    cache: str | Path | None = None,
) -> Splits:
    """Speech Commands v0.02, 16 kHz: a small subset, or all of it.

    Taken is what is found first: the subset `speech_commands_v2_subset.npz` (902 clips of 239
    speakers, cut by speaker 727 / 110 / 65); the official archive `speech_commands_v0.02.tar.gz`; a
    folder laid out by word, as the archive is. The last two are cut as officially, 80 / 10 / 10 by
    a hash of the speaker, without the background noise.

    Args:
        folder: where one of these lies, there or in its `speech_commands/`; by default the folder
            that the environment variable `AVFKIT_DATA` names, and then the cache.
        download: take all of it, and fetch the official archive (2.4 GB) unless the cache holds it;
            `folder` must not be given.
        samples_per_step: samples in a frame; what remains at the end of a clip is dropped.
        cache: where decoded samples are kept, by default `AVFKIT_CACHE` or the user's cache folder:
            3.4 GB for all of it, memory-mapped.

    Returns:
        Frames `[time, samples_per_step]`; see `waveform` for the way back to sound.

    Raises:
        FileNotFoundError: if none is found, or the archive could not be downloaded.
        ImportError: if pooch, which downloads, is not installed.
        ValueError: if a file is truncated or altered, or both `folder` and `download` are given.
    """
    check_one_source(folder, download=download)
    kept = cache_folder(cache)
    if download:
        return _all(_fetched(OFFICIAL, kept), "the official archive", samples_per_step)
    if SUBSET.find(folder):
        arrays = SUBSET.read(folder, ("wave", "length", "split", "name"))
        source = "902 clips of Speech Commands v0.02, Warden (2018); split by speaker, not official"
        words = Words("Speech Commands (subset)", source, _LICENCE)
        recordings = Recordings(arrays["wave"], arrays["length"], arrays["name"])
        return speech_splits(recordings, arrays["split"], words, samples_per_step)
    recordings, kind = _found(OFFICIAL, folder, kept)
    return _all(recordings, kind, samples_per_step)


def which_set(name: str) -> int:
    """The official part of a clip, 0, 1 or 2: by the SHA-1 of its file name before `_nohash_`.

    References:
        Warden (2018), section 7.
    """
    speaker = name.rpartition("/")[2].partition("_nohash_")[0]
    number = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % (_BUCKETS + 1)
    per_cent = number * (100 / _BUCKETS)
    return 1 if per_cent < _SHARE else 2 if per_cent < 2 * _SHARE else 0


def _all(recordings: Recordings, kind: str, samples_per_step: int) -> Splits:
    source = f"Speech Commands v0.02, Warden (2018), from {kind}; official split by speaker"
    split = np.array([which_set(str(name)) for name in recordings.names])
    return speech_splits(
        recordings, split, Words("Speech Commands", source, _LICENCE), samples_per_step
    )


def _found(entry: Archive, folder: str | Path | None, kept: Path) -> tuple[Recordings, str]:
    """All clips from the user's archive or folder, or what was downloaded before."""
    for place in places(folder, "speech_commands"):
        if (path := place / entry.file).is_file():
            return _unpacked(entry, path, kept), "the official archive"
        clips = [p for p in sorted(place.glob("*/*.wav")) if _CLIP.fullmatch(_name(p))]
        if clips:
            key = fingerprint(clips)
            index = index_path(kept, "speech_commands", key, DECODING)
            return decoded(index, partial(_words, clips), len(clips)), "a folder of words"
    if folder is None and (index := _index(entry, kept)).exists():
        return decoded(index, lambda: iter(())), "the official archive"
    raise FileNotFoundError(
        f"Speech Commands was not found {place_of(folder)}. Set AVFKIT_DATA, or pass folder=, to a "
        f"folder that holds {SUBSET.file}, {entry.file} or one folder of .wav files per word; or "
        "pass download=True to fetch the official archive (2.4 GB)."
    )


def _words(clips: Sequence[Path]) -> Iterator[tuple[str, np.ndarray]]:
    return ((_name(path), read_wave_file(path, RATE)) for path in clips)


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _index(entry: Archive, kept: Path) -> Path:
    return index_path(kept, "speech_commands", entry.sha256[:16], DECODING)


def _fetched(entry: Archive, kept: Path) -> Recordings:
    """All clips of the archive, which is kept only until it is decoded."""
    path = kept / entry.file
    if _index(entry, kept).exists():
        return _unpacked(entry, path, kept)
    fetched = not path.exists()
    if fetched:
        advice = "Pass folder= to use a copy of your own."
        download("Speech Commands", entry.url, path, sha256=entry.sha256, advice=advice)
    recordings = _unpacked(entry, path, kept)
    if fetched:  # an archive that was here before is its owner's
        path.unlink(missing_ok=True)
    return recordings


def _unpacked(entry: Archive, path: Path, kept: Path) -> Recordings:
    """The clips of an archive: read where they lie in it, so that no name in it becomes a path."""
    index = _index(entry, kept)
    if not index.exists() and (found := sha256_of(path)) != entry.sha256:
        raise ValueError(
            f"{path} is not the official archive: its SHA-256 is {found}, expected {entry.sha256}. "
            "It is truncated or altered: delete it, and fetch or copy it again."
        )
    return decoded(index, lambda: _clips(path))


def _clips(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                match = _CLIP.fullmatch(member.name)
                if match and member.isfile() and member.size <= _LARGEST:
                    file = archive.extractfile(member)
                    data = b"" if file is None else file.read()
                    yield match[1], read_wave(f"{path}: {match[1]}", data, RATE)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} is not a readable archive ({error}): copy it again.") from error
