import json
import os
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from avfkit.train import CheckpointError, load, read_header, save
from train.regression import environment, make_tree, same_bits

OVERWRITE_AND_DIE = """
import os, signal, sys
import numpy as np
from avfkit.train import save

os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
save(sys.argv[1], np.full(100_000, 2.0), hyperparameters={"run": "second"})
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.avfkit"


def message_of(function, *args):
    with pytest.raises(CheckpointError) as caught:
        function(*args)
    return str(caught.value)


def test_every_kind_of_leaf_comes_back(path):
    tree = {
        "linear": eqx.nn.Linear(2, 3, key=jr.key(0)),
        "half": jnp.arange(4, dtype=jnp.bfloat16),
        "bool": jnp.array([True, False]),
        "empty": jnp.zeros((2, 0)),
        "scalar": jnp.array(3, jnp.int32),
        "numpy": np.array(0.1, np.float64),
        "key": jr.split(jr.key(4), 2),
        "number": 0.5,
        "name": "relu",
        "function": jax.nn.relu,
        "none": None,
    }
    save(path, tree, hyperparameters={})
    blank = jax.tree.map(lambda x: x * 0 if eqx.is_inexact_array(x) else x, tree)
    loaded = load(path, blank | {"key": jr.split(jr.key(5), 2)})
    numpy, key = loaded.pop("numpy"), loaded.pop("key")
    assert type(numpy) is np.ndarray and numpy == 0.1
    assert np.array_equal(jr.key_data(key), jr.key_data(tree["key"]))
    assert loaded["function"] is jax.nn.relu and loaded["number"] == 0.5
    assert same_bits(loaded, {k: v for k, v in tree.items() if k in loaded})


def test_an_abstract_tree_is_enough(path):
    def make(key):
        return eqx.nn.Linear(2, 3, key=key), key

    save(path, make(jr.key(1)), hyperparameters={})
    linear, key = load(path, eqx.filter_eval_shape(make, jr.key(0)))
    assert same_bits(linear, make(jr.key(1))[0])
    assert key == jr.key(1)


def test_the_header_is_one_readable_line(path):
    save(path, {"w": jnp.zeros((2, 3), jnp.int32), "rate": 0.5}, hyperparameters={"sizes": (1, 2)})
    header = read_header(path)
    assert header.pop("version") and len(header.pop("sha256")) == 64
    assert header == {
        "format": "avfkit-checkpoint-2",
        "hyperparameters": {"sizes": [1, 2]},
        "run": {},
        "leaves": [
            {"path": "['rate']", "value": "0.5"},
            {"path": "['w']", "shape": [2, 3], "dtype": "int32"},
        ],
        "settings": {},
    }
    assert json.loads(path.read_bytes().partition(b"\n")[0])["leaves"] == header["leaves"]


def test_nothing_is_left_beside_the_file(path):
    save(path, jnp.zeros(2), hyperparameters={})
    save(path, jnp.ones(2), hyperparameters={})
    assert os.listdir(path.parent) == ["model.avfkit"]
    assert same_bits(load(path, jnp.zeros(2)), jnp.ones(2))


@pytest.mark.parametrize(
    ("like", "leaf", "found", "expected"),
    [
        (
            {"a": jnp.zeros(2, jnp.int32), "b": jnp.zeros((3, 4), jnp.int32)},
            1,
            "['b'] of shape (3,) and dtype int32",
            "['b'] of shape (3, 4) and dtype int32",
        ),
        (
            {"a": jnp.zeros(2, jnp.int16), "b": jnp.zeros(3, jnp.int32)},
            0,
            "['a'] of shape (2,) and dtype int32",
            "['a'] of shape (2,) and dtype int16",
        ),
        (
            {"a": jnp.zeros(2, jnp.int32), "c": jnp.zeros(3, jnp.int32)},
            1,
            "['b'] of shape (3,) and dtype int32",
            "['c'] of shape (3,) and dtype int32",
        ),
        ({"a": jnp.zeros(2, jnp.int32)}, 1, "['b'] of shape (3,) and dtype int32", "missing"),
        (
            {"a": jnp.zeros(2, jnp.int32), "b": jnp.zeros(3, jnp.int32), "c": 1.5},
            2,
            "missing",
            "['c'] = 1.5",
        ),
    ],
)
def test_another_tree_is_refused(path, like, leaf, found, expected):
    save(path, {"a": jnp.zeros(2, jnp.int32), "b": jnp.zeros(3, jnp.int32)}, hyperparameters={})
    assert message_of(load, path, like) == (
        f"{path}: a checkpoint of another tree: leaf {leaf} is {found} in the file, "
        f"expected {expected}."
    )


def test_another_width_is_refused(path):
    save(path, make_tree(width=5), hyperparameters={})
    assert message_of(load, path, make_tree(width=6)).startswith(
        f"{path}: a checkpoint of another tree: leaf 0 is ['hidden'].weight of shape (5, 3) and "
    )


def test_a_header_with_other_settings_is_refused(path):
    save(path, make_tree(), hyperparameters={})
    path.write_bytes(path.read_bytes().replace(b'.use_bias": "True"', b'.use_bias": "Nope"', 1))
    assert message_of(load, path, make_tree()).startswith(f"{path}: truncated or altered: SHA-256")


@pytest.mark.parametrize("change", ["truncated", "bit", "longer", "hyperparameter"])
def test_a_damaged_file_is_refused(path, change):
    save(path, jnp.arange(6.0), hyperparameters={"rate": 1})
    content = path.read_bytes()
    path.write_bytes(
        {
            "truncated": content[:-1],
            "bit": content[:-1] + bytes([content[-1] ^ 1]),
            "longer": content + b"\0",
            "hyperparameter": content.replace(b'"rate": 1', b'"rate": 2'),
        }[change]
    )
    expected = read_header(path)["sha256"]
    message = message_of(load, path, jnp.arange(6.0))
    found = message.removeprefix(f"{path}: truncated or altered: SHA-256 is ")[:64]
    assert len(bytes.fromhex(found)) == 32
    assert message == (f"{path}: truncated or altered: SHA-256 is {found}, expected {expected}.")


def test_a_cut_header_is_refused(path):
    save(path, jnp.zeros(2), hyperparameters={})
    path.write_bytes(path.read_bytes()[:60])
    assert message_of(read_header, path) == f"{path}: truncated or altered: unreadable header."


def test_a_header_nested_too_deeply_is_refused(path):
    path.write_bytes(b'{"format": "avfkit-checkpoint-2", "run": ' + b"[" * 100_000 + b"\n")
    for function in (lambda: load(path, jnp.zeros(2)), lambda: read_header(path)):
        assert message_of(function) == f"{path}: truncated or altered: unreadable header."


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"PK\x03\x04", b'{"loss": 1}\n'])
def test_another_file_is_refused(path, content):
    path.write_bytes(content)
    for function in (lambda: load(path, jnp.zeros(2)), lambda: read_header(path)):
        assert message_of(function) == f"{path}: not a checkpoint of avfkit: it has no header."


def test_another_format_is_refused(path):
    save(path, jnp.zeros(2), hyperparameters={})
    path.write_bytes(path.read_bytes().replace(b"checkpoint-2", b"checkpoint-9", 1))
    assert message_of(load, path, jnp.zeros(2)) == (
        f"{path}: format is 'avfkit-checkpoint-9', expected 'avfkit-checkpoint-2'."
    )


def test_a_header_without_an_entry_is_refused(path):
    path.write_bytes(b'{"format": "avfkit-checkpoint-2", "version": "1"}\n')
    message = f"{path}: truncated or altered: no 'hyperparameters' in the header."
    assert message_of(read_header, path) == message


def test_hyperparameters_must_be_json(path):
    with pytest.raises(ValueError) as caught:
        save(path, jnp.zeros(2), hyperparameters={"rate": float("nan")})
    assert str(caught.value).startswith("hyperparameters must be what strict JSON can hold: ")
    assert not path.exists()


def test_a_process_killed_while_writing_leaves_the_old_file(path):
    save(path, np.full(100_000, 1.0), hyperparameters={"run": "first"})
    command = [sys.executable, "-c", OVERWRITE_AND_DIE, str(path)]
    assert subprocess.run(command, env=environment()).returncode == -9
    assert len(os.listdir(path.parent)) == 2  # it died in the middle: the new file has begun
    assert read_header(path)["hyperparameters"] == {"run": "first"}
    assert np.array_equal(load(path, np.zeros(100_000)), np.full(100_000, 1.0))
    save(path, np.full(100_000, 3.0), hyperparameters={})
    assert os.listdir(path.parent) == ["model.avfkit"]
