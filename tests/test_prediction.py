"""Continuations and one-step predictions against what a Kalman filter knows."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import avfkit
from tests.helpers import make, observations, random_lds

KEY = jr.key(0)
KALMAN = avfkit.MarginalFilter(avfkit.KalmanFilter())


@pytest.fixture(scope="module")
def problem():
    xs = np.random.default_rng(1).normal(size=(5, 3))
    xs[3:, 0] = np.nan
    return random_lds(4, latent=2, obs=3), jnp.array(xs)


def emitted(lds, means):
    return means @ lds.emission.matrix.T + lds.emission.bias


@pytest.mark.parametrize("method", [avfkit.KalmanSmoother(), KALMAN])
def test_continuations_are_distributed_as_the_exact_prediction(problem, method):
    lds, xs = problem
    keys = jr.split(KEY, 4_000)
    run = eqx.filter_jit(jax.vmap(lambda key: avfkit.continuation(lds, method, xs, 2, key=key)))
    future, latents = run(keys)
    assert future.shape == (4_000, 2, 3) and latents.shape == (4_000, 2, 2)
    unseen = jnp.concatenate([xs, jnp.full((2, 3), jnp.nan)])
    exact = KALMAN.infer(lds, unseen, key=KEY).posterior
    matrix, noise = lds.emission.matrix, jnp.diag(jnp.exp(lds.emission.log_var))
    for t in range(2):
        cov = matrix @ exact.covariance[5 + t] @ matrix.T + noise
        scale = 5 * np.sqrt(np.diag(cov) / 4_000)
        wrong = np.abs(future[:, t].mean(0) - emitted(lds, exact.mean[5 + t]))
        assert (wrong < scale).all()
        np.testing.assert_allclose(jnp.cov(future[:, t].T), cov, atol=0.1 * np.abs(cov).max())


def test_a_continuation_follows_the_drawn_path():
    """No noise in the dynamics: the future is where the last latent leads."""
    lds = random_lds(4, latent=2, obs=3)
    chain = lds.chain
    still = avfkit.LDS.from_parameters(
        chain.initial_mean, chain.initial_cov, chain.dynamics, chain.bias, 1e-16 * np.eye(2),
        emission=lds.emission,
    )  # fmt: skip
    filter = avfkit.KalmanFilter()
    xs = np.zeros((3, 3))
    _, latents = avfkit.continuation(still, filter, xs, 2, key=KEY)
    z = filter.infer(still, xs, key=jr.split(KEY)[0]).z[-1]
    for latent in latents:
        z = chain.dynamics @ z + chain.bias
        np.testing.assert_allclose(latent, z, atol=1e-6)


def test_a_recurrent_model_goes_on_from_the_state_it_reached():
    model, own = make("vrnn-gaussian", "own")
    xs = observations("vrnn-gaussian", 3)
    trace = own.infer(model, xs, key=jr.split(KEY)[0])
    state = model.init()
    for x, z in zip(xs, trace.z, strict=True):
        state = model.next(state, x, z)
    found = avfkit.continuation(model, own, xs, 4, key=KEY)
    expected = avfkit.sample(model, 4, key=jr.split(KEY)[1], state=state)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)
    assert not np.allclose(found[0], avfkit.sample(model, 4, key=jr.split(KEY)[1])[0])


def test_predictions_of_a_kalman_filter_are_exact(problem):
    lds, xs = problem
    chain, emission = lds.chain, lds.emission
    found = avfkit.one_step(lds, KALMAN, xs, key=KEY)
    trace = KALMAN.infer(lds, xs, key=KEY)
    mean, predicted = chain.initial_mean, []
    for t in range(5):
        predicted.append(emission.matrix @ mean + emission.bias)
        mean = chain.dynamics @ trace.posterior.mean[t] + chain.bias
    np.testing.assert_allclose(found.prediction, jnp.stack(predicted), rtol=1e-9)
    np.testing.assert_allclose(found.reconstruction, emitted(lds, trace.posterior.mean), rtol=1e-9)
    seen = ~jnp.isnan(xs)
    errors = [jnp.abs(jnp.where(seen, means - jnp.nan_to_num(xs), 0.0)).sum() for means in found]
    assert errors[1] < errors[0]


@pytest.mark.parametrize("name", ["vrnn-bernoulli", "lds-mlp"])
def test_both_means_are_read_at_the_states_of_the_path(name):
    model, own = make(name, "own")
    xs = observations(name, 4)
    found = avfkit.one_step(model, own, xs, key=KEY)
    trace = own.infer(model, xs, key=KEY)
    states = model.states(xs, jnp.ones(xs.shape, bool), trace.z, key=KEY)
    for means, gaussian in zip(found, (trace.prior, trace.posterior), strict=True):
        expected = jax.vmap(lambda s, z: model.likelihood(s, z).mean)(states, gaussian.mean)
        np.testing.assert_allclose(means, expected, rtol=1e-9)


def test_where_nothing_is_observed_the_two_agree():
    model, own = make("vrnn-gaussian", "own")
    xs = observations("vrnn-gaussian", 4)
    found = avfkit.one_step(model, own, xs, jnp.array([True, False, True, False]), key=KEY)
    same = jnp.isclose(found.prediction, found.reconstruction).all(1)
    assert same.tolist() == [False, True, False, True]


def test_stop_after_shows_each_iteration():
    """More exact-gradient iterations bring the first reconstruction nearer (Fig. 3)."""
    lds = random_lds(4, latent=2, obs=3)
    xs = jnp.array(np.random.default_rng(1).normal(size=(3, 3)))
    update = avfkit.GradientUpdate(optax.sgd(0.01))

    def after(k):
        vfem = avfkit.IterativeFilter(update, 20, avfkit.Cubature(), jnp.array(k))
        found = avfkit.one_step(lds, vfem, xs, key=KEY)
        return found.prediction[0], jnp.sum((found.reconstruction[0] - xs[0]) ** 2)

    (first, none), (second, some), (_, many) = after(0), after(5), after(20)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(none, jnp.sum((first - xs[0]) ** 2))
    assert many < some < none


def test_bad_arguments_are_named(problem):
    lds, xs = problem
    with pytest.raises(ValueError, match="^length is 0; expected at least 1.$"):
        avfkit.continuation(lds, KALMAN, xs, 0, key=KEY)
    with pytest.raises(ValueError, match=r"^xs has shape \(3,\); expected \[time, 3\]"):
        avfkit.one_step(lds, KALMAN, xs[0], key=KEY)


def test_the_predictive_log_likelihood_is_the_difference_of_two_exact_ones():
    lds, xs = random_lds(3, latent=2, obs=3), observations("lds", 7)[:, :3]
    smoother = avfkit.KalmanSmoother()
    infer = eqx.filter_jit(smoother.infer)

    def exact(upto):
        trace = infer(lds, xs[:upto], key=jr.key(0))
        return trace.log_weight.sum()

    options = {"key": jr.key(1), "num_samples": 20_000}
    score = jax.jit(lambda x: avfkit.predictive_log_likelihood(lds, smoother, x, 5, **options))
    np.testing.assert_allclose(score(xs), exact(7) - exact(5), atol=0.05)
    far = score(xs.at[5:].add(1e3))  # no path's likelihood is a number above zero: e^-10^5
    assert np.isfinite(far) and far < -1e5


def test_what_is_missing_of_the_rest_is_not_predicted():
    model, own = make("vrnn-gaussian", "own")
    xs = observations("vrnn-gaussian", 5)
    options = {"key": jr.key(1), "num_samples": 3}
    nothing = jnp.arange(5) < 3
    assert avfkit.predictive_log_likelihood(model, own, xs, 3, nothing, **options) == 0.0
    some = avfkit.predictive_log_likelihood(model, own, xs, 3, jnp.arange(5) < 4, **options)
    short = avfkit.predictive_log_likelihood(model, own, xs[:4], 3, **options)
    np.testing.assert_allclose(some, short, rtol=1e-12)


def test_a_context_that_leaves_nothing_is_named():
    model, own = make("vrnn-gaussian", "own")
    xs = observations("vrnn-gaussian", 3)
    for context in (0, 3):
        with pytest.raises(ValueError) as error:
            avfkit.predictive_log_likelihood(model, own, xs, context, key=jr.key(0), num_samples=2)
        assert str(error.value) == f"context is {context}; expected from 1 to 2."
    with pytest.raises(ValueError) as error:
        avfkit.predictive_log_likelihood(model, own, xs, 1, key=jr.key(0), num_samples=0)
    assert str(error.value) == "num_samples is 0; expected at least 1."
