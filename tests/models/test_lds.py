"""Making an LDS, and what is refused."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit.nn import LinearGaussian
from tests.helpers import random_lds

EMISSION = LinearGaussian.from_parameters(np.ones((3, 2)), np.zeros(3), np.ones(3))


def build(**changes):
    parts = dict(m1=np.zeros(2), P1=np.eye(2), A=np.eye(2), b=np.zeros(2), Q=np.eye(2))
    return avfkit.LDS.from_parameters(**(parts | changes), emission=EMISSION)


def test_parameters_survive_the_unconstrained_form():
    q = np.array([[2.0, 0.5], [0.5, 1.0]])
    lds = build(Q=q, P1=2 * q)
    np.testing.assert_allclose(lds.chain.noise_cov, q, rtol=1e-12)
    np.testing.assert_allclose(lds.chain.initial_cov, 2 * q, rtol=1e-12)
    assert (lds.obs_size, lds.latent_size) == (3, 2)


def test_states_along_a_path_are_the_transitions():
    lds = random_lds(0)
    zs = jnp.array(np.random.default_rng(0).normal(size=(4, 3)))
    xs = jnp.zeros((4, 4))
    states = lds.states(xs, jnp.ones(xs.shape, bool), zs, key=jr.key(0))
    np.testing.assert_allclose(states.mean[0], lds.chain.initial_mean)
    np.testing.assert_allclose(states.mean[2], lds.chain.dynamics @ zs[1] + lds.chain.bias)


BAD = [
    (dict(A=np.eye(3)), "A has shape (3, 3); expected (2, 2) to match m1."),
    (dict(b=np.zeros(1)), "b has shape (1,); expected (2,) to match m1."),
    (dict(Q=np.eye(3)), "Q has shape (3, 3); expected (2, 2) to match m1."),
    (
        dict(P1=np.diag([1.0, -2.0])),
        "P1 is not positive definite (smallest eigenvalue -2); expected a covariance.",
    ),
    (dict(m1=0.0), "m1 has shape (); expected [latent]."),
    (dict(Q=np.array([[1.0, 0.9], [0.0, 1.0]])), "Q is not symmetric; expected a covariance."),
    (
        dict(m1=np.zeros(3), P1=np.eye(3), A=np.eye(3), b=np.zeros(3), Q=np.eye(3)),
        "emission has C of shape (3, 2); expected [obs, 3] to match m1.",
    ),
    (
        dict(Q=np.zeros((2, 2))),
        "Q is not positive definite (smallest eigenvalue 0); expected a covariance.",
    ),
]


@pytest.mark.parametrize("changes, message", BAD)
def test_bad_parameters_are_named(changes, message):
    with pytest.raises(ValueError) as error:
        build(**changes)
    assert str(error.value) == message


def test_bad_emissions_are_named():
    with pytest.raises(ValueError, match="^r holds -1; expected positive noise variances.$"):
        LinearGaussian.from_parameters(np.ones((2, 2)), np.zeros(2), np.array([1.0, -1.0]))
    with pytest.raises(ValueError) as error:
        LinearGaussian.from_parameters(np.ones((2, 2)), np.zeros(3), np.ones(2))
    assert str(error.value) == "d has shape (3,); expected (2,), one entry for each row of C."


def test_integers_make_floats():
    lds = build(m1=np.array([0, 0]), b=np.array([1, 2]), A=np.eye(2, dtype=int))
    trace = avfkit.KalmanFilter().infer(lds, np.zeros((2, 3)), key=jr.key(0))
    assert np.isfinite(trace.free_energy).all()


def test_a_traced_lds_is_made_too():
    import jax

    found = jax.jit(lambda q: build(Q=q).chain.noise_cov)(2 * jnp.eye(2))
    np.testing.assert_allclose(found, 2 * np.eye(2))


def test_an_emission_is_made_inside_jit():
    import jax

    def noise(scale):
        constant = LinearGaussian.from_parameters(np.ones((3, 2)), np.zeros(3), np.ones(3))
        traced = LinearGaussian.from_parameters(np.ones((3, 2)), np.zeros(3), scale * np.ones(3))
        return traced.log_var - constant.log_var

    np.testing.assert_allclose(jax.jit(noise)(2.0), np.log(2.0))
