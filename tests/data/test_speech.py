import numpy as np
import pytest

from avfkit.data import Dataset, speech_commands, timit_sample, waveform
from avfkit.data._recordings import Recordings
from avfkit.data._speech import Words, speech_splits
from data.media import message_of, noise

WORDS = Words("Tiny", "here", "MIT")
LENGTHS = np.array([1000, 199, 650, 400, 777])
SPLIT = np.array([0, 0, 0, 1, 2])


def tiny(samples_per_step=200, split=SPLIT):
    wave = noise(int(LENGTHS.sum())) + 7
    recordings = Recordings(wave.astype(np.int16), LENGTHS, LENGTHS.astype(str))
    return speech_splits(recordings, split, WORDS, samples_per_step), np.split(
        recordings.values, np.cumsum(LENGTHS)[:-1]
    )


def test_frames_of_each_part():
    splits, _ = tiny()
    assert [d.lengths.tolist() for d in (splits.train, splits.valid, splits.test)] == [
        [5, 3],  # what remains is dropped, and an utterance shorter than a frame
        [2],
        [3],
    ]
    assert splits.train.obs_size == 200 and splits.train.step == "12.5 ms"
    assert (splits.test.name, splits.test.rate) == ("Tiny, test", 16000)


def test_standardised_by_all_training_samples():
    splits, waves = tiny()
    train = np.concatenate([waves[i] for i in (0, 1, 2)]).astype(float)
    for data in (splits.train, splits.valid, splits.test):
        np.testing.assert_allclose(data.offset, train.mean(), rtol=1e-12)
        np.testing.assert_allclose(data.scale, train.std(), rtol=1e-12)
        np.testing.assert_allclose(data.window, 1 / train.std(), rtol=1e-12)
    x = (waves[4][:600].reshape(3, 200) - train.mean()) / train.std()
    np.testing.assert_allclose(splits.test.sequences[0][:], x, rtol=1e-5, atol=1e-6)


def test_back_to_levels_and_sound():
    splits, waves = tiny(100)
    chosen = (splits.train.sequences[2], waves[2]), (splits.test.sequences[0], waves[4])
    for frames, wave in chosen:
        found = waveform(splits.test, frames)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(np.round(found * 2**15), wave[: len(found)])
        np.testing.assert_array_equal(waveform(splits.test, frames[1]), found[100:200])


BAD = {
    "samples_per_step is 0, expected at least 1.": lambda: tiny(0),
    "Tiny: the valid part holds 1 utterances, and none of at least 500 samples; expected one or "
    "more.": lambda: tiny(500),
    "Tiny: the test part holds 0 utterances, and none of at least 200 samples; expected one or "
    "more.": lambda: tiny(split=np.array([0, 0, 0, 1, 1])),
    "walk is no sound: its rate is None, shape None.": lambda: waveform(
        Dataset("walk", [np.zeros((2, 2))]), np.zeros((2, 2))
    ),
    "film is no sound: its rate is 25.0, shape (1, 2).": lambda: waveform(
        Dataset("film", [np.zeros((2, 2))], rate=25.0, shape=(1, 2)), np.zeros((2, 2))
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input(message):
    assert message_of(ValueError, BAD[message]) == message


def test_silence():
    recordings = Recordings(np.zeros(400, np.int16), np.array([400]), np.array(["a"]))
    message = message_of(ValueError, lambda: speech_splits(recordings, np.zeros(1), WORDS, 200))
    assert message == "the 400 training samples are all equal: nothing to standardise by."


COUNTS = {  # sequences, steps and the scale of the training samples
    timit_sample: ((120, 20, 20), (29133, 5138, 4852), 551.86),
    speech_commands: ((727, 110, 65), (58160, 8800, 5200), 2590.61),
}


@pytest.mark.parametrize("load", COUNTS)
def test_published_samples(data_folder, load):
    splits = load(data_folder)
    parts = (splits.train, splits.valid, splits.test)
    sequences, steps, scale = COUNTS[load]
    assert tuple(len(d) for d in parts) == sequences
    assert tuple(d.num_steps for d in parts) == steps
    assert round(splits.train.scale, 2) == scale
    x = np.concatenate([*splits.train.sequences])
    np.testing.assert_allclose([x.mean(), x.std()], [0, 1], atol=2e-3)


def test_the_way_back_on_real_speech(data_folder):
    with np.load(data_folder / "timit_sample" / "timit_nltk_sample.npz") as file:
        waves = np.split(file["wave"], np.cumsum(file["length"])[:-1])
        mine = [w for w, part in zip(waves, file["split"], strict=True) if part == 2]
    test = timit_sample(data_folder, samples_per_step=160).test
    for frames, wave in zip(test.sequences, mine, strict=True):
        found = waveform(test, frames)
        np.testing.assert_array_equal(np.round(found * 2**15), wave[: len(found)])


def test_clips_of_the_paper(data_folder):
    """Half a second, 40 steps of 200 samples: as many whole ones as the facts say."""
    splits = timit_sample(data_folder)
    clips = [int((d.lengths // 40).sum()) for d in (splits.train, splits.valid, splits.test)]
    assert clips == [672, 118, 113]
