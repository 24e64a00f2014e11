"""TIMIT's open sample: 160 utterances, from a prepared file or from where NLTK gave them away.

References:
    Garofolo et al. (1993), "TIMIT Acoustic-Phonetic Continuous Speech Corpus", LDC93S1; NLTK's
    corpus `timit`, CC BY-NC-SA.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from ._cache import part_folder
from ._dataset import Splits
from ._download import download as fetch
from ._original import ADVICE, Arrays, Original, content
from ._recordings import Prepared, Recordings, shown
from ._speech import RATE, Words, speech_splits
from ._waves import read_wave_file

_VALID, _TEST = ("dr3-falk0", "dr6-mbma1"), ("dr5-ftlg0", "dr8-mbcg0")
_LINES = (  # a speaker and her utterances
    "dr1-fvmh0 sa1 sa2 si1466 si2096 si836 sx116 sx206 sx26 sx296 sx386",
    "dr1-mcpm0 sa1 sa2 si1194 si1824 si564 sx114 sx204 sx24 sx294 sx384",
    "dr2-faem0 sa1 sa2 si1392 si2022 si762 sx132 sx222 sx312 sx402 sx42",
    "dr2-marc0 sa1 sa2 si1188 si1818 si558 sx108 sx18 sx198 sx288 sx378",
    "dr3-falk0 sa1 sa2 si1086 si456 si658 sx186 sx276 sx366 sx6 sx96",
    "dr3-madc0 sa1 sa2 si1367 si1997 si737 sx107 sx17 sx197 sx287 sx377",
    "dr4-falr0 sa1 sa2 si1325 si1955 si695 sx155 sx245 sx335 sx425 sx65",
    "dr4-maeb0 sa1 sa2 si1411 si2250 si990 sx180 sx270 sx360 sx450 sx90",
    "dr5-ftlg0 sa1 sa2 si1743 si483 si840 sx123 sx213 sx303 sx33 sx393",
    "dr5-mbgt0 sa1 sa2 si1341 si1841 si711 sx171 sx261 sx351 sx441 sx81",
    "dr6-fapb0 sa1 sa2 si1063 si1693 si2323 sx163 sx253 sx343 sx433 sx73",
    "dr6-mbma1 sa1 sa2 si2207 si2214 si954 sx144 sx234 sx324 sx414 sx54",
    "dr7-fblv0 sa1 sa2 si1058 si1688 si2318 sx158 sx248 sx338 sx428 sx68",
    "dr7-madd0 sa1 sa2 si1295 si1798 si538 sx178 sx268 sx358 sx448 sx88",
    "dr8-fbcg1 sa1 sa2 si1612 si2242 si982 sx172 sx262 sx352 sx442 sx82",
    "dr8-mbcg0 sa1 sa2 si2217 si486 si957 sx147 sx237 sx327 sx417 sx57",
)

PREPARED = Prepared(
    "the TIMIT sample",
    "timit_sample",
    "timit_nltk_sample.npz",
    "747b3ba6a4663f48272bb0f0068a598e1c683dcca1b1fe49e7de88d8239e1ab4",
)


def names_of(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Speaker and sentence of each utterance."""
    words = [line.split() for line in lines]
    return [(speaker, sentence) for speaker, *sentences in words for sentence in sentences]


def original(address: str, digest: str, lines: Sequence[str]) -> Original:
    """A folder of sound files `SPEAKER/SENTENCE.wav`."""
    sounds = partial(_fetched, address, names_of(lines))
    return Original(address, "16 MB", sounds, ("wave", "length"), digest)


def _fetched(address: str, names: Sequence[tuple[str, str]], path: Path) -> Arrays:
    """All utterances, one file after the other."""

    def waves(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
        for speaker, sentence in names:
            url, file = f"{address}/{speaker}/{sentence}.wav", folder / "utterance.wav"
            fetch("The TIMIT sample", url, file, advice=ADVICE, bar=False)
            yield sentence, read_wave_file(file, RATE)

    with part_folder(path) as folder:
        pieces = [wave for _, wave in shown(waves(folder), path.stem, len(names))]
    return {"wave": np.concatenate(pieces), "length": np.array([len(wave) for wave in pieces])}


PUBLIC = original(
    "https://raw.githubusercontent.com/nltk/nltk/"
    "dc5d4fcfb9c15ac7690e9a475d51ed8dc05710db/data/corpora/timit",
    "95f358a73be409d55b2816ae67054f99b4384faa8c7060cc271b79019f8e623b",
    _LINES,
)


def timit_sample(
    folder: str | Path | None = None,
    *,
    download: bool = False,
    samples_per_step: int = 200,
    cache: str | Path | None = None,
) -> Splits:
    """160 utterances of 16 speakers of TIMIT, 16 kHz: the sample that NLTK gives away.

    Cut by speaker: 120 / 20 / 20 utterances, 365 / 64 / 61 seconds. All are training speakers of
    the whole TIMIT, and its level (a standard deviation of 552 int16 units; 550 in TIMIT) makes
    nats per step comparable in size with published ones, though not in value.

    Args:
        folder: where `timit_nltk_sample.npz` lies, there or in its `timit_sample/`; by default the
            folder that the environment variable `AVFKIT_DATA` names, and then the cache.
        download: fetch the 160 files (16 MB, non-commercial use only) if none is found; `folder`
            must not be given.
        samples_per_step: samples in a frame; what remains at the end of an utterance is dropped.
        cache: where what was downloaded is kept, by default `AVFKIT_CACHE` or the user's cache
            folder.

    Returns:
        Frames `[time, samples_per_step]`; see `waveform` for the way back to sound.

    Raises:
        FileNotFoundError: if there is no such file, or the sample could not be downloaded.
        ImportError: if pooch, which downloads, or soundfile, which reads NIST SPHERE, is missing.
        ValueError: if a file is truncated or altered, or both `folder` and `download` are given.

    References:
        Garofolo et al. (1993), LDC93S1; NLTK's corpus `timit`.
    """
    arrays = content(PREPARED, PUBLIC, folder, download=download, cache=cache)
    return cut(arrays, names_of(_LINES), samples_per_step)


def cut(arrays: Arrays, names: Sequence[tuple[str, str]], samples_per_step: int) -> Splits:
    """The parts, by speaker."""
    parts = [1 if who in _VALID else 2 if who in _TEST else 0 for who, _ in names]
    sentences = np.array(["/".join(name) for name in names])
    words = Words(
        "TIMIT sample",
        "NLTK's sample of TIMIT (LDC93S1), Garofolo et al. (1993); 16 speakers, split by speaker",
        "CC BY-NC-SA, (c) 1993 Linguistic Data Consortium; non-commercial use only",
    )
    recordings = Recordings(arrays["wave"], arrays["length"], sentences)
    return speech_splits(recordings, np.array(parts), words, samples_per_step)
