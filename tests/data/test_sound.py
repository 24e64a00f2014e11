import numpy as np
import pytest

from avfkit.data import synthesise, to_midi

A4 = 69 - 21


def roll(*steps):
    notes = np.zeros((len(steps), 88), np.float32)
    for t, keys in enumerate(steps):
        notes[t, list(keys)] = 1
    return notes


def test_wave_has_the_pitch_of_the_key():
    wave = synthesise(roll([A4], [A4]), 8000, seconds_per_step=0.5)
    assert wave.shape == (8000,) and wave.dtype == np.float32
    np.testing.assert_allclose(np.abs(wave).max(), 0.9, rtol=1e-6)
    assert np.abs(np.fft.rfft(wave)).argmax() == 440  # one second: bin = hertz


def test_silence_and_held_and_released_notes():
    wave = synthesise(roll([], [A4], [A4], []), 1000, seconds_per_step=1.0)
    first, second, third, last = wave.reshape(4, 1000)
    assert not first.any() and not last.any()
    assert np.abs(second).max() > np.abs(third).max() > 0
    assert np.abs(second[-20:]).max() > 0.2  # held across the step: no gap
    assert np.abs(third[-1]) < 0.05
    assert not synthesise(roll([], [])).any()


def test_partials_above_half_the_rate_are_left_out():
    wave = synthesise(roll([87]), 8000)  # C8, 4,186 Hz
    assert not wave.any()


def events(data: bytes):
    """A reader of the files that `to_midi` writes: tempo and (ticks, status, note) per event."""
    assert data[:14] == b"MThd\0\0\0\6\0\0\0\1" + (480).to_bytes(2, "big")
    assert data[14:18] == b"MTrk" and int.from_bytes(data[18:22], "big") == len(data) - 22
    at, now, found = 22, 0, []
    while at < len(data):
        delta = 0
        while True:
            delta, more = delta << 7 | data[at] & 0x7F, data[at] & 0x80
            at += 1
            if not more:
                break
        now += delta
        size = 3 + data[at + 2] if data[at] == 0xFF else 3
        found.append((now, data[at : at + size]))
        at += size
    return found


def test_midi(tmp_path):
    path = tmp_path / "a.mid"
    to_midi(roll([A4, 0], [A4], [], [87]), path, seconds_per_step=0.25)
    assert events(path.read_bytes()) == [
        (0, b"\xff\x51\x03" + (250_000).to_bytes(3, "big")),
        (0, bytes((0x90, 21, 80))),
        (0, bytes((0x90, 69, 80))),
        (480, bytes((0x80, 21, 0))),
        (960, bytes((0x80, 69, 0))),
        (1440, bytes((0x90, 108, 80))),
        (1920, bytes((0x80, 108, 0))),
        (1920, b"\xff\x2f\x00"),
    ]


def test_midi_of_a_long_silence(tmp_path):
    to_midi(roll(*[[]] * 1000, [A4]), tmp_path / "a.mid")
    assert [ticks for ticks, _ in events((tmp_path / "a.mid").read_bytes())[1:]] == [
        480_000, 480_480, 480_480,
    ]  # fmt: skip


BAD = {
    "roll has shape (88,), expected (time, 88) with at least one step.": {"roll": np.zeros(88)},
    "roll has shape (3, 87), expected (time, 88) with at least one step.": {
        "roll": np.zeros((3, 87))
    },
    "roll has shape (0, 88), expected (time, 88) with at least one step.": {
        "roll": np.zeros((0, 88))
    },
    "seconds_per_step is 0.0; expected a positive finite number.": {"seconds_per_step": 0.0},
    "seconds_per_step is nan; expected a positive finite number.": {
        "seconds_per_step": float("nan")
    },
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input(tmp_path, message):
    arguments = {"roll": roll([A4])} | BAD[message]
    for function, extra in ((synthesise, {}), (to_midi, {"path": tmp_path / "a.mid"})):
        with pytest.raises(ValueError) as error:
            function(**arguments, **extra)
        assert str(error.value) == message
    assert not (tmp_path / "a.mid").exists()


def test_bad_rate_and_tempo(tmp_path):
    with pytest.raises(ValueError) as error:
        synthesise(roll([A4]), 0)
    assert str(error.value) == "rate is 0, expected at least 1 sample per second."
    with pytest.raises(ValueError) as error:
        to_midi(roll([A4]), tmp_path / "a.mid", seconds_per_step=17.0)
    assert str(error.value) == "seconds_per_step is 17.0, expected 1e-6 to 16.7."
