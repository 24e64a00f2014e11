import subprocess
import sys

import jax.random as jr
import optax
import pytest

from avfkit.train import CheckpointError, fit, read_header, save
from train.regression import (
    ROOT,
    data,
    environment,
    make_tree,
    read_metrics,
    same_bits,
    train,
    without_times,
)


class Interrupted(Exception):
    pass


def interrupted_at(last):
    def failing(step):
        if step == last:
            raise Interrupted
        return data(step)

    return failing


def assert_same_run(found, expected):
    assert same_bits((found.tree, found.last), (expected.tree, expected.last))
    assert (found.step, found.best_score) == (expected.step, expected.best_score)
    assert without_times(found.history) == without_times(expected.history)


def payload(folder):
    return (folder / "checkpoint.avfkit").read_bytes().partition(b"\n")[2]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, train(folder)


def test_a_killed_process_resumes_bitwise(tmp_path, whole):
    folder, expected = whole
    script = ROOT / "tests" / "train" / "regression.py"
    command = [sys.executable, str(script), str(tmp_path), "17"]
    assert subprocess.run(command, env=environment()).returncode == -9
    assert read_metrics(tmp_path)[-1]["step"] == 16  # beyond the checkpoint, which is at 15
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "tra')  # and a line that was cut
    found = train(tmp_path)
    assert_same_run(found, expected)
    assert payload(tmp_path) == payload(folder)
    assert without_times(read_metrics(tmp_path)) == without_times(read_metrics(folder))


@pytest.mark.parametrize("k", [0, 1, 5, 14, 29])
def test_interrupted_anywhere_resumes_bitwise(tmp_path, whole, k):
    with pytest.raises(Interrupted):
        train(tmp_path, data=interrupted_at(k))
    assert_same_run(train(tmp_path), whole[1])


def test_a_finished_run_is_loaded(whole):
    folder, expected = whole
    again = train(folder, data=interrupted_at(0))
    assert_same_run(again, expected)
    assert again.compile_seconds == 0


def test_a_run_can_be_continued(tmp_path, whole):
    train(tmp_path, num_steps=12, checkpoint_every=100)
    assert_same_run(train(tmp_path), whole[1])


def test_a_former_end_adds_one_validation(tmp_path, whole):
    train(tmp_path, num_steps=13, checkpoint_every=100)
    found = train(tmp_path)
    assert same_bits(found.last, whole[1].last)
    assert [r["step"] for r in found.history if r["kind"] == "validation"].count(13) == 1
    rest = [record for record in found.history if record["step"] != 13]
    assert [r["step"] for r in rest] == [r["step"] for r in whole[1].history]


def test_without_a_folder_it_is_the_same_run(whole):
    assert_same_run(train(), whole[1])


def test_early_stopping_resumes(tmp_path):
    def rising():
        return iter([3.0, 1.0, 2.0, 2.0, 2.0, 0.0])

    def scripted(scores, interrupt=None):
        options = {"num_steps": 40, "validate_every": 5, "patience": 3}
        validate = lambda tree: next(scores)  # noqa: E731
        stop = data if interrupt is None else interrupted_at(interrupt)
        folder = None if interrupt is None else tmp_path
        return train(folder, data=stop, validate=validate, **options)

    expected = scripted(rising())
    assert (expected.step, expected.best_score) == (25, 1.0)
    scores = rising()
    with pytest.raises(Interrupted):
        scripted(scores, interrupt=22)
    assert_same_run(scripted(scores, interrupt=39), expected)
    assert_same_run(scripted(scores, interrupt=0), expected)  # stopped stays stopped


def test_times_go_on(tmp_path):
    with pytest.raises(Interrupted):
        train(tmp_path, data=interrupted_at(20))
    train(tmp_path)
    seconds = [record["seconds"] for record in read_metrics(tmp_path)]
    assert seconds == sorted(seconds)


