"""The knob turns what it says and nothing else; its nats are those of `evaluate`."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import avfkit
from tests.helpers import random_lds

KEY = jr.key(0)
LDS = random_lds(4, latent=2, obs=3)
DESCENT = avfkit.IterativeFilter(avfkit.GradientUpdate(optax.sgd(0.02)), 3, avfkit.Cubature())


def test_the_knob_keeps_the_weights():
    learned = avfkit.LearnedUpdate(LDS, width=4, key=KEY)
    wrapped = avfkit.MarginalFilter(avfkit.IterativeFilter(learned, 2, stop_after=jnp.array(1)))
    turned = avfkit.with_compute(wrapped, 5, num_samples=7)
    assert isinstance(turned, avfkit.MarginalFilter)
    found = turned.filter
    assert isinstance(found, avfkit.IterativeFilter)
    assert (found.num_iterations, found.stop_after) == (5, None)
    assert found.expectation == avfkit.MonteCarlo(7)
    for a, b in zip(jax.tree.leaves(found.update), jax.tree.leaves(learned), strict=True):
        np.testing.assert_array_equal(a, b)
    kept = avfkit.with_compute(DESCENT, 1)
    assert isinstance(kept, avfkit.IterativeFilter) and kept.expectation == avfkit.Cubature()


def test_a_curve():
    batch = SimpleNamespace(x=jr.normal(KEY, (2, 3, 3)), observed=jnp.ones((2, 3), bool))
    pairs = {"exact": (LDS, avfkit.KalmanFilter()), "descent": (LDS, DESCENT)}
    points = avfkit.compute_curve(pairs, batch, key=KEY, iterations=(0, 4), turns=2)
    settings = [point[:3] for point in points]
    assert settings == [("exact", None, None), ("descent", 0, None), ("descent", 4, None)]
    for point in points:
        assert 0.0 < point.fastest <= point.milliseconds <= point.slowest
        assert point.compile_seconds > 0.0
    expected = avfkit.evaluate(LDS, avfkit.with_compute(DESCENT, 4), [batch], key=KEY)
    np.testing.assert_equal(points[2].evaluation, expected)
    exact, none, four = (point.evaluation.all_steps for point in points)
    assert exact < four < none


def test_bad_arguments_are_named():
    with pytest.raises(TypeError) as error:
        avfkit.with_compute(avfkit.KalmanFilter(), 2)
    assert str(error.value) == (
        "inference is a KalmanFilter, which does not iterate; expected an IterativeFilter, or a "
        "method around one."
    )
    with pytest.raises(ValueError, match="^turns is 0; expected at least 1.$"):
        avfkit.compute_curve({}, None, key=KEY, turns=0)
    with pytest.raises(ValueError) as error:
        avfkit.compute_curve({}, None, key=KEY)
    assert str(error.value) == "pairs is empty; expected at least one model with its inference."
