"""The products of a training step are rounded as chosen, those of a score are not."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import pytest

import avfkit
from avfkit.data import Batch
from avfkit_experiments import Recipe, run
from avfkit_experiments._inference import make_tree
from avfkit_experiments._loss import learner
from avfkit_experiments._precision import products
from experiments.tiny import PRESETS, RECIPE, WIDTHS
from tests.helpers import random_lds


@pytest.fixture(scope="module")
def precisions():
    """Of all matrix products of AVF's gradient; of those without one None."""
    tree = make_tree(PRESETS["tiny-music"], "avf", iterations=1, samples=1, key=jr.key(0))
    tree, loss = learner(tree, RECIPE, 1)
    batch = Batch(jnp.zeros((2, 4, 88)), jnp.ones((2, 4), bool))
    arrays, static = eqx.partition(tree, eqx.is_inexact_array)

    def of(name):
        def value(arrays):
            tree = eqx.combine(arrays, static)
            return loss(tree, batch, key=jr.key(1), step=jnp.array(0))[0]

        with products(name):
            text = str(jax.make_jaxpr(jax.grad(value))(arrays))
        found = re.findall(r"\bprecision=\(?(?:Precision\.)?([\w.]+)", text)
        return {*found, *([None] if text.count("dot_general[") > len(found) else [])}

    return of


def test_every_product_is_rounded_as_chosen(precisions):
    assert precisions("bfloat16") == {"BF16_BF16_F32"}
    assert precisions("float32") == {"HIGHEST"}
    assert precisions("default") == {None}


def test_a_score_inside_a_run_is_not_rounded(precisions):
    with products("bfloat16"):
        assert precisions("default") == {None}


def test_validation_and_test_share_what_is_compiled(tmp_path):
    """Some libraries ask for exact products of all, where they are imported."""
    model = avfkit.VRNN(WIDTHS["music"], 3, hidden_size=7, width=5, key=jr.key(0))  # no other's
    tree = model, avfkit.DirectFilter.create(model, width=5, depth=1, key=jr.key(1))
    compiled = []

    def listen(event, seconds, fun_name="", **facts):
        if event.endswith("backend_compile_duration") and "sequence_sums" in fun_name:
            compiled.append(jax.config.jax_default_matmul_precision)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        with jax.default_matmul_precision("float32"):
            run(tree, PRESETS["tiny-music"].load(None), RECIPE, folder=tmp_path, seed=0)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled == ["float32"]


@pytest.mark.parametrize(
    ("precision", "model", "message"),
    [
        (
            "tf32",
            PRESETS["tiny-music"].model(key=jr.key(0)),
            "precision is 'tf32'; expected default or float32: on a CPU there is no other product.",
        ),
        (
            "bfloat16",
            random_lds(),
            "precision is 'bfloat16'; expected default or float32: the messages of a latent chain "
            "are matrix products too, and need every digit.",
        ),
    ],
)
def test_what_is_refused(precision, model, message):
    with pytest.raises(ValueError) as error:
        products(precision, model)
    assert str(error.value) == message


def test_a_precision_is_recorded_if_it_was_chosen():
    assert "precision" not in Recipe(steps=1).record()
    assert Recipe(steps=1).changed(["precision=bfloat16"]).record()["precision"] == "bfloat16"
