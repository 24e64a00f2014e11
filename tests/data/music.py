"""A tiny music set in every file format, and a server of files on this machine."""

import functools
import http.server
import json
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from avfkit.data._polyphonic import MusicSet
from avfkit.data._rolls import Rolls, rolls_of_notes

NOTES = {
    "test": [[[21, 108], [60]]],
    "train": [[[60, 64, 67], [], [60]], [[62]]],
    "valid": [[[43, 43], [96]]],  # two voices on one key are one key
}
ROLLS = rolls_of_notes("NOTES", NOTES)
TINY = MusicSet(
    title="Tiny",
    digest=ROLLS.digest(),
    songs=(2, 1, 1),
    step="quarter note",
    licence="MIT",
    files=("tiny.npz", "Tiny.pickle", "Tiny.pkl", "Tiny.mat", "tiny.json"),
)


def write_npz(path: Path, rolls: Rolls = ROLLS) -> Path:
    np.savez(path, roll=rolls.packed, length=rolls.length, split=rolls.split)
    return path


def write_json(path: Path, parts: object = NOTES) -> Path:
    path.write_text(json.dumps(parts))
    return path


def write_pickle(path: Path, parts: object = NOTES, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(parts, protocol))
    return path


def notes_of(rolls: Rolls) -> dict[str, list[list[list[int]]]]:
    """The songs as lists of MIDI notes, as the published JSON and pickles hold them."""
    return {
        name: [[[int(k) + 21 for k in np.flatnonzero(step)] for step in song]
               for song in rolls.songs(part)]
        for part, name in enumerate(("train", "valid", "test"))
    }  # fmt: skip


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which the files of a folder can be fetched."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
