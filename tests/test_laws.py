"""The laws that every model x inference pair of the registry keeps."""

from functools import lru_cache

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit._model import prepare, step_keys
from tests.helpers import ALL_PAIRS, EVERY, FILTER_PAIRS, PAIRS, REFUSED, make, observations

LENGTH = 4
KEY = jr.key(3)
IDS = "-".join


@eqx.filter_jit
def infer(model, inference, xs, observed):
    """Compiled once per pair: the tests of a pair follow each other, see conftest.py."""
    return inference.infer(model, xs, observed, key=KEY)


@lru_cache(maxsize=1)
def case(pair):
    model, inference = make(*pair)
    return model, inference, (xs := observations(pair[0], LENGTH)), jnp.ones(xs.shape, bool)


@pytest.mark.parametrize("pair", ALL_PAIRS, ids=IDS)
def test_every_pair_runs(pair):
    model, inference, xs, observed = case(pair)
    trace = eqx.filter_eval_shape(inference.infer, model, xs, observed, key=KEY)
    assert trace.z.shape == (LENGTH, model.latent_size)


@pytest.mark.parametrize("pair", PAIRS, ids=IDS)
def test_step_free_energy_is_reconstruction_plus_kl(pair):
    model, inference, xs, observed = case(pair)
    observed = observed.at[1].set(False).at[2, 0].set(False)
    trace = infer(model, inference, xs, observed)
    assert trace.z.shape == (LENGTH, model.latent_size)
    assert np.isfinite(trace.free_energy).all()
    assert (trace.kl >= 0.0).all()
    np.testing.assert_allclose(trace.free_energy, trace.reconstruction + trace.kl, rtol=1e-12)
    assert trace.reconstruction[1] == 0.0
    if not isinstance(inference, avfkit.MarginalFilter):  # its log-weight is per belief
        log_ratio = jax.vmap(lambda q, p, z: q.log_prob(z) - p.log_prob(z))
        ratio = log_ratio(trace.posterior, trace.prior, trace.z)
        np.testing.assert_allclose(trace.log_weight, -trace.reconstruction - ratio, rtol=1e-9)


@pytest.mark.parametrize("pair", FILTER_PAIRS, ids=IDS)
def test_filters_are_causal(pair):
    model, inference, xs, observed = case(pair)
    changed = xs.at[2:].set(1.0 - xs[2:])
    before, after = (
        infer(model, inference, xs, observed),
        infer(model, inference, changed, observed),
    )
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(a[:2], b[:2])
    assert not np.allclose(before.reconstruction[2:], after.reconstruction[2:])


@pytest.mark.parametrize("pair", PAIRS, ids=IDS)
def test_all_unobserved_is_a_draw_from_the_prior(pair):
    model, inference, xs, observed = case(pair)
    trace = infer(model, inference, xs, jnp.zeros_like(observed))
    np.testing.assert_allclose(trace.kl, 0.0, atol=1e-10)
    np.testing.assert_array_equal(trace.reconstruction, 0.0)
    np.testing.assert_allclose(trace.posterior.mean, trace.prior.mean, atol=1e-9)


@pytest.mark.parametrize("pair", PAIRS, ids=IDS)
def test_missing_values_cannot_influence_anything(pair):
    model, inference, xs, observed = case(pair)
    observed = observed.at[1].set(False).at[3, 2].set(False)
    nan = jnp.where(observed, xs, jnp.nan)
    huge = jnp.where(observed, xs, 1e30)
    everything = jnp.ones_like(observed)
    expected = jax.tree.leaves(infer(model, inference, xs, observed))
    for leaves in (
        infer(model, inference, nan, everything),
        infer(model, inference, huge, observed),
    ):
        for a, b in zip(expected, jax.tree.leaves(leaves), strict=True):
            np.testing.assert_array_equal(a, b)


PADDED = [p for p in PAIRS if EVERY or p[0] in ("lds", "vrnn-gaussian")]


