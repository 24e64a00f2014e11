"""The SRNN's wiring: who reads what."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from tests.helpers import LATENT, MODELS, OBS, make, observations

KEY = jr.key(0)


def test_the_memory_follows_from_the_observations_alone():
    model = MODELS["srnn-bernoulli"](KEY)
    xs = observations("srnn-bernoulli", 4)
    seen = jnp.ones(xs.shape, bool)
    paths = np.random.default_rng(0).normal(size=(2, 4, LATENT))
    one, other = (model.states(xs, seen, jnp.array(zs), key=KEY) for zs in paths)
    for a, b in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one[1][0], jnp.zeros(LATENT))
    np.testing.assert_array_equal(one[1][1:], paths[0][:-1])


def test_the_prior_reads_memory_and_the_last_latent_and_nothing_else():
    model = MODELS["srnn-bernoulli"](KEY)
    hidden, z = jnp.arange(6.0), jnp.array([1.0, -2.0, 0.5])
    prior = model.prior(((hidden, jnp.zeros(6)), z))
    first = model.prior_net.layers[0]
    trunk = jnp.clip(first(jnp.append(hidden, z)), None, 3.0)
    trunk = jnp.clip(jnp.where(trunk < 0, trunk / 3.0, trunk), -3.0, 3.0)
    expected = model.prior_net.head.linear(trunk)
    np.testing.assert_allclose(prior.mean, expected[:LATENT], rtol=1e-12)


@pytest.mark.parametrize("name, expected", [("srnn-bernoulli", 6 + LATENT), ("srnn-avf-form", 6)])
def test_what_a_filter_may_read(name, expected):
    model = MODELS[name](KEY)
    assert model.context(model.init()).shape == (expected,)
    embedded = model.features(jnp.zeros(OBS))
    assert embedded.shape == ((OBS,) if name == "srnn-avf-form" else (5,))


def test_its_own_filter_corrects_the_prior_s_mean():
    model, own = make("srnn-bernoulli", "own-residual")
    xs = observations("srnn-bernoulli", 1)
    silent = jax.tree.map(jnp.zeros_like, own.encoder.head)
    own = avfkit.DirectFilter(encoder=_with_head(own.encoder, silent), residual_mean=True)
    trace = own.infer(model, xs, key=KEY)
    np.testing.assert_array_equal(trace.posterior.mean, trace.prior.mean)


def _with_head(encoder, head):
    import equinox as eqx

    return eqx.tree_at(lambda e: e.head, encoder, head)


@pytest.mark.parametrize("name", ["hidden_size", "width", "depth", "likelihood_depth"])
def test_sizes_below_one_are_named(name):
    with pytest.raises(ValueError, match=f"^{name} is 0; expected at least 1.$"):
        avfkit.SRNN(2, 2, **{name: 0}, key=KEY)


def test_a_negative_embedding_is_refused():
    with pytest.raises(ValueError, match="^embed_depth is -1; expected 0 or more.$"):
        avfkit.SRNN(2, 2, embed_depth=-1, key=KEY)
