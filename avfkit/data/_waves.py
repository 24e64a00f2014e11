"""Reading sound files: RIFF by the standard library, NIST SPHERE by libsndfile; 16 bit, mono."""

import io
import re
import wave
from pathlib import Path

import numpy as np
from jaxtyping import Int16

from ._cache import read_bytes

_LARGEST = 2**28  # bytes of a sound file: two hours
DECODING = 1  # raise it with any change of the samples that a file gives: cached ones are old then


def read_wave(where: str, data: bytes, rate: int) -> Int16[np.ndarray, " samples"]:
    """The samples of a sound file, whatever its suffix says.

    Args:
        where: the name of the file, for messages.
        data: its bytes.
        rate: samples per second that it must have.

    Raises:
        ImportError: if it is a SPHERE file and soundfile is not installed.
        ValueError: if it is neither RIFF nor SPHERE, is truncated or altered, or has another rate,
            width or number of channels.
    """
    readers = {b"NIST_1A": _sphere, b"RIFF": _riff}
    for magic, read in readers.items():
        if data.startswith(magic):
            samples, (found, channels, bits) = read(where, data)
            if (found, channels, bits) != (rate, 1, 16):
                raise ValueError(
                    f"{where} has {found} samples per second, {channels} channels and {bits} bits, "
                    f"expected {rate}, 1 and 16."
                )
            return samples
    raise ValueError(
        f"{where} is no sound file: it begins with {data[:8]!r}, expected 'NIST_1A' (SPHERE) or "
        "'RIFF' (wav). It is truncated or altered: copy it again."
    )


def read_wave_file(path: Path, rate: int) -> Int16[np.ndarray, " samples"]:
    """The samples of an ordinary file that is not too large; see `read_wave`."""
    return read_wave(str(path), read_bytes(path, _LARGEST), rate)


def _sphere(where: str, data: bytes) -> tuple[np.ndarray, tuple[int, int, int]]:
    try:
        import soundfile
    except ImportError as error:
        raise ImportError(
            f"{where} is a NIST SPHERE file; reading it needs soundfile: "
            "pip install 'avfkit[audio]'."
        ) from error
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            bits = int(file.subtype.removeprefix("PCM_")) if "PCM_1" in file.subtype else 0
            format_ = (file.samplerate, file.channels, bits)
            samples = file.read(dtype="int16", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        raise _damaged(where, str(error)) from error
    # libsndfile reads what is there; the header tells what should be
    count = re.search(rb"\nsample_count -i (\d+)", data[:1024])
    if count is None or int(count[1]) != len(samples):
        promised = "no number of" if count is None else int(count[1])
        raise _damaged(where, f"its header says {promised} samples, it holds {len(samples)}")
    return samples[:, 0], format_


def _riff(where: str, data: bytes) -> tuple[np.ndarray, tuple[int, int, int]]:
    try:
        with wave.open(io.BytesIO(data)) as file:
            format_ = (file.getframerate(), file.getnchannels(), 8 * file.getsampwidth())
            count = file.getnframes()
            raw = file.readframes(count)
    except (wave.Error, EOFError, RuntimeError) as error:
        raise _damaged(where, str(error) or type(error).__name__) from error
    if len(raw) != count * format_[1] * format_[2] // 8:
        held = len(raw) * 8 // (format_[1] * format_[2])
        raise _damaged(where, f"its header says {count} samples, it holds {held}")
    return np.frombuffer(raw, "<i2" if format_[2] == 16 else "u1"), format_


def _damaged(where: str, why: str) -> ValueError:
    return ValueError(
        f"{where} is not a readable sound file ({why}). It is truncated or altered: copy it again."
    )
