"""Recipes, the moving average, transposition."""

import re
from dataclasses import asdict

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from avfkit.data import Dataset
from avfkit_experiments import Recipe
from avfkit_experiments._average import Averaged, averaging
from avfkit_experiments._crops import crops, shifted
from tests.helpers import random_lds

RECIPE = Recipe(steps=10)


def test_settings_are_read_by_their_kind():
    texts = ["steps=5", "length=none", "cosine=TRUE", "phi_rate=1e-4", "length=7"]
    expected = {"steps": 5, "cosine": True, "phi_rate": 1e-4, "length": 7}
    assert asdict(RECIPE.changed(texts)) == asdict(RECIPE) | expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps=many", "steps is 'many'; expected a number."),
        ("cosine=1", "cosine is '1'; expected true or false."),
        ("steps=0", "steps is 0; expected at least 1."),
        ("clip=-1", "clip is -1.0; expected 0 or more."),
        (
            "precision=float16",
            "precision is 'float16'; expected one of default, float32, tf32, bfloat16.",
        ),
        ("average=1", "average is 1.0; expected from 0 to below 1."),
    ],
)
def test_bad_settings(text, message):
    with pytest.raises(ValueError) as error:
        RECIPE.changed([text])
    assert str(error.value) == message


def test_the_average_follows_the_live_tree():
    optimizer = averaging(optax.sgd(0.1), 0.9)
    tree = Averaged({"w": jnp.array(1.0)}, {"w": jnp.array(1.0)})
    state = optimizer.init(tree)
    live = average = 1.0
    for step in range(200):
        gradient = Averaged({"w": 2.0 * tree.live["w"]}, {"w": jnp.array(0.0)})
        updates, state = optimizer.update(gradient, state, tree)
        tree = optax.apply_updates(tree, updates)
        live -= 0.1 * 2.0 * live
        kept = min(0.9, (1 + step) / (10 + step))
        average = kept * average + (1 - kept) * live
    assert np.isclose(tree.live["w"], live) and np.isclose(tree.average["w"], average)


@pytest.fixture(autouse=True)
def _mixed_types():
    import jax

    with jax.numpy_dtype_promotion("standard"):  # as `fit` calls an optimizer
        yield


def test_theta_and_phi_have_their_own_rate():
    optimizer = RECIPE.changed(["theta_rate=0.1", "phi_rate=0.001"]).optimizer()
    tree = (jnp.ones(2), jnp.ones(3))
    steps, _ = optimizer.update(tree, optimizer.init(tree), tree)
    assert np.allclose(steps[0], -0.1) and np.allclose(steps[1], -0.001)


def test_notes_move_and_fall_off():
    roll = np.zeros((2, 88))
    roll[0, [0, 40, 87]] = 1
    for semitones, keys in ((0, [0, 40, 87]), (1, [1, 41]), (-2, [38, 85])):
        assert np.flatnonzero(shifted(roll, semitones)[0]).tolist() == keys


def test_crops_are_transposed_as_a_function_of_the_step():
    roll = np.zeros((6, 88))
    roll[:, 40] = 1
    recipe = RECIPE.changed(["transpose=3", "length=4", "batch_size=64"])
    schedule = crops(Dataset("one note", (roll,)), recipe, 0)
    heard = schedule(5).x.argmax(-1)
    assert set(heard[:, 0].tolist()) == set(range(37, 44))
    assert (heard == heard[:, :1]).all()
    assert (schedule(5).x == schedule(5).x).all() and (schedule(5).x != schedule(6).x).any()


@pytest.mark.parametrize("cosine", [False, True])
def test_the_rates_grow_over_the_warm_up(cosine):
    warm = Recipe(steps=100, theta_rate=1.0, warmup=10, cosine=cosine)
    cold = Recipe(steps=100, theta_rate=1.0, cosine=cosine)
    tree = (jnp.zeros(1), jnp.zeros(1))
    state, other = (recipe.optimizer().init(tree) for recipe in (warm, cold))
    slope = (jnp.ones(1), jnp.ones(1))
    for step in range(15):
        (found, _), state = warm.optimizer().update(slope, state, tree)
        (full, _), other = cold.optimizer().update(slope, other, tree)
        np.testing.assert_allclose(found, full * min(step / 10, 1.0), rtol=1e-6)


def test_the_prior_of_a_chain_learns_later_and_then_by_a_growing_rate():
    recipe = Recipe(steps=100, theta_rate=1.0, phi_rate=1.0, warmup=4, prior_from=6)
    tree = eqx.filter((random_lds(), jnp.zeros(1)), eqx.is_inexact_array)
    slope = jax.tree.map(jnp.ones_like, tree)
    state, rates = recipe.optimizer().init(tree), []
    for _ in range(12):
        (model, phi), state = recipe.optimizer().update(slope, state, tree)
        parts = (model.first, model.dynamics, model.noise), model.emission, phi
        sizes = [{round(float(-x.min()), 6) for x in jax.tree.leaves(part)} for part in parts]
        assert all(len(size) == 1 for size in sizes)
        rates.append([size.pop() for size in sizes])
    prior, emission, phi = np.array(rates).T
    np.testing.assert_allclose(prior, np.clip((np.arange(12) - 6) / 4, 0.0, 1.0), atol=1e-6)
    np.testing.assert_allclose(emission, np.minimum(np.arange(12) / 4, 1.0), atol=1e-6)
    np.testing.assert_array_equal(emission, phi)


def test_only_a_chain_has_a_prior_that_waits():
    recipe = RECIPE.changed(["prior_from=5"])
    expected = "prior_from is 5; expected 0: a Linear has no latent chain."
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        recipe.optimizer().init((eqx.nn.Linear(1, 1, key=jr.key(0)), jnp.zeros(1)))
