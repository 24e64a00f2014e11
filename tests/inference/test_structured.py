"""The structured posterior against exact inference, and what masking hides."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit.inference import window
from avfkit.nn import LinearGaussian
from tests.helpers import make, random_lds

KEY = jr.key(0)
SEEN = jnp.ones((6, 3), bool).at[2].set(False).at[4, 1].set(False)


def identity_lds(seed=0):
    """An LDS whose emission is the identity with noise, so that the exact potential is known."""
    emission = LinearGaussian(jnp.eye(3), jnp.zeros(3), jnp.log(jnp.array([0.3, 0.5, 2.0])))
    return random_lds(seed, latent=3, obs=3, emission=emission)


def exact_potential(lds):
    """N(z; x, r), as a network would output it."""
    return lambda x: avfkit.DiagonalGaussian(x, lds.emission.log_var)


def moments(path):
    return avfkit.kalman.marginals(path.chain)


def test_with_the_exact_potential_it_is_the_kalman_smoother():
    lds, xs = identity_lds(), jr.normal(KEY, (6, 3))
    seen = jnp.broadcast_to((jnp.arange(6) != 2)[:, None], xs.shape)
    structured = avfkit.StructuredSmoother(exact_potential(lds))
    found = eqx.filter_jit(structured.path)(lds, xs, seen)
    expected = eqx.filter_jit(avfkit.KalmanSmoother().path)(lds, xs, seen)
    for a, b in zip(moments(found), moments(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    causal = avfkit.MarginalFilter(avfkit.StructuredFilter(exact_potential(lds)))
    kalman = avfkit.MarginalFilter(avfkit.KalmanFilter())
    a, b = (eqx.filter_jit(f.infer)(lds, xs, seen, key=KEY) for f in (causal, kalman))
    np.testing.assert_allclose(a.posterior.covariance, b.posterior.covariance, atol=1e-12)
    np.testing.assert_allclose(a.free_energy, b.free_energy, atol=1e-12)


def test_full_and_diagonal_potentials_agree_where_they_can():
    lds, xs = identity_lds(), jr.normal(KEY, (6, 3))
    full = avfkit.StructuredSmoother(lambda x: avfkit.FullGaussian.of(exact_potential(lds)(x)))
    diagonal = avfkit.StructuredSmoother(exact_potential(lds))
    a, b = (moments(smoother.path(lds, xs, SEEN)) for smoother in (full, diagonal))
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_of_a_step_seen_in_part_a_network_reads_zeros_and_the_likelihood_less():
    lds, xs = identity_lds(), jr.normal(KEY, (6, 3))
    part = jnp.ones((6, 3), bool).at[4, 1].set(False)
    svae = avfkit.StructuredSmoother(exact_potential(lds))
    infer = eqx.filter_jit(lambda method, xs, seen: method.infer(lds, xs, seen, key=KEY))
    found, zeroed = infer(svae, xs, part), infer(svae, jnp.where(part, xs, 0.0), part | True)
    np.testing.assert_allclose(found.posterior.mean, zeroed.posterior.mean, atol=1e-12)
    changed = np.abs(found.reconstruction - zeroed.reconstruction) > 1e-6
    np.testing.assert_array_equal(changed, np.arange(6) == 4)  # the entry is not scored
    exact = infer(avfkit.KalmanSmoother(), xs, part)
    assert exact.posterior.variance[4, 1] > found.posterior.variance[4, 1] + 1e-3


def test_the_closed_divergence_is_the_mean_of_that_along_paths():
    model, svae = make("lds-mlp", "svae")
    xs = jr.normal(KEY, (5, 4))
    run = jax.vmap(lambda key: svae.infer(model, xs, key=key))
    trace = eqx.filter_jit(run)(jr.split(KEY, 4_000))
    paths = jax.vmap(lambda one: one.path_kl)(trace)
    error = paths.std(0) / np.sqrt(len(paths))
    closed = trace.divergence
    assert (np.abs(paths.mean(0) - closed[0]) < 4.0 * error + 1e-12).all()
    np.testing.assert_allclose(closed, closed[:1].repeat(4_000, 0), atol=1e-10)
    assert (error[1:] > 1e-4).all()  # along a path it is a random number


def test_after_the_last_observation_it_forecasts():
    lds, xs = identity_lds(), jr.normal(KEY, (6, 3))
    seen = jnp.arange(6) < 4
    key_a, key_b = jr.split(KEY)
    trunk = avfkit.nn.BidirectionalRNN(3, 4, key=key_a)
    rival = avfkit.AmortizedSmoother(trunk, avfkit.LinearHead(8, 3, key=key_b))
    trace = rival.infer(lds, xs, seen, key=KEY)
    np.testing.assert_array_equal(trace.kl[4:], 0.0)
    assert (trace.kl[:4] > 0.0).all()
    chain = lds.chain
    expected = chain.dynamics @ trace.z[4] + chain.bias
    np.testing.assert_allclose(trace.posterior.mean[5], expected, atol=1e-12)
    short = rival.infer(lds, xs[:4], key=KEY)
    np.testing.assert_allclose(short.free_energy, trace.free_energy[:4], atol=1e-12)


def test_a_potential_of_another_size_is_named():
    lds = identity_lds()
    smoother = avfkit.StructuredSmoother(lambda x: avfkit.DiagonalGaussian(x[:2], x[:2]))
    with pytest.raises(ValueError) as error:
        smoother.infer(lds, jnp.zeros((4, 3)), key=KEY)
    assert str(error.value) == ("potential is over 2 entries; expected 3, the latent of this LDS.")
    rival = avfkit.AmortizedSmoother(lambda xs, inside: xs, avfkit.FactorisedHead(3, 2, key=KEY))
    with pytest.raises(ValueError) as error:
        rival.infer(lds, jnp.zeros((4, 3)), key=KEY)
    assert str(error.value) == "head is over a latent of 2; this LDS has 3."


def test_a_fresh_linear_head_is_a_factorised_one_and_learns_not_to_be():
    key_a, key_b = jr.split(KEY)
    head = avfkit.LinearHead(5, 2, key=key_a)
    features = jr.normal(key_b, (4, 5))
    np.testing.assert_array_equal(head(features).chain.dynamics, 0.0)
    slope = eqx.filter_grad(
        lambda h: jnp.sum(h(features).chain.dynamics ** 2 + h(features).chain.dynamics)
    )
    assert np.abs(slope(head).dynamics.layers[-1].weight).max() > 0.0
    factorised = avfkit.FactorisedHead(5, 2, key=key_a)(features)
    cross = moments(factorised).cross_cov
    np.testing.assert_array_equal(cross, 0.0)


def test_an_autoregressive_path_scores_what_it_drew():
    model, rival = make("vrnn-gaussian", "rnn-ar-nl")
    xs = jr.normal(KEY, (5, 4))
    path = rival.path(model, xs, jnp.ones(xs.shape, bool))
    zs = path.sample(key=KEY)
    noise = jnp.stack([jr.normal(jr.fold_in(KEY, t), (3,)) for t in range(5)])
    found = path.conditionals(zs)
    np.testing.assert_allclose(jax.vmap(lambda q, e: q.transform(e))(found, noise), zs, atol=1e-12)
    changed = path.conditionals(zs.at[1].add(1.0))
    np.testing.assert_array_equal(changed.mean[:2], found.mean[:2])
    assert (np.abs(changed.mean[2:] - found.mean[2:]).max(1) > 0.0).all()


@pytest.mark.parametrize(("length", "fraction", "hidden"), [(10, 0.4, 4), (7, 0.0, 0), (5, 0.5, 2)])
def test_a_window_is_contiguous_and_anywhere(length, fraction, hidden):
    windows = jax.vmap(lambda key: window(length, fraction, key=key))(jr.split(KEY, 200))
    assert (windows.sum(1) == hidden).all()
    edges = jnp.diff(jnp.pad(windows, ((0, 0), (1, 1))).astype(int), axis=1)
    assert (np.abs(edges).sum(1) == (2 if hidden else 0)).all()
    if hidden:
        assert (windows.any(0)).all()


def test_masking_hides_from_inference_and_not_from_the_score():
    lds, xs = identity_lds(), jr.normal(KEY, (10, 3))
    inner = avfkit.StructuredSmoother(exact_potential(lds))
    masked = avfkit.Masked(inner, jnp.array(0.4))
    hidden = window(10, 0.4, key=jr.split(KEY)[0])
    trace = masked.infer(lds, xs, key=KEY)
    assert (trace.reconstruction != 0.0).all()
    other = masked.infer(lds, jnp.where(hidden[:, None], xs + 5.0, xs), key=KEY)
    np.testing.assert_array_equal(trace.z, other.z)
    assert (np.asarray(other.reconstruction != trace.reconstruction) == np.asarray(hidden)).all()
    nothing = avfkit.Masked(inner, jnp.array(0.0)).infer(lds, xs, key=KEY)
    plain = inner.infer(lds, xs, key=jr.split(KEY)[1])
    np.testing.assert_array_equal(nothing.free_energy, plain.free_energy)


def test_in_a_window_a_rival_reads_zeros():
    model, rival = make("lds-mlp", "rnn-ar-l")
    xs, hidden = jr.normal(KEY, (10, 4)), window(10, 0.4, key=jr.split(KEY)[0])
    masked = avfkit.Masked(rival, jnp.array(0.4))
    infer = eqx.filter_jit(lambda method, xs: method.infer(model, xs, key=KEY).z)
    found = infer(masked, xs)
    np.testing.assert_array_equal(infer(masked, jnp.where(hidden[:, None], 7.0, xs)), found)
    assert np.abs(infer(masked, jnp.where(hidden[:, None], xs, 7.0)) - found).max() > 1e-3
    blank = jnp.where(hidden[:, None], 0.0, xs)
    path = eqx.filter_jit(rival.path)(model, blank, jnp.ones(xs.shape, bool))
    expected = path.sample(key=jr.split(jr.split(KEY)[1])[0])
    np.testing.assert_allclose(found, expected, atol=1e-12)
