import json
import socket
import subprocess
import sys

import pytest

from avfkit.train import read_header
from train.devices import outcome, train
from train.regression import ROOT, environment, read_metrics
from train.test_mesh import QUICK, assert_same_run

OTHER = "; every process makes the same call of fit and gives the whole of each batch."


def free_port():
    with socket.socket() as server:
        server.bind(("localhost", 0))
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What each of two processes found, and the folder of their run."""
    folder, port = tmp_path_factory.mktemp("two") / "run", free_port()
    script = str(ROOT / "tests" / "train" / "devices.py")
    settings = environment(XLA_FLAGS=QUICK, JAX_PLATFORMS="cpu")
    settings = {name: value for name, value in settings.items() if "proxy" not in name.lower()}
    started = [
        subprocess.Popen(
            [sys.executable, script, str(folder), str(port), str(process)],
            env=settings,
            stdout=subprocess.PIPE,
            text=True,
        )
        for process in range(2)
    ]
    said = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    return [json.loads(text.splitlines()[-1]) for text in said], folder


def test_two_processes_are_one(two):
    (first, second), _ = two
    assert first["devices"] == second["devices"] == 2
    assert_same_run(first, outcome(train()))
    assert_same_run(second, first)
    assert first["leaves"] == second["leaves"]


def test_two_processes_resume_bitwise(two):
    (first, second), folder = two
    assert first["resumed"] and second["resumed"]
    assert read_header(folder / "checkpoint.avfkit")["run"]["log_every"] == 3
    kinds = [row["kind"] for row in read_metrics(folder)]
    assert (kinds.count("train"), kinds.count("validation")) == (4, 4)  # one at the former end
    assert outcome(train(folder))["leaves"] == first["leaves"]


def test_processes_that_disagree_all_stop(two):
    (first, second), folder = two
    key = f"ValueError: key is not the same in process 1 as in process 0{OTHER}"
    share = f"ValueError: data(0) is not the same in process 1 as in process 0{OTHER}"
    held = (
        f"CheckpointError: {folder} holds another run: key is 'threefry2x32 [0, 3]' there, "
        "expected 'threefry2x32 [0, 4]'; give each run its own folder."
    )
    assert first["refused"] == [key, share, held]
    assert second["refused"] == [key, share, f"RuntimeError: process 0 stopped: {held}"]
