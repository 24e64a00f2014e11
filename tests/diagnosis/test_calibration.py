"""Uniform where the belief is right, and seen where it is not."""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from scipy.stats import chi2, norm

import avfkit
from avfkit.inference._structured import AbstractStructuredSmoother
from tests.helpers import make, observations, random_lds
from tests.reference import dense_joint

KEY = jr.key(0)
PRIOR = avfkit.IterativeFilter(avfkit.GradientUpdate(optax.sgd(0.0)), 0)


class Weighed(AbstractStructuredSmoother):
    """The Kalman smoother, its data counted so many times."""

    weight: jax.Array

    def potentials(self, model, xs, observed):
        found = avfkit.KalmanSmoother().potentials(model, xs, observed)
        return jax.tree.map(lambda array: self.weight * array, found)


def latents_and_changes(zs):
    return jnp.concatenate([zs, zs[1:] - zs[:-1]])


@cache
def simulated(weight):
    shown = jnp.array([True, False, True])
    lds = random_lds(4, latent=2, obs=3)
    options = {"num_problems": 400, "num_samples": 19, "quantity": latents_and_changes}
    method = Weighed(jnp.array(weight))
    return avfkit.simulated_calibration(lds, method, 3, shown, key=KEY, **options)


def test_the_exact_posterior_is_calibrated():
    found = simulated(1.0)
    assert found.pit.shape == found.crps.shape == (400, 5, 2)
    assert found.overall > 0.01
    assert (np.abs(found.bias) < 4).all() and (np.abs(found.spread) < 4).all()
    np.testing.assert_allclose(found.coverage([0.5, 0.9]), [0.5, 0.9], atol=0.03)
    counts = np.asarray(found.counts(5))
    assert counts.shape == (5, 5, 2) and (counts.sum(0) == 400).all()
    assert (np.abs(counts - 80) < 4 * np.sqrt(80)).all()


def test_a_posterior_of_the_wrong_width_is_not():
    narrow, wide = simulated(3.0), simulated(0.3)
    assert narrow.overall < 1e-6 and wide.overall < 1e-6
    assert (narrow.spread[0] > 4).all() and (wide.spread[0] < -4).all()
    assert (narrow.coverage([0.5, 0.9]) < jnp.array([0.44, 0.83])).all()
    assert simulated(1.0).crps.mean() < min(narrow.crps.mean(), wide.crps.mean())


def test_a_quantity_of_the_path_needs_a_joint_draw():
    with pytest.raises(TypeError) as error:
        avfkit.simulated_calibration(
            random_lds(0),
            avfkit.MarginalFilter(avfkit.KalmanFilter()),
            3,
            key=KEY,
            num_problems=2,
            num_samples=2,
            quantity=latents_and_changes,
        )
    assert str(error.value) == (
        "quantity needs a method that draws a joint path; MarginalFilter draws from each step's "
        "belief on its own. Use a smoother, or no quantity."
    )


def test_predictions_of_the_right_model_are_calibrated_and_of_a_too_sure_one_not():
    lds = random_lds(4, latent=2, obs=3)
    arrays = (lds.emission.matrix, lds.emission.bias, np.exp(np.asarray(lds.emission.log_var)))
    _, _, mean, _, cov = dense_joint(lds.chain, *arrays, 200)
    # The rows of the Cholesky factor are predictions from all earlier entries: of the first entry
    # of a step, from earlier steps.
    scale = np.linalg.cholesky(cov)
    noise = np.random.default_rng(0).normal(size=600)
    xs = jnp.array((mean + scale @ noise).reshape(200, 3)).at[199, 1].set(jnp.nan)
    method, options = avfkit.MarginalFilter(avfkit.KalmanFilter()), {"num_samples": 39}
    found = avfkit.predictive_calibration(lds, method, xs, key=KEY, **options)
    assert found.overall > 0.01
    assert jnp.isnan(found.pit[199, 1]) and jnp.isnan(found.crps).sum() == 1
    assert np.std(found.pit[:, 0] - norm.cdf(noise[::3])) < 1.2 * np.sqrt(1 / 6 / 40)
    exact = avfkit.DiagonalGaussian(jnp.zeros(200), 2.0 * jnp.log(jnp.diag(scale)[::3]))
    scores = avfkit.gaussian_crps(exact, jnp.diag(scale)[::3] * noise[::3])
    assert np.abs(np.mean(found.crps[:, 0] - scores)) < 0.02 * np.mean(scores)
    sure = eqx.tree_at(lambda m: m.emission.log_var, lds, lds.emission.log_var - 3.0)
    found = avfkit.predictive_calibration(sure, method, xs, key=KEY, **options)
    assert found.overall < 1e-6 and (found.spread > 3).all()


def test_a_recurrent_model_is_served_and_a_smoother_refused():
    rows, options = observations("srnn-bernoulli", 3), {"key": KEY, "num_samples": 2}

    def run():
        pair = make("srnn-bernoulli", "own")
        return avfkit.predictive_calibration(*pair, rows, **options)

    found = eqx.filter_eval_shape(run)
    assert found.pit.shape == found.crps.shape == rows.shape
    with pytest.raises(TypeError) as error:
        avfkit.predictive_calibration(random_lds(0), avfkit.KalmanSmoother(), rows, **options)
    assert str(error.value) == (
        "predictive_calibration needs a method that sees the past only (a filter, or "
        "MarginalFilter); KalmanSmoother is not one. Use simulated_calibration."
    )