@pytest.mark.parametrize("pair", PADDED, ids=IDS)
def test_padding_changes_nothing(pair):
    model, inference, xs, observed = case(pair)
    longer = jnp.concatenate([xs, jnp.full((2, xs.shape[1]), 7.0)])
    mask = jnp.concatenate([observed, jnp.zeros((2, xs.shape[1]), bool)])
    short, padded = infer(model, inference, xs, observed), infer(model, inference, longer, mask)
    np.testing.assert_allclose(padded.free_energy[:LENGTH], short.free_energy, atol=1e-10)
    np.testing.assert_allclose(padded.free_energy[LENGTH:], 0.0, atol=1e-10)
    np.testing.assert_array_equal(padded.iterations[LENGTH:], 0.0)


@pytest.mark.parametrize("name", ["own", "avf", "avf-step"])
def test_padding_teaches_nothing(name):
    model, inference, xs, observed = case(("vrnn-gaussian", name))
    longer = jnp.concatenate([xs, jnp.full((2, xs.shape[1]), 7.0)])
    mask = jnp.concatenate([observed, jnp.zeros((2, xs.shape[1]), bool)])

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(tree, xs, observed):
        return avfkit.free_energy(*tree, xs, observed, key=KEY)

    short = jax.tree.leaves(gradient((model, inference), xs, observed))
    padded = jax.tree.leaves(gradient((model, inference), longer, mask))
    for a, b in zip(short, padded, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)


@pytest.mark.parametrize("pair", PAIRS, ids=IDS)
def test_gradients_are_finite_with_missing_observations(pair):
    model, inference, xs, observed = case(pair)
    nan = xs.at[1].set(jnp.nan).at[2, 1].set(jnp.nan)

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(tree):
        return avfkit.free_energy(*tree, nan, observed, key=KEY)

    leaves = jax.tree.leaves(gradient((model, inference)))
    assert all(np.isfinite(leaf).all() for leaf in leaves)
    assert any(np.abs(leaf).max() > 0 for leaf in leaves)


@pytest.mark.parametrize("pair", [("lds", "vfem"), ("vrnn-gaussian", "own")], ids=IDS)
def test_scan_equals_loop(pair):
    model, inference, xs, observed = case(pair)
    expected = infer(model, inference, xs, observed)
    xs, observed = prepare(model, xs, observed)
    loop, steps = (model.init(), inference.init(model)), []
    for t, key in enumerate(step_keys(LENGTH, key=KEY)):
        loop, trace = inference.step(model, loop, xs[t], observed[t], key=key)
        steps.append(trace)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *steps)
    for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(stacked), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)


@pytest.mark.parametrize("pair", REFUSED, ids=IDS)
def test_impossible_pairs_are_refused_by_name(pair):
    model, inference, xs, observed = case(pair)
    with pytest.raises(
        TypeError, match=r"(Kalman|Marginal|Structured)\w+ needs a model with linear-Gaussian"
    ):
        inference.infer(model, xs, observed, key=KEY)


@pytest.mark.parametrize(
    "pair", [("lds", "own"), ("vrnn-gaussian", "own"), ("lds", "kalman")], ids=IDS
)
def test_gradient_of_reparameterised_filters_against_finite_differences(pair):
    model, inference, xs, observed = case(pair)
    params, static = eqx.partition((model, inference), eqx.is_inexact_array)

    @jax.jit
    def energy(params):
        return avfkit.free_energy(*eqx.combine(params, static), xs, observed, key=KEY)

    gradient = jax.grad(energy)(params)
    rng = np.random.default_rng(0)
    direction = jax.tree.map(lambda leaf: jnp.array(rng.normal(size=leaf.shape)), params)
    step = 1e-6
    shifted = [
        energy(jax.tree.map(lambda p, d, s=sign: p + s * step * d, params, direction))
        for sign in (1.0, -1.0)
    ]
    numeric = (shifted[0] - shifted[1]) / (2 * step)
    products = jax.tree.map(lambda g, d: jnp.sum(g * d), gradient, direction)
    np.testing.assert_allclose(sum(jax.tree.leaves(products)), numeric, rtol=2e-5)
