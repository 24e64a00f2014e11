"""On linear systems all methods start at one posterior: that of principal components."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit import data, kalman
from avfkit_experiments import make_tree
from avfkit_experiments.presets import PRESETS
from avfkit_experiments.presets._read_out import Shifted, principal_components, start

PRESET = PRESETS["lds-D3-N5-q0.1-r1"]
RIVALS = ("rnn-mf", "rnn-ar-l", "rnn-ar-nl", "cnn-ar-l")


@pytest.fixture(scope="module")
def train():
    sizes = {"latent_size": 3, "obs_size": 5, "q": 0.1, "r": 1.0}
    return data.lds(**sizes, num_sequences=4, length=30, seed=0)[0]


def started(name, train):
    return start(make_tree(PRESET, name, iterations=0, samples=1, key=jr.key(0)), train)


def test_components_have_the_variances_of_the_data(train):
    x = np.concatenate(train.sequences).astype(np.float64)
    emission = principal_components(train, 3)
    found = emission.matrix @ emission.matrix.T + jnp.diag(jnp.exp(emission.log_var))
    expected = np.cov(x.T)
    values = np.linalg.eigvalsh(expected)
    np.testing.assert_allclose(jnp.trace(found), values.sum())
    np.testing.assert_allclose(np.linalg.eigvalsh(found)[2:], values[2:])
    top = np.linalg.eigh(expected)[1][:, 2:]
    np.testing.assert_allclose(top.T @ found @ top, np.diag(values[2:]), atol=1e-9)


@pytest.mark.parametrize("name", ["svae", "svae-filter"])
def test_a_structured_posterior_starts_with_the_likelihood(name, train):
    model, method = started(name, train)
    xs, seen = jnp.asarray(train.sequences[0], float), jnp.ones((30, 5), bool)
    emission = model.emission
    exact = kalman.linear_gaussian_potentials(
        emission.matrix, emission.bias, jnp.exp(emission.log_var), xs, seen
    )
    found = method.potentials(model, xs, seen)
    np.testing.assert_allclose(found.precision, exact.precision, atol=1e-6)
    np.testing.assert_allclose(found.linear, exact.linear, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_starts_at_the_posterior_of_a_single_step(name, train):
    model, method = started(name, train)
    xs, seen = jnp.asarray(train.sequences[0], float), jnp.ones((30, 5), bool)
    emission = model.emission
    matrix, noise = emission.matrix, jnp.exp(emission.log_var[0])
    cov = jnp.linalg.inv(jnp.eye(3) + matrix.T @ matrix / noise)
    mean = (xs - emission.bias) @ matrix @ cov / noise
    path = method.path(model, xs, seen)
    found = path.conditionals(jr.normal(jr.key(1), (30, 3)))
    np.testing.assert_allclose(found.mean, mean, atol=1e-5)
    np.testing.assert_allclose(found.covariance, jnp.broadcast_to(cov, (30, 3, 3)), atol=1e-6)


def test_a_read_out_moves_the_whole_path(train):
    """The same draw, shifted, has the same density, with dynamics that are not zero."""
    model, method = started("rnn-ar-l", train)
    dynamics = lambda m: m.correction.head.dynamics.layers[-1].bias  # noqa: E731
    method = eqx.tree_at(dynamics, method, 0.1 * jnp.arange(9.0))
    xs, seen = jnp.asarray(train.sequences[0], float), jnp.ones((30, 5), bool)
    shift = jax.vmap(method.linear)(xs)
    inner, path = method.correction.path(model, xs, seen), method.path(model, xs, seen)
    zs = path.sample(key=jr.key(2))
    np.testing.assert_allclose(zs, inner.sample(key=jr.key(2)) + shift, atol=1e-9)
    for same in (path, Shifted(inner, shift)):
        found, expected = same.conditionals(zs), inner.conditionals(zs - shift)
        np.testing.assert_allclose(found.mean, expected.mean + shift, atol=1e-9)
        np.testing.assert_allclose(found.covariance, expected.covariance, atol=1e-9)


def test_the_exact_posterior_and_the_filters_start_with_the_emission_alone(train):
    for name in ("kalman", "avf"):
        model, method = started(name, train)
        np.testing.assert_allclose(model.emission.bias, np.mean(train.sequences, (0, 1)), atol=1e-6)
        assert isinstance(method, avfkit.KalmanSmoother | avfkit.IterativeFilter)


def test_avf_starts_at_a_finite_energy_where_the_likelihood_is_sharp():
    """A fresh step along the gradient overshoots there, and grows for as long as it filters."""
    sizes = {"latent_size": 3, "obs_size": 5, "q": 0.1, "r": 0.1}
    sharp = data.lds(**sizes, num_sequences=4, length=200, seed=0)[0]
    preset = PRESETS["lds-D3-N5-q0.1-r0.1"]
    model, method = make_tree(preset, "avf", iterations=2, samples=1, key=jr.key(0))
    model, method = preset.prepare((model, method), sharp)
    loss = eqx.filter_jit(lambda xs: avfkit.free_energy(model, method, xs, key=jr.key(1)))
    assert np.isfinite(loss(jnp.asarray(sharp.sequences[0], float)))
