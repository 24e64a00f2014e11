import functools
import json
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
import pytest

import avfkit
from avfkit.inference import learned_step, output_gate
from avfkit.train import CheckpointError, fit, load, read_header, save
from avfkit.train._settings import settings
from train.regression import environment


class Odd(eqx.Module):
    """One static field of every kind whose words could depend on the process."""

    weight: jax.Array
    child: tuple
    optimizer: object = eqx.field(static=True)
    names: frozenset = eqx.field(static=True)
    table: dict = eqx.field(static=True)
    thing: object = eqx.field(static=True)
    nested: eqx.Module = eqx.field(static=True)


def odd():
    return Odd(
        jnp.zeros(2),
        ({"a": eqx.nn.Identity()},),
        (optax.adam(1e-3), functools.partial(jax.nn.relu, 1)),
        frozenset(f"name {i}" for i in range(20)),
        {"square": lambda x: x**2, "size": (1, None)},
        object(),
        eqx.nn.Dropout(0.5),
    )


def avf(rule=output_gate, iterations=1):
    key = jr.key(0)
    model = avfkit.VRNN(3, 2, hidden_size=4, width=4, depth=1, key=key)
    update = avfkit.LearnedUpdate(model, width=4, depth=1, rule=rule, key=key)
    return model, avfkit.IterativeFilter(update, iterations)


def filters(*, of):
    return jnp.zeros(2), of


def message_of(path, like):
    with pytest.raises(CheckpointError) as caught:
        load(path, like)
    return str(caught.value)


def test_static_fields_are_told_by_path():
    found = settings(odd())
    assert len(found.pop(".names")) == 20
    assert found == {
        ".__class__": "Odd",
        ".child[0]['a'].__class__": "Identity",
        ".optimizer": [["chain.<locals>.init_fn", "chain.<locals>.update_fn"], ["relu", ["1"], {}]],
        ".table": {"'square'": "odd.<locals>.<lambda>", "'size'": ["1", "None"]},
        ".thing": "<object object>",
        ".nested": [
            {".__class__": "Dropout"},
            [{"path": ".p", "value": "0.5"}, {"path": ".inference", "value": "False"}],
        ],
    }


@pytest.mark.parametrize(
    ("like", "difference"),
    [
        (avf(learned_step, 5), "[1].update.rule is output_gate in the file, expected learned_step"),
        (avf(output_gate, 5), "[1].num_iterations is 1 in the file, expected 5"),
    ],
    ids=["rule", "iterations"],
)
def test_another_setting_is_refused(tmp_path, like, difference):
    path = tmp_path / "model.avfkit"
    save(path, avf(), hyperparameters={})
    assert message_of(path, like) == (
        f"{path}: a checkpoint of another tree: the setting {difference}."
    )
    load(path, eqx.filter_eval_shape(avf))


def test_another_class_is_refused(tmp_path):
    path = tmp_path / "model.avfkit"
    save(path, filters(of=avfkit.KalmanFilter()), hyperparameters={})
    assert message_of(path, filters(of=avfkit.KalmanSmoother())) == (
        f"{path}: a checkpoint of another tree: the setting [1].__class__ is KalmanFilter in the "
        "file, expected KalmanSmoother."
    )
    assert message_of(path, filters(of=None)) == (
        f"{path}: a checkpoint of another tree: the setting [1].__class__ is KalmanFilter in the "
        "file, expected missing."
    )


class Scaled(eqx.Module):
    bias: jax.Array
    scale: float = eqx.field(static=True)


def run(folder, scale):
    return fit(
        Scaled(jnp.zeros(2), scale),
        lambda tree, batch, **_: (tree.bias.sum() * tree.scale, {}),
        lambda step: {},
        optimizer=optax.adam(0.1),
        num_steps=1,
        key=jr.key(0),
        folder=folder,
    )


def test_a_run_with_another_setting_is_refused(tmp_path):
    run(tmp_path, 1.0)
    with pytest.raises(CheckpointError) as caught:
        run(tmp_path, 2.0)
    assert str(caught.value) == (
        f"{tmp_path / 'checkpoint.avfkit'}: a checkpoint of another tree: the setting "
        "[0].tree.scale is 1.0 in the file, expected 2.0."
    )
    assert run(tmp_path, 1.0).step == 1


DESCRIBE = """
import json
from train.test_settings import avf, odd
from avfkit.train._settings import settings

print(json.dumps(settings((odd(), avf()))))
"""


def test_two_processes_describe_a_tree_equally():
    command = [sys.executable, "-c", DESCRIBE]
    first, second = (
        json.loads(subprocess.check_output(command, env=environment(PYTHONHASHSEED=seed)))
        for seed in "12"
    )
    assert first == second == settings((odd(), avf()))
    assert " at 0x" not in json.dumps(first)


def test_what_the_header_holds_is_what_is_compared(tmp_path):
    save(tmp_path / "a", odd(), hyperparameters={})
    assert read_header(tmp_path / "a")["settings"] == settings(odd())
    assert load(tmp_path / "a", odd()).child == odd().child
