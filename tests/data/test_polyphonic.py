import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from avfkit.data import bernoulli_baseline, jsb, markov_baseline, polyphonic
from avfkit.data._cache import cache_folder
from avfkit.data._polyphonic import SETS, load_set, verified
from avfkit.data._rolls import PARTS, Rolls
from data.music import (
    NOTES,
    ROLLS,
    TINY,
    notes_of,
    served,
    write_json,
    write_npz,
    write_pickle,
)

ALTERED = NOTES | {"valid": [[[44], [96]]]}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No data folder, and an empty cache."""
    monkeypatch.delenv("AVFKIT_DATA", raising=False)
    monkeypatch.setenv("AVFKIT_CACHE", str(tmp_path / "cache"))


def assert_tiny(splits):
    for part, dataset in enumerate((splits.train, splits.valid, splits.test)):
        for found, expected in zip(dataset.sequences, ROLLS.songs(part), strict=True):
            np.testing.assert_array_equal(found, expected)
    assert (splits.train.name, splits.train.step) == ("Tiny, train", "quarter note")


@pytest.mark.parametrize("below", ["", "music"])
def test_from_a_folder(tmp_path, below):
    (tmp_path / below).mkdir(exist_ok=True)
    write_pickle(tmp_path / below / "Tiny.pickle")
    assert_tiny(load_set(TINY, tmp_path))
    assert_tiny(load_set(TINY, str(tmp_path)))


def test_from_the_folder_of_the_environment(tmp_path, monkeypatch):
    write_npz(tmp_path / "tiny.npz")
    monkeypatch.setenv("AVFKIT_DATA", str(tmp_path))
    assert_tiny(load_set(TINY))


def test_folder_without_a_copy(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        load_set(TINY, tmp_path)
    assert str(error.value) == (
        f"folder {str(tmp_path)!r} holds no copy of Tiny; expected one of ['tiny.npz', "
        "'Tiny.pickle', 'Tiny.pkl', 'Tiny.mat', 'tiny.json'], there or in its music/."
    )


def test_other_songs_are_refused(tmp_path):
    path = write_json(tmp_path / "tiny.json", NOTES | {"test": []})
    with pytest.raises(ValueError) as error:
        load_set(TINY, tmp_path)
    assert str(error.value) == (
        f"{path} holds (2, 1, 0) songs (train, valid, test), expected (2, 1, 1) of Tiny. "
        "It is truncated or another set: delete it, and fetch or copy it again."
    )


def test_one_altered_note_is_refused(tmp_path):
    path = write_json(tmp_path / "tiny.json", ALTERED)
    with pytest.raises(ValueError) as error:
        load_set(TINY, tmp_path)
    found = verified_digest(ALTERED, tmp_path)
    assert str(error.value) == (
        f"{path} is not the published Tiny: the SHA-256 of its content is {found}, expected "
        f"{TINY.digest}. It was altered: delete it, and fetch or copy it again."
    )


def verified_digest(notes, folder: Path) -> str:
    from avfkit.data._formats import read_rolls

    return read_rolls(write_json(folder / "other.json", notes)).digest()


def test_digest_sees_every_array():
    moved = [
        ROLLS._replace(packed=ROLLS.packed[::-1]),
        ROLLS._replace(length=ROLLS.length[::-1]),
        ROLLS._replace(split=np.zeros_like(ROLLS.split)),
    ]
    assert len({r.digest() for r in (ROLLS, *moved)}) == 4


def test_download_is_checked_and_cached(tmp_path):
    write_json(tmp_path / "tiny.json")
    cache = tmp_path / "elsewhere"
    with served(tmp_path) as address:
        entry = replace(TINY, url=f"{address}/tiny.json")
        assert_tiny(load_set(entry, cache=cache))
    assert [f.name for f in cache.iterdir()] == [f"tiny-{TINY.digest[:8]}.npz"]
    assert_tiny(load_set(entry, cache=cache))  # the server is gone


def test_a_matlab_file_is_downloaded_too(tmp_path):
    cells = {
        f"{part}data": np.empty((1, ROLLS.counts()[i]), object) for i, part in enumerate(PARTS)
    }
    for i, part in enumerate(PARTS):
        cells[f"{part}data"][0, :] = [song.astype(np.uint8) for song in ROLLS.songs(i)]
    savemat(tmp_path / "Tiny.mat", cells, do_compression=True)
    with served(tmp_path) as address:
        assert_tiny(load_set(replace(TINY, url=f"{address}/Tiny.mat")))
    assert [f.name for f in cache_folder().iterdir()] == [f"tiny-{TINY.digest[:8]}.npz"]


@pytest.mark.parametrize("name", SETS)
def test_every_set_has_a_public_copy_that_does_not_move(name):
    address = SETS[name].url or ""
    assert re.fullmatch(r"https://raw\.githubusercontent\.com/\w+/[\w-]+/[0-9a-f]{40}/.+", address)
    assert address.rpartition("/")[2] in SETS[name].files


def test_altered_download_is_refused_and_not_cached(tmp_path):
    write_json(tmp_path / "tiny.json", ALTERED)
    with served(tmp_path) as address, pytest.raises(ValueError, match="not the published Tiny"):
        load_set(replace(TINY, url=f"{address}/tiny.json"))
    assert not cache_folder().exists()


def test_altered_cache_is_refused(tmp_path):
    cache_folder().mkdir()
    packed = ROLLS.packed.copy()
    packed[0, 0] ^= 1
    write_npz(cache_folder() / f"tiny-{TINY.digest[:8]}.npz", ROLLS._replace(packed=packed))
    with pytest.raises(ValueError, match="It was altered: delete it, and fetch or copy it again"):
        load_set(TINY)


ADVICE = (
    "Set AVFKIT_DATA (now unset) to a folder that holds one of ['tiny.npz', 'Tiny.pickle', "
    "'Tiny.pkl', 'Tiny.mat', 'tiny.json'], or pass folder=. "
    "avfkit.data.chorales() needs no download."
)


def test_nowhere_to_be_found(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        load_set(TINY)
    assert str(error.value) == f"Tiny was not found, and has no download. {ADVICE}"


def test_download_that_fails(tmp_path):
    with served(tmp_path) as address, pytest.raises(FileNotFoundError) as error:
        load_set(replace(TINY, url=f"{address}/tiny.json"))
    assert str(error.value) == (
        f"Tiny was not found, and {address}/tiny.json could not be downloaded (HTTPError). {ADVICE}"
    )


def test_other_name():
    with pytest.raises(ValueError) as error:
        polyphonic("bach")
    assert str(error.value) == (
        "name is 'bach', expected one of ['jsb', 'nottingham', 'musedata', 'piano_midi']."
    )


STEPS = {
    "jsb": (13807, 4602, 4725),
    "nottingham": (176561, 45513, 44463),
    "musedata": (245202, 82755, 64339),
    "piano_midi": (75911, 8540, 19036),
}


@pytest.mark.parametrize("name", STEPS)
def test_published_sets(music_folder, name):
    rolls = verified(SETS[name], music_folder / f"{name}.npz")
    steps = tuple(int(rolls.length[rolls.split == part].sum()) for part in range(3))
    assert steps == STEPS[name]


def test_original_jsb(music_folder, monkeypatch):
    monkeypatch.setenv("AVFKIT_DATA", str(music_folder.parent))
    splits = jsb()
    assert [len(d) for d in (splits.train, splits.valid, splits.test)] == [229, 76, 77]
    assert splits.train.lengths.min() == 25 and splits.test.lengths.max() == 160
    frequency = bernoulli_baseline(splits.train, splits.test)
    chain = markov_baseline(splits.train, splits.test)
    assert [round(n, 2) for n in (*frequency, *chain)] == [11.06, 11.0, 10.47, 10.47]


def test_original_nottingham(music_folder):
    splits = polyphonic("nottingham", music_folder)
    frequency = bernoulli_baseline(splits.train, splits.test)
    chain = markov_baseline(splits.train, splits.test)
    assert [round(n, 2) for n in (*frequency, *chain)] == [10.25, 10.12, 5.16, 5.21]


def test_original_jsb_by_download(music_folder, tmp_path):
    """The public JSON, made here from the same music; then with one note left out."""
    rolls: Rolls = verified(SETS["jsb"], music_folder / "jsb.npz")
    notes = notes_of(rolls)
    write_json(tmp_path / "good.json", notes)
    notes["test"][-1][-1].pop()
    write_json(tmp_path / "bad.json", notes)
    with served(tmp_path) as address:
        with pytest.raises(ValueError, match="is not the published JSB Chorales"):
            load_set(replace(SETS["jsb"], url=f"{address}/bad.json"))
        splits = load_set(replace(SETS["jsb"], url=f"{address}/good.json"))
    np.testing.assert_array_equal(splits.test.sequences[3], rolls.songs(2)[3])
