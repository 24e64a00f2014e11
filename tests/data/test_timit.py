"""A disc of TIMIT with all its names, and sound of a tenth of a second."""

import random

import numpy as np
import pytest

from avfkit.data import _timit, timit, waveform
from avfkit.data._timit import _UTTERANCES
from data.media import files_below, message_of, noise, riff, sphere, spoil

pytest.importorskip("soundfile")
SAMPLES = 450  # two frames and a rest
SPEAKER = ("SA1", "SA2", "SI999", "SI1000", "SI30", "SX2", "SX4", "SX10", "SX110", "SX300")


def disc():
    """Part, region, speaker and sentence of each of the 6,300 utterances."""
    for part, regions in _UTTERANCES.items():
        for number, utterances in enumerate(regions, 1):
            for speaker in range(utterances // len(SPEAKER)):
                for sentence in SPEAKER:
                    yield part, f"DR{number}", f"M{part[:2].upper()}{speaker:02}0", sentence


def write(folder, names, suffix=".WAV", data=sphere):
    for i, (part, region, speaker, sentence) in enumerate(names):
        path = folder / part.upper() / region / speaker
        path.mkdir(parents=True, exist_ok=True)
        (path / f"{sentence}{suffix}").write_bytes(data(noise(SAMPLES, i)))
        (path / f"{sentence}.TXT").write_text("words")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ldc")
    write(folder / "disc" / "TIMIT", disc())
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def test_whole_copy(whole, cache):
    splits = timit(whole, cache=cache)
    assert [len(d) for d in (splits.train, splits.valid, splits.test)] == [4389, 231, 1680]
    assert {*splits.test.lengths} == {2} and splits.test.name == "TIMIT, test"
    kept = files_below(cache)
    assert [name.rpartition(".")[2] for name in kept] == ["bin", "npz"]
    assert (cache / kept[0]).stat().st_size == 2 * SAMPLES * 6300
    before = (cache / kept[0]).stat().st_mtime_ns
    again = timit(str(whole / "disc" / "TIMIT"), cache=cache, samples_per_step=100)
    assert again.test.obs_size == 100 and (cache / kept[0]).stat().st_mtime_ns == before


def test_another_decoding_reads_no_old_cache(tmp_path, monkeypatch):
    write(tmp_path / "copy", [*disc()][::2000])
    first = timit(tmp_path / "copy", complete=False, cache=tmp_path)
    expected = first.test.sequences[0][:]
    spoil(tmp_path)
    with pytest.raises(ValueError, match="is truncated or altered"):
        timit(tmp_path / "copy", complete=False, cache=tmp_path)
    monkeypatch.setattr(_timit, "DECODING", 2)
    again = timit(tmp_path / "copy", complete=False, cache=tmp_path)
    np.testing.assert_array_equal(again.test.sequences[0][:], expected)


def test_split_is_sorted_and_then_shuffled(whole, cache):
    """By hand: the samples of the validation part are those of these files."""
    splits = timit(whole, cache=cache)
    train = sorted("/".join(n[1:]).lower() for n in disc() if n[0] == "train")
    random.Random(1234).shuffle(train)
    expected = set()
    for name in train[:231]:
        region, speaker, sentence = name.upper().split("/")
        path = whole / "disc" / "TIMIT" / "TRAIN" / region / speaker / f"{sentence}.WAV"
        expected.add(np.frombuffer(path.read_bytes()[1024:], "<i2")[:400].tobytes())
    found = {
        np.round(waveform(splits.valid, s) * 2**15).astype("<i2").tobytes()
        for s in splits.valid.sequences
    }
    assert found == expected


FEW = [n for n in disc() if n[1] == "DR1" and n[2][-3:] in ("000", "010")]  # two speakers a part


@pytest.mark.parametrize(
    ("change", "suffix", "data"),
    [
        (str.lower, ".wav", sphere),
        (str.upper, ".WAV", riff),
        (str.upper, ".WAV.wav", riff),
        (str.title, ".Wav", sphere),
    ],
)
def test_either_letter_case_and_kind(tmp_path, change, suffix, data):
    names = [tuple(change(word) for word in name) for name in FEW]
    for i, (part, region, speaker, sentence) in enumerate(names):
        path = tmp_path / change("TIMIT") / part / region / speaker
        path.mkdir(parents=True, exist_ok=True)
        (path / f"{sentence}{suffix}").write_bytes(data(noise(SAMPLES, i)))
    splits = timit(tmp_path, complete=False, cache=tmp_path / "cache")
    assert [len(d) for d in (splits.train, splits.valid, splits.test)] == [19, 1, 20]
    assert splits.train.name == "TIMIT (incomplete), train"


def test_two_copies_of_an_utterance_count_once(tmp_path):
    write(tmp_path, FEW)
    write(tmp_path, FEW, suffix=".WAV.wav", data=riff)
    splits = timit(tmp_path, complete=False, cache=tmp_path / "cache")
    assert len(splits.train) + len(splits.valid) + len(splits.test) == len(FEW)


def test_what_is_missing_is_named(tmp_path):
    write(tmp_path, [n for n in disc() if n[1:] != ("DR3", "MTR020", "SX4") and n[1] != "DR8"])
    message = message_of(ValueError, lambda: timit(tmp_path, cache=tmp_path / "cache"))
    assert message == (
        f"{tmp_path} is not all of TIMIT: found 4,399 of 4,620 train utterances and 1,570 of 1,680 "
        "test utterances; train/dr3: 759 of 760, train/dr8: 0 of 220, test/dr8: 0 of 110; speakers "
        "without 10 utterances: train/dr3/mtr020 (9). Copy what is missing, or pass complete=False "
        "to take what is there; results are then not comparable."
    )
    assert not (tmp_path / "cache").exists()


def test_no_copy(tmp_path):
    (tmp_path / "TIMIT" / "TRAIN").mkdir(parents=True)
    message = message_of(FileNotFoundError, lambda: timit(tmp_path))
    assert message == (
        f"folder {str(tmp_path)!r} holds no copy of TIMIT: expected folders TRAIN and TEST in it, "
        "or at most 3 folders below, as on the disc of LDC93S1."
    )


def test_a_truncated_file_is_named_and_nothing_kept(tmp_path):
    write(tmp_path, FEW)
    path = tmp_path / "TEST" / "DR1" / FEW[-1][2] / "SX2.WAV"
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    read = lambda: timit(tmp_path, complete=False, cache=tmp_path / "cache")  # noqa: E731
    assert message_of(ValueError, read) == (
        f"{path} is not a readable sound file (its header says 450 samples, it holds 400). "
        "It is truncated or altered: copy it again."
    )
    assert files_below(tmp_path / "cache") == []
    path.write_bytes(whole)
    assert len(read().test) == 20