class Blind(eqx.Module):
    """An emission that ignores the latent: its predictions are known."""

    distribution: avfkit.AbstractDistribution

    def __call__(self, z):
        del z
        return self.distribution


@pytest.mark.parametrize("rounded", [False, True])
def test_discrete_predictions_are_exactly_calibrated(rounded):
    kept = jr.normal(KEY, (300, 2)) * 0.7
    if rounded:
        xs = jnp.round(kept)
        right = avfkit.DiscretisedGaussian.centred(
            jnp.zeros(2), jnp.log(jnp.full(2, 0.49)), window=1.0
        )
        wrong = avfkit.DiscretisedGaussian.centred(
            jnp.ones(2), jnp.log(jnp.full(2, 0.49)), window=1.0
        )
    else:
        xs = (jr.uniform(KEY, (300, 2)) < 0.3).astype(kept.dtype)
        right, wrong = (avfkit.Bernoulli(jnp.full(2, jnp.log(p / (1 - p)))) for p in (0.3, 0.5))

    def overall(distribution):
        lds = random_lds(0, emission=Blind(distribution))
        found = avfkit.predictive_calibration(lds, PRIOR, xs, key=KEY, num_samples=4)
        closed = avfkit.pit(distribution, xs, key=jr.key(1))
        return found.overall, avfkit.Calibration(closed, closed).overall

    assert min(overall(right)) > 0.01
    assert max(overall(wrong)) < 1e-3


def test_the_test_rejects_as_often_as_it_says():
    u = jr.uniform(KEY, (100, 4_000))
    found = avfkit.Calibration(u.at[:50, 0].set(jnp.nan), u)
    four = np.asarray(found._scores)
    p_values = np.asarray(found.p_value)
    for level in (0.01, 0.05, 0.5):
        assert abs(np.mean(p_values < level) - level) < 4 * np.sqrt(level / 4_000)
    np.testing.assert_allclose(np.cov(four), np.eye(4), atol=0.1)
    np.testing.assert_allclose(p_values, chi2(4).sf(np.sum(four**2, axis=0)), rtol=1e-9)
    np.testing.assert_allclose(found.overall, min(4_000 * p_values.min(), 1.0))


def test_ties_and_unknown_truths():
    draws, truth = jnp.array([[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]]), jnp.array([1.0, 1.0, jnp.nan])
    places = jax.jit(jax.vmap(lambda key: avfkit.calibration(draws, truth, key=key).pit))(
        jr.split(KEY, 200)
    )
    assert jnp.isnan(places[:, 2]).all()
    np.testing.assert_allclose(places[:, :2].min(0), [1 / 3, 0.0], atol=0.02)
    np.testing.assert_allclose(places[:, :2].max(0), 1.0, atol=0.02)
    with pytest.raises(ValueError) as error:
        avfkit.calibration(draws, jnp.full(3, jnp.nan), key=KEY)
    assert str(error.value) == (
        "truth is NaN throughout; expected true values. The latents of recorded data are not "
        "known: use simulated_calibration, or judge predictions by predictive_calibration."
    )


def test_a_discrete_transform_is_refused_unless_randomised():
    keys = avfkit.Bernoulli(jnp.zeros(2))
    with pytest.raises(ValueError) as error:
        avfkit.pit(keys, jnp.zeros(2), key=None)
    assert str(error.value) == (
        "key is None; Bernoulli is discrete, and its transform is uniform only if randomised: "
        "expected a key."
    )
    found = avfkit.pit(keys, jnp.array([0.0, 1.0]), jnp.array([True, False]), key=KEY)
    assert 0.0 < found[0] < 0.5 and jnp.isnan(found[1])
    with pytest.raises(TypeError) as error:
        avfkit.pit(Unknown(jnp.zeros(2)), jnp.zeros(2), key=None)
    assert str(error.value) == (
        "distribution is a Unknown, whose distribution function is not known; expected a Gaussian, "
        "DiscretisedGaussian or Bernoulli. Use calibration, with draws."
    )


class Unknown(avfkit.AbstractDistribution):
    mean: jnp.ndarray

    @property
    def variance(self):
        return self.mean

    def log_prob(self, value, observed=None):
        return jnp.sum(value)

    def sample(self, *, key):
        return self.mean


def test_bad_numbers_are_named():
    lds, method = random_lds(0), avfkit.KalmanSmoother()
    with pytest.raises(ValueError, match="^num_problems is 0; expected at least 1.$"):
        avfkit.simulated_calibration(lds, method, 2, key=KEY, num_problems=0, num_samples=2)
    with pytest.raises(ValueError, match="^num_samples is 1; expected at least 2.$"):
        avfkit.simulated_calibration(lds, method, 2, key=KEY, num_problems=1, num_samples=1)
    with pytest.raises(ValueError, match="^bins is 0; expected at least 1.$"):
        avfkit.Calibration(jnp.zeros(2), jnp.zeros(2)).counts(0)
