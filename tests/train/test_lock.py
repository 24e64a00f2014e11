import os
import socket
import subprocess
import sys

import pytest

from avfkit.train import CheckpointError
from train.regression import environment, train

HOLD = """
import sys
from pathlib import Path
from avfkit.train._lock import lock

with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def refusal(folder, **changes):
    with pytest.raises(CheckpointError) as caught:
        train(folder, num_steps=6, **changes)
    return str(caught.value)


def in_use(folder, pid):
    return (
        f"{folder} is in use by process {pid} on {socket.gethostname()}; give each run its own "
        "folder."
    )


@pytest.mark.parametrize("killed", [False, True])
def test_a_folder_in_use_is_refused_until_its_process_ends(tmp_path, killed):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, env=environment()) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        assert refusal(tmp_path) == in_use(tmp_path, process.pid)
        assert os.listdir(tmp_path) == [".lock"]
        if killed:
            process.kill()
    assert train(tmp_path, num_steps=6).step == 6


def test_a_run_within_a_run_is_refused(tmp_path):
    def again(step):
        train(tmp_path, num_steps=6)

    assert refusal(tmp_path, data=again) == in_use(tmp_path, os.getpid())
    assert train(tmp_path, num_steps=6).step == 6
