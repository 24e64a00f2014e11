import numpy as np
import pytest

from avfkit.data._waves import read_wave
from data.media import damaged, message_of, noise, riff, sphere

pytest.importorskip("soundfile")
WAVE = noise(1000)


@pytest.mark.parametrize("write", [sphere, riff])
def test_samples_come_back(write):
    found = read_wave("a.wav", write(WAVE), 16000)
    np.testing.assert_array_equal(found, WAVE)
    assert found.dtype == np.int16


@pytest.mark.parametrize("write", [sphere, riff])
@pytest.mark.parametrize("state", ["empty", "cut in the header", "cut in the middle",
                                   "something else"])  # fmt: skip
def test_damaged_files_are_refused(write, state):
    data = damaged(write(WAVE))[state]
    message = message_of(ValueError, lambda: read_wave("a.wav", data, 16000))
    assert message.startswith("a.wav is n")
    assert message.endswith("It is truncated or altered: copy it again.")


def test_what_is_said_of_a_truncated_file():
    for write in (sphere, riff):
        message = message_of(ValueError, lambda w=write: read_wave("a", w(WAVE)[:-400], 16000))
        assert message == (
            "a is not a readable sound file (its header says 1000 samples, it holds 800). "
            "It is truncated or altered: copy it again."
        )


@pytest.mark.parametrize("count", [999, 1001, 10**12])
def test_header_that_disagrees_with_the_samples(count):
    message = message_of(ValueError, lambda: read_wave("a", sphere(WAVE, count=count), 16000))
    assert f"its header says {count} samples" in message


def test_every_header_byte_may_be_flipped():
    """Nothing worse than a refusal; or the same samples, or fewer bits that do not matter."""
    refused = 0
    for write, size in ((sphere, 200), (riff, 44)):
        for i in range(size):
            data = bytearray(write(WAVE))
            data[i] ^= 255
            try:
                read_wave("a", bytes(data), 16000)
            except ValueError:
                refused += 1
    assert refused > 60


BAD = {
    "a has 8000 samples per second, 1 channels and 16 bits, expected 16000, 1 and 16.": riff(
        WAVE, 8000
    ),
    "a has 16000 samples per second, 2 channels and 16 bits, expected 16000, 1 and 16.": riff(
        WAVE, channels=2
    ),
    "a has 16000 samples per second, 1 channels and 8 bits, expected 16000, 1 and 16.": riff(
        WAVE.astype(np.uint8)
    ),
    "a has 8000 samples per second, 1 channels and 16 bits, expected 16000, 1 and 16. ": sphere(
        WAVE, 8000
    ),
    "a is no sound file: it begins with b'ID3\\x00\\x00\\x00\\x00\\x00', expected 'NIST_1A' "
    "(SPHERE) or 'RIFF' (wav). It is truncated or altered: copy it again.": b"ID3" + bytes(99),
}


@pytest.mark.parametrize("message", BAD)
def test_other_kinds(message):
    assert message_of(ValueError, lambda: read_wave("a", BAD[message], 16000)) == message.strip()
