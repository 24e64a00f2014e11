import numpy as np
import pytest

from avfkit.data import synthesise, timit_sample, to_gif, to_wav, waveform
from data.media import files_below, message_of, read_gif, read_wav


def test_levels_survive_a_wav(tmp_path):
    levels = np.arange(-(2**15), 2**15, 7)
    to_wav(tmp_path / "a.wav", levels / 2**15, 16000.0)
    found, rate = read_wav(tmp_path / "a.wav")
    np.testing.assert_array_equal(found, levels)
    assert rate == 16000


def test_loud_waves_are_clipped(tmp_path):
    to_wav(str(tmp_path / "a.wav"), [-7.0, 0, 1, 7], 8000)
    np.testing.assert_array_equal(read_wav(tmp_path / "a.wav")[0], [-(2**15), 0, 32767, 32767])


def test_a_roll_as_a_wav(tmp_path):
    roll = np.zeros((2, 88))
    roll[:, 48] = 1
    sound = synthesise(roll, 8000)
    to_wav(tmp_path / "a.wav", sound, 8000)
    np.testing.assert_allclose(read_wav(tmp_path / "a.wav")[0] / 2**15, sound, atol=2**-15)


def test_real_speech_comes_back(data_folder, tmp_path):
    test = timit_sample(data_folder).test
    to_wav(tmp_path / "a.wav", waveform(test, test.sequences[3]), test.rate)
    found, rate = read_wav(tmp_path / "a.wav")
    np.testing.assert_array_equal(found, np.ravel(test.sequences[3].raw))
    assert rate == 16000


def test_gif(tmp_path):
    film = np.random.default_rng(0).uniform(-0.2, 1.2, (5, 6, 8))
    to_gif(tmp_path / "a.gif", film, 20)
    found, durations, loop = read_gif(tmp_path / "a.gif")
    np.testing.assert_allclose(found / 255, np.clip(film, 0, 1), atol=0.5 / 255 + 1e-9)
    assert durations == [50] * 5 and loop == 0


@pytest.mark.parametrize(("fps", "milliseconds"), [(24, 40), (25, 40), (50, 20), (3, 330)])
def test_duration_of_a_frame(tmp_path, fps, milliseconds):
    to_gif(tmp_path / "a.gif", np.eye(3)[:, None], fps)
    assert read_gif(tmp_path / "a.gif")[1] == [milliseconds] * 3


def test_a_still_is_shown_as_long(tmp_path):
    to_gif(tmp_path / "a.gif", np.zeros((4, 3, 3)), 10)
    assert sum(read_gif(tmp_path / "a.gif")[1]) == 400


BAD = {
    "wave has shape (2, 2), expected (samples,) with at least one.": (to_wav, np.zeros((2, 2)), 1),
    "wave has shape (0,), expected (samples,) with at least one.": (to_wav, [], 1),
    "wave holds nan, expected finite numbers.": (to_wav, [0, np.nan], 1),
    "rate is 0, expected at least 1 sample per second.": (to_wav, [0.0], 0),
    "film has shape (2, 4), expected (time, height, width) with at least one frame.": (
        to_gif,
        np.zeros((2, 4)),
        1,
    ),
    "film has shape (0, 4, 4), expected (time, height, width) with at least one frame.": (
        to_gif,
        np.zeros((0, 4, 4)),
        1,
    ),
    "film holds inf, expected finite numbers.": (to_gif, np.full((1, 1, 1), np.inf), 1),
    "fps is 0, expected more than 0 and at most 50.": (to_gif, np.zeros((1, 1, 1)), 0),
    "fps is 60, expected more than 0 and at most 50.": (to_gif, np.zeros((1, 1, 1)), 60),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_writes_nothing(tmp_path, message):
    function, content, rate = BAD[message]
    (tmp_path / "old").write_bytes(b"old")
    assert message_of(ValueError, lambda: function(tmp_path / "old", content, rate)) == message
    assert (tmp_path / "old").read_bytes() == b"old" and files_below(tmp_path) == ["old"]
