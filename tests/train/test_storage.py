"""A full disk, a folder that cannot be written, death at any moment: nothing is lost."""

import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from avfkit.train import read_header, save
from train.regression import (
    data,
    environment,
    make_tree,
    read_metrics,
    same_bits,
    train,
    without_times,
)

FULL = "cannot be written (File too large); what was there is kept"


@contextmanager
def room(size):
    """No file of this process can grow beyond so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def unprivileged():
    """As somebody who is not root, for whom permissions count."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture(scope="module")
def whole():
    return train()


class Interrupted(Exception):
    pass


@pytest.fixture
def short(tmp_path):
    """A run that ended after seven steps; its checkpoint is of five."""

    def failing(step):
        if step == 7:
            raise Interrupted
        return data(step)

    with pytest.raises(Interrupted):
        train(tmp_path, data=failing)
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refusal(folder, **changes):
    with pytest.raises(OSError) as caught:
        train(folder, **changes)
    return caught.value.args[1]


def assert_goes_on(folder, whole):
    found = train(folder)
    assert same_bits((found.tree, found.last), (whole.tree, whole.last))
    assert without_times(read_metrics(folder)) == without_times(whole.history)


@pytest.mark.parametrize("share", [0.0, 0.999])
def test_a_full_disk_leaves_the_checkpoint(short, whole, share):
    checkpoint = short / "checkpoint.avfkit"
    kept, size = checkpoint.read_bytes(), checkpoint.stat().st_size
    assert size > 2 * (short / "metrics.jsonl").stat().st_size
    with room(int(share * size)):
        found = refusal(short)
    name = "metrics.jsonl" if share == 0 else "checkpoint.avfkit"
    assert found == f"{short / name} {FULL}"
    assert checkpoint.read_bytes() == kept
    steps = [record["step"] for record in read_metrics(short)]
    assert steps == [4, *([6] if share == 0 else [6, 8])]
    assert sorted(contents(short)) == [".lock", "checkpoint.avfkit", "metrics.jsonl"]
    assert_goes_on(short, whole)


def test_a_disk_that_fills_up_in_a_line_of_metrics(short, whole):
    file = short / "metrics.jsonl"
    with room(file.stat().st_size + 20):
        assert refusal(short) == f"{file} {FULL}"
    assert not file.read_bytes().endswith(b"\n")  # a line was cut
    assert_goes_on(short, whole)


def test_a_new_run_without_room_leaves_nothing_to_mistake(tmp_path, whole):
    with room(100):
        assert refusal(tmp_path) == f"{tmp_path / 'checkpoint.avfkit'} {FULL}"
    assert os.listdir(tmp_path) == [".lock"]
    assert_goes_on(tmp_path, whole)


def test_saving_without_room_keeps_the_old_file(tmp_path):
    file = tmp_path / "tree.avfkit"
    save(file, make_tree(), hyperparameters={"n": 1})
    with room(50), pytest.raises(OSError) as caught:
        save(file, make_tree(), hyperparameters={"n": 2})
    assert caught.value.args[1] == f"{file} {FULL}"
    assert read_header(file)["hyperparameters"] == {"n": 1} and os.listdir(tmp_path) == [file.name]


@pytest.mark.parametrize("new", [True, False])
def test_a_folder_that_cannot_be_written(new, whole):
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    try:
        home = folder / "run" if new else folder
        if not new:
            train(home, num_steps=7)
        before = contents(folder)
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
        with unprivileged():
            found = refusal(home)
        assert found == f"{home} cannot be written (Permission denied); what was there is kept"
        assert contents(folder) == before
    finally:
        shutil.rmtree(folder)


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "run").write_text("precious")
    found = refusal(tmp_path / "run")
    assert found == f"{tmp_path / 'run'} cannot be written (File exists); what was there is kept"
    assert (tmp_path / "run").read_text() == "precious"


TELLING = """
import sys
from pathlib import Path
from train.regression import data, train

def telling(step):
    print(step, flush=True)
    return data(step)

train(Path(sys.argv[1]), num_steps=3000, data=telling, checkpoint_every=2, validate=None)
"""


def test_killed_at_random_moments_it_loses_less_than_an_interval(tmp_path):
    """The moment after a step was announced is anywhere: in a step, a record or a checkpoint."""
    rng, begun = random.Random(0), 0
    for _ in range(2):
        command = [sys.executable, "-c", TELLING, str(tmp_path)]
        with subprocess.Popen(command, stdout=-1, text=True, env=environment()) as process:
            assert process.stdout is not None
            start = int(process.stdout.readline())
            assert begun - 2 <= start <= begun  # what was lost is less than an interval
            for _ in range(rng.randrange(50, 400)):
                begun = int(process.stdout.readline())
            process.kill()
            begun = int(([begun, *process.stdout.read().split()])[-1])
        assert process.returncode == -9
    options = {"num_steps": begun + 2, "checkpoint_every": 2, "validate": None}
    resumed, whole = train(tmp_path, **options), train(**options)
    assert same_bits(resumed.last, whole.last)
    assert without_times(resumed.history) == without_times(whole.history)
