import hashlib
import io
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from avfkit.data import _commands, speech_commands, waveform
from avfkit.data._commands import Archive, _fetched, _found, which_set
from avfkit_experiments import Choice, train
from avfkit_experiments.presets import PRESETS
from data.media import answering, files_below, message_of, noise, riff, spoil

SPEAKERS = [f"{i:08x}" for i in range(60)]
CLIPS = {f"{word}/{s}_nohash_{i}.wav": riff(noise(16000 if i else 8000, int(s, 16) + i))
         for s in SPEAKERS for i, word in enumerate(("yes", "no"))}  # fmt: skip
NOT_CLIPS = {
    "_background_noise_/pink_noise.wav": riff(noise(300)),
    "testing_list.txt": b"yes/a.wav",
    "../../escaped/00000000_nohash_0.wav": riff(noise(300)),
    "/tmp/escaped_nohash_0.wav": riff(noise(300)),
    "yes/huge_nohash_0.wav": bytes(2**20 + 1),
}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    monkeypatch.delenv("AVFKIT_DATA", raising=False)
    monkeypatch.setenv("AVFKIT_CACHE", str(tmp_path / "cache"))


def archive(members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as out:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("./yes/00000000_nohash_7.wav")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        out.addfile(link)
    return file.getvalue()


OFFICIAL = archive({f"./{name}": data for name, data in CLIPS.items()} | NOT_CLIPS)
ENTRY = Archive("http://localhost/tiny.tar.gz", hashlib.sha256(OFFICIAL).hexdigest())


def assert_all(recordings):
    assert sorted(recordings.names) == sorted(CLIPS)
    waves = np.split(recordings.values, np.cumsum(recordings.length)[:-1])
    for name, wave in zip(recordings.names, waves, strict=True):
        assert riff(wave) == CLIPS[str(name)]


def write_words(folder):
    for name, data in CLIPS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def test_official_split():
    assert which_set("yes/0a7c2a8d_nohash_0.wav") == which_set("0a7c2a8d_nohash_3.wav")
    parts = [which_set(f"yes/{i:08x}_nohash_0.wav") for i in range(20_000)]
    np.testing.assert_allclose(np.bincount(parts) / len(parts), [0.8, 0.1, 0.1], atol=0.01)


def test_official_split_of_known_test_files(data_folder):
    path = data_folder / "speech_commands" / "speech_commands_v2_subset.npz"
    with np.load(path) as file:
        assert {which_set(str(name)) for name in file["name"]} == {2}


def test_the_preset_takes_all_of_the_words(tmp_path):
    """The same sounds as at the scale of all, in the levels that its likelihood knows."""
    write_words(tmp_path)
    preset = PRESETS["vrnn-speech-commands-small"]
    splits, own = preset.load(tmp_path), speech_commands(tmp_path)
    assert splits.train.window == pytest.approx(preset.window)
    other, run = replace(preset, load=speech_commands), tmp_path / "run"
    assert message_of(ValueError, lambda: train(other, Choice(), folder=run, data=tmp_path)) == (
        f"{own.train.name} has levels of {own.train.window:.7g}; {preset.name} expects "
        f"{preset.window:.7g}: its nats would not be those of this data."
    )
    assert not run.exists()
    mine, theirs = (waveform(data.test, data.test.sequences[0]) for data in (splits, own))
    np.testing.assert_allclose(mine, theirs, atol=1e-6)


@pytest.mark.parametrize("below", ["", "speech_commands"])
def test_folder_of_words(tmp_path, below):
    write_words(tmp_path / "mine" / below)
    splits = speech_commands(tmp_path / "mine")
    parts = (splits.train, splits.valid, splits.test)
    assert [len(d) for d in parts] == np.bincount([which_set(n) for n in CLIPS]).tolist()
    assert {n for d in parts for n in d.lengths} == {40, 80}
    clip = next(n for n in sorted(CLIPS) if which_set(n) == 2)
    found = np.round(waveform(splits.test, splits.test.sequences[0]) * 2**15).astype("<i2")
    assert riff(found) == CLIPS[clip]
    assert "from a folder of words; official split" in splits.train.source


def test_archive_in_a_folder(tmp_path):
    (tmp_path / "tiny.tar.gz").write_bytes(OFFICIAL)
    recordings, kind = _found(ENTRY, tmp_path, tmp_path / "cache")
    assert_all(recordings)
    assert kind == "the official archive"
    index = f"cache/speech_commands-v1-{ENTRY.sha256[:16]}"
    assert files_below(tmp_path) == [f"{index}.bin", f"{index}.npz", "tiny.tar.gz"]


@pytest.mark.parametrize("place", ["an archive", "a folder"])
def test_another_decoding_reads_no_old_cache(place, tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    write_words(folder)
    if place == "an archive":
        (folder / "tiny.tar.gz").write_bytes(OFFICIAL)
    _found(ENTRY, folder, tmp_path / "cache")
    spoil(tmp_path / "cache")
    with pytest.raises(ValueError, match="is truncated or altered"):
        _found(ENTRY, folder, tmp_path / "cache")
    monkeypatch.setattr(_commands, "DECODING", 2)
    assert_all(_found(ENTRY, folder, tmp_path / "cache")[0])


def test_download_once(tmp_path):
    with answering((OFFICIAL[:1000], len(OFFICIAL)), (OFFICIAL, len(OFFICIAL))) as (address, asked):
        entry = ENTRY._replace(url=f"{address}/tiny.tar.gz")
        for _ in range(2):
            assert_all(_fetched(entry, tmp_path / "cache"))
    assert len(asked) == 2  # broken off, then whole; and then from the cache
    assert_all(_found(entry, None, tmp_path / "cache")[0])
    assert [n.rpartition(".")[2] for n in files_below(tmp_path)] == ["bin", "npz"]


def test_altered_archive(tmp_path):
    path = tmp_path / "tiny.tar.gz"
    path.write_bytes(OFFICIAL[:-9])
    message = message_of(ValueError, lambda: _found(ENTRY, tmp_path, tmp_path / "cache"))
    found = hashlib.sha256(OFFICIAL[:-9]).hexdigest()
    assert message == (
        f"{path} is not the official archive: its SHA-256 is {found}, expected {ENTRY.sha256}. "
        "It is truncated or altered: delete it, and fetch or copy it again."
    )


@pytest.mark.parametrize("data", [OFFICIAL[: len(OFFICIAL) // 2], b"no archive", b""])
def test_unreadable_archive_leaves_nothing(tmp_path, data):
    (tmp_path / "tiny.tar.gz").write_bytes(data)
    entry = ENTRY._replace(sha256=hashlib.sha256(data).hexdigest())
    message = message_of(ValueError, lambda: _found(entry, tmp_path, tmp_path / "cache"))
    assert message.startswith(f"{tmp_path / 'tiny.tar.gz'} is not a readable archive (")
    assert files_below(tmp_path) == ["tiny.tar.gz"]


def test_damaged_clip_is_named(tmp_path):
    write_words(tmp_path)
    name = sorted(CLIPS)[3]
    (tmp_path / name).write_bytes(CLIPS[name][:-50])
    message = message_of(ValueError, lambda: speech_commands(tmp_path))
    assert message.startswith(f"{tmp_path / name} is not a readable sound file (its header says")


def test_nothing_found(tmp_path):
    for folder, where in ((None, "AVFKIT_DATA (now unset)"), ("no", "folder 'no'")):
        message = message_of(FileNotFoundError, lambda f=folder: speech_commands(f))
        assert message == (
            f"Speech Commands was not found in {where}. Set AVFKIT_DATA, or pass folder=, to a "
            "folder that holds speech_commands_v2_subset.npz, speech_commands_v0.02.tar.gz or one "
            "folder of .wav files per word; or pass download=True to fetch the official archive "
            "(2.4 GB)."
        )
    message = message_of(ValueError, lambda: speech_commands("no", download=True))
    assert message == "give folder or download, not both: found 'no' and True."


def test_official_address():
    assert _commands.OFFICIAL.file == "speech_commands_v0.02.tar.gz"
    assert _commands.OFFICIAL.url.startswith("https://")
