import pytest

from avfkit_experiments._cluster import EXPECTED, is_first, place
from experiments.tiny import invoke


def test_which_process_this_is():
    assert place("auto") == {}
    assert place("1/4@node-3.cluster:1234") == {
        "coordinator_address": "node-3.cluster:1234",
        "num_processes": 4,
        "process_id": 1,
    }
    assert is_first()


@pytest.mark.parametrize("words", ["4", "4/4@a:1", "0/2@a", "0/2", "-1/2@a:1"])
def test_what_cannot_be_read_is_refused(words, tmp_path):
    result = invoke("train", "tiny-music", "--out", tmp_path / "run", "--processes", words)
    assert result.output == f"Error: processes is {words!r}; expected {EXPECTED}.\n"
    assert result.exit_code == 1 and not (tmp_path / "run").exists()
