"""The products of a training step are rounded as chosen, those of a score are not."""

import re
from functools import partial

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


def asked(loss, tree, name):
    """Precisions of all matrix products of a gradient; of those without one None."""
    arrays, static = eqx.partition(tree, eqx.is_inexact_array)
    with products(name):
        text = str(jax.make_jaxpr(jax.grad(lambda each: loss(eqx.combine(each, static))))(arrays))
    found = re.findall(r"\bprecision=\(?(?:Precision\.)?([\w.]+)", text)
    return {*found, *([None] if text.count("dot_general[") > len(found) else [])}


@pytest.fixture(scope="module")
def precisions():
    """Those of AVF."""
    tree = make_tree(PRESETS["tiny-music"], "avf", iterations=1, samples=1, key=jr.key(0))
    tree, loss = learner(tree, RECIPE, 1)
    batch = Batch(jnp.zeros((2, 4, 88)), jnp.ones((2, 4), bool))
    return partial(asked, lambda tree: loss(tree, batch, key=jr.key(1), step=jnp.array(0))[0], tree)


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


def test_messages_keep_all_digits_where_networks_do_not():
    model, xs = random_lds(), jnp.zeros((5, 4))
    options = {"head": avfkit.nn.FullGaussianHead, "width": 5, "depth": 1}
    net = avfkit.nn.Conditional(model.obs_size, model.latent_size, **options, key=jr.key(0))
    pair = model, avfkit.StructuredSmoother(net)

    def loss(pair):
        return avfkit.free_energy(*pair, xs, key=jr.key(1))

    assert asked(loss, pair, "bfloat16") == {"BF16_BF16_F32", "HIGHEST"}


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_a_cpu_has_no_other_product(precision, tmp_path):
    recipe = RECIPE.changed([f"precision={precision}"])
    tree = make_tree(PRESETS["tiny-music"], "own", iterations=1, samples=1, key=jr.key(0))
    with pytest.raises(ValueError) as error:
        run(tree, PRESETS["tiny-music"].load(None), recipe, folder=tmp_path, seed=0)
    assert str(error.value) == (
        f"precision is {precision!r}; expected default or float32: on a CPU there is no other "
        "product."
    )


def test_a_precision_is_recorded_if_it_was_chosen():
    assert "precision" not in Recipe(steps=1).record()
    assert Recipe(steps=1).changed(["precision=bfloat16"]).record()["precision"] == "bfloat16"