OTHER = "; give each run its own folder."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"hyperparameters": {"width": 6, "sizes": (1, 2)}},
            "holds another run: hyperparameter width is 5 there, expected 6" + OTHER,
        ),
        (
            {"hyperparameters": {"width": 5}},
            "holds another run: hyperparameter sizes is [1, 2] there, expected 'not given'" + OTHER,
        ),
        (
            {"key": jr.key(4)},
            "holds another run: key is 'threefry2x32 [0, 3]' there, expected 'threefry2x32 [0, 4]'"
            + OTHER,
        ),
        ({"log_every": 5}, "holds another run: log_every is 4 there, expected 5" + OTHER),
        ({"validate_every": 7}, "holds another run: validate_every is 6 there, expected 7" + OTHER),
    ],
)
def test_the_folder_of_another_run_is_refused(whole, changes, message):
    folder, _ = whole
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(CheckpointError) as caught:
        train(folder, **changes)
    assert str(caught.value) == f"{folder} {message}"
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def refusal(folder, tree, **changes):
    options = {"optimizer": optax.sgd(0.1), "num_steps": 2, "key": jr.key(0)} | changes
    with pytest.raises(ValueError) as caught:
        fit(
            tree,
            lambda tree, batch, **_: (tree["hidden"].bias.sum(), {}),
            data,
            **options,
            folder=folder,
        )
    return str(caught.value)


def test_another_tree_is_refused(tmp_path):
    train(tmp_path, num_steps=6)
    plan = {"hyperparameters": {"width": 5, "sizes": (1, 2)}, "key": jr.key(3)}
    assert refusal(tmp_path, make_tree(width=4), **plan).startswith(
        f"{tmp_path / 'checkpoint.avfkit'}: a checkpoint of another tree: leaf 0 is "
        "[0].tree['hidden'].weight of shape (5, 3)"
    )


def test_another_initial_tree_is_refused(tmp_path):
    options = {"optimizer": optax.sgd(0.1), "num_steps": 2, "key": jr.key(0)}
    fit(
        make_tree(0),
        lambda tree, batch, **_: (tree["hidden"].bias.sum(), {}),
        data,
        **options,
        folder=tmp_path,
    )
    there = read_header(tmp_path / "checkpoint.avfkit")["run"]["initial tree"]
    message = refusal(tmp_path, make_tree(1))
    assert message.startswith(f"{tmp_path} holds another run: initial tree is '{there}' there, ")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"width": 5', b'"width": 6'),
        (b'"log_every": 4', b'"log_every": []'),
    ],
)
def test_an_altered_header_is_called_altered(tmp_path, whole, old, new):
    content = (whole[0] / "checkpoint.avfkit").read_bytes()
    assert old in content
    file = tmp_path / "checkpoint.avfkit"
    file.write_bytes(content.replace(old, new, 1))
    with pytest.raises(CheckpointError) as caught:
        train(tmp_path)
    found = str(caught.value).partition("SHA-256 is ")[2][:64]
    expected = read_header(file)["sha256"]
    assert str(caught.value) == (
        f"{file}: truncated or altered: SHA-256 is {found}, expected {expected}."
    )


def test_a_header_without_its_hyperparameters_is_refused(tmp_path, whole):
    content = (whole[0] / "checkpoint.avfkit").read_bytes()
    old = b'"hyperparameters": {"width": 5, "sizes": [1, 2]}'
    file = tmp_path / "checkpoint.avfkit"
    file.write_bytes(content.replace(old, b'"hyperparameters": []', 1))
    with pytest.raises(CheckpointError) as caught:
        train(tmp_path)
    assert str(caught.value) == f"{file}: altered: 'hyperparameters' in the header is no dict."


def test_a_run_cannot_go_back(whole):
    with pytest.raises(ValueError) as caught:
        train(whole[0], num_steps=20)
    assert str(caught.value) == (
        f"num_steps is 20, expected at least 30: so many steps are done already in {whole[0]}."
    )


def test_metrics_of_nobody_are_not_overwritten(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("precious\n")
    with pytest.raises(CheckpointError) as caught:
        train(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds metrics.jsonl but no checkpoint.avfkit, so it is not known whose they "
        "are; give each run its own folder."
    )
    assert (tmp_path / "metrics.jsonl").read_text() == "precious\n"


def test_a_saved_tree_is_not_a_run(tmp_path):
    save(tmp_path / "checkpoint.avfkit", make_tree(), hyperparameters={})
    assert "a checkpoint of another tree: leaf 0 is ['hidden'].weight" in refusal(
        tmp_path, make_tree()
    )


def test_a_spoilt_line_of_metrics_is_named(tmp_path):
    train(tmp_path, num_steps=10)
    file = tmp_path / "metrics.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([lines[0], "[1]\n", *lines[1:]]))
    with pytest.raises(ValueError) as caught:
        train(tmp_path)
    assert str(caught.value) == f"{file}, line 2: expected a record, found b'[1]\\n'."
