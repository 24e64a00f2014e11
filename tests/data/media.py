"""Small sound files, films and recordings, written and read here; a server that breaks off."""

import http.server
import io
import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-500, 500, samples).astype(np.int16)


def sphere(samples: np.ndarray, rate: int = 16000, count: int | None = None) -> bytes:
    """A NIST SPHERE file as on the disc of TIMIT."""
    lines = [
        "NIST_1A",
        "   1024",
        "database_id -s5 TIMIT",
        "channel_count -i 1",
        f"sample_count -i {len(samples) if count is None else count}",
        f"sample_rate -i {rate}",
        "sample_n_bytes -i 2",
        "sample_byte_format -s2 01",
        "sample_sig_bits -i 16",
        "end_head",
    ]
    return ("\n".join(lines) + "\n").encode().ljust(1024) + samples.astype("<i2").tobytes()


def riff(samples: np.ndarray, rate: int = 16000, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(samples.dtype.itemsize)
        out.setframerate(rate)
        out.writeframes(samples.tobytes())
    return file.getvalue()


def avi(frames: np.ndarray) -> bytes:
    """A film of grey frames `[time, height, width]`, without loss."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", "avi") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.stack([frame] * 3, -1), format="rgb24")
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    return file.getvalue()


def damaged(data: bytes) -> dict[str, bytes]:
    """A file in several states that must be refused."""
    return {
        "empty": b"",
        "cut in the header": data[:20],
        "cut in the middle": data[: len(data) // 2],
        "something else": b"\x80\x04cos\nsystem\n" + bytes(3000),
    }


def read_wav(path: Path) -> tuple[np.ndarray, int]:
    """The samples, and how many a second has."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2"), file.getframerate()


def read_gif(path: Path) -> tuple[np.ndarray, list[int], int | None]:
    """The frames, the milliseconds of each, and how often they repeat."""
    pillow = pytest.importorskip("PIL.Image")
    frames, durations = [], []
    with pillow.open(path) as image:
        for number in range(image.n_frames):
            image.seek(number)
            frames.append(np.asarray(image.convert("L")))
            durations.append(image.info["duration"])
        return np.stack(frames), durations, image.info.get("loop")


class _Handler(http.server.BaseHTTPRequestHandler):
    answers: Iterator[tuple[bytes, int]]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        data, promised = next(self.answers)
        self.send_response(200)
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(*answers: tuple[bytes, int]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives these (bytes, length it promises) in turn; its address and requests."""
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"answers": iter(answers), "asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def files_below(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def spoil(cache: Path) -> None:
    """Cuts the values of every recording in a cache: reading them again raises."""
    for path in [*cache.glob("*.bin")]:
        path.write_bytes(path.read_bytes()[:-1])


def message_of(error: type[Exception], function: Callable[[], object]) -> str:
    """What the error says that a call must raise."""
    try:
        function()
    except error as caught:
        return str(caught)
    raise AssertionError(f"no {error.__name__} was raised")
