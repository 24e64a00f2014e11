"""Against a server on this machine: what breaks off, comes wrong, or never comes."""

import hashlib
import os
import re

import pytest

from avfkit.data._download import download, sha256_of
from data.media import answering, files_below

GOOD = bytes(range(256)) * 4096
WHOLE, CUT = (GOOD, len(GOOD)), (GOOD[: len(GOOD) // 2], len(GOOD))
SHA = hashlib.sha256(GOOD).hexdigest()


def test_whole_file(tmp_path):
    with answering(WHOLE) as (address, asked):
        download("Tiny", f"{address}/a.bin", tmp_path / "x" / "a.bin", sha256=SHA)
    assert (tmp_path / "x" / "a.bin").read_bytes() == GOOD
    assert files_below(tmp_path) == ["x/a.bin"] and asked == ["/a.bin"]


def test_a_connection_that_breaks_is_started_over(tmp_path):
    with answering(CUT, CUT, WHOLE) as (address, asked):
        download("Tiny", f"{address}/a.bin", tmp_path / "a.bin", sha256=SHA)
    assert (tmp_path / "a.bin").read_bytes() == GOOD
    assert files_below(tmp_path) == ["a.bin"] and len(asked) == 3


def test_cut_then_wrong_then_good(tmp_path):
    """Three calls of a user; the file stands there after the third, and no half before."""
    wrong = b"\0" * len(GOOD)
    with answering(CUT, CUT, CUT, (wrong, len(wrong)), WHOLE) as (address, _):
        url = f"{address}/a.bin"
        with pytest.raises(FileNotFoundError) as error:
            download("Tiny", url, tmp_path / "a.bin", sha256=SHA, advice="Try folder=.")
        assert str(error.value) == (
            f"Tiny was not found, and {url} could not be downloaded (ChunkedEncodingError). "
            "Try folder=."
        )
        assert files_below(tmp_path) == []
        with pytest.raises(ValueError) as error:
            download("Tiny", url, tmp_path / "a.bin", sha256=SHA)
        assert str(error.value) == (
            f"{url} delivered other bytes than those of Tiny: their SHA-256 is "
            f"{hashlib.sha256(wrong).hexdigest()}, expected {SHA}. "
            "Nothing was kept: try again later."
        )
        assert list(tmp_path.iterdir()) == []
        download("Tiny", url, tmp_path / "a.bin", sha256=SHA)
    assert sha256_of(tmp_path / "a.bin") == SHA and files_below(tmp_path) == ["a.bin"]


def test_a_file_in_place_survives_a_failure(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"old")
    with answering((b"new", 3)) as (address, _), pytest.raises(ValueError, match="other bytes"):
        download("Tiny", f"{address}/a.bin", tmp_path / "a.bin", sha256=SHA)
    assert (tmp_path / "a.bin").read_bytes() == b"old" and files_below(tmp_path) == ["a.bin"]


def test_no_server(tmp_path):
    with answering() as (address, _):
        pass
    with pytest.raises(FileNotFoundError, match=re.escape("could not be downloaded (Connection")):
        download("Tiny", f"{address}/a.bin", tmp_path / "a.bin")
    assert files_below(tmp_path) == []


def test_progress_is_shown(tmp_path, capfd):
    pytest.importorskip("tqdm")
    with answering(WHOLE) as (address, _):
        download("Tiny", f"{address}/a.bin", tmp_path / "a.bin")
    assert "100%" in capfd.readouterr().err


def test_what_a_killed_process_left_is_swept_away(tmp_path):
    """But not what another process may be writing now, nor anything of another name."""
    names = ("a.bin.x1.part/a.bin", "a.bin.x2.part", "a.bin.x3.part/a.bin", "b.bin.x4.part")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"half")
        if "x3" not in name:
            for path in (tmp_path / name, (tmp_path / name).parent):
                os.utime(path, (1e9, 1e9))
    with answering(WHOLE) as (address, _):
        download("Tiny", f"{address}/a.bin", tmp_path / "a.bin", sha256=SHA)
    assert files_below(tmp_path) == ["a.bin", "a.bin.x3.part/a.bin", "b.bin.x4.part"]
