"""Probabilities of bins: they sum to one, and are exact in both tails."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from avfkit import DiscretisedGaussian
from avfkit._discretised import _mills, log_bin_probability


def exact(centre, half):
    """Log-probability and its two gradients by adaptive quadrature from the bin's nearer edge."""
    edge = max(abs(centre) - half, 0.0) if abs(centre) >= half else 0.0
    low, high = abs(centre) - half - edge, abs(centre) + half - edge

    def density(t):
        return np.exp(-edge * t - 0.5 * t * t)

    reach = min(high, 40.0 / max(edge, 1.0))
    mass = integrate.quad(density, max(low, -40.0), reach, epsabs=0, epsrel=1e-13, limit=500)[0]
    value = np.log(mass) - 0.5 * edge**2 - 0.5 * np.log(2 * np.pi)
    upper, lower = (density(u) / mass for u in (high, low))
    return value, np.sign(centre) * (upper - lower), upper + lower


@settings(max_examples=60, deadline=None)
@given(st.floats(-30, 30), st.floats(-5, 2))
def test_log_bin_probability_and_gradients_against_quadrature(centre, log_half):
    half = 10.0**log_half
    expected = exact(centre, half)
    value, gradients = jax.value_and_grad(log_bin_probability, (0, 1))(
        jnp.asarray(centre), jnp.asarray(half)
    )
    np.testing.assert_allclose(value, expected[0], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(gradients, expected[1:], rtol=1e-8, atol=1e-10)


@pytest.mark.float32
@pytest.mark.parametrize("centre", [0.0, 0.3, -1.0, 3.7, -8.0, 25.0])
@pytest.mark.parametrize("half", [1e-5, 0.01, 0.24, 0.9, 1.1, 6.0, 100.0])
def test_float32_is_as_good_as_float32_can_be(centre, half):
    centre, half = np.float32(centre), np.float32(half)
    expected = exact(float(centre), float(half))
    value, gradients = jax.value_and_grad(log_bin_probability, (0, 1))(
        jnp.asarray(centre), jnp.asarray(half)
    )
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, expected[0], rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(gradients, expected[1:], rtol=2e-5, atol=2e-6)


@pytest.mark.float32
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mills_ratios_have_no_hole(dtype):
    if dtype == "float64" and not jax.config.jax_enable_x64:
        pytest.skip("needs 64-bit floats")
    a = np.linspace(0.0, 60.0, 60_001).astype(dtype)
    expected = np.sqrt(np.pi / 2) * special.erfcx(a.astype(float) / np.sqrt(2))
    found = jax.jit(_mills)(jnp.asarray(a))
    np.testing.assert_allclose(found, expected, rtol=2e-6 if dtype == "float32" else 5e-12)


@pytest.mark.float32
def test_far_tails_stay_finite_and_point_home():
    centre, half = jnp.array([1e4, -1e4, 1e6], jnp.float32), jnp.array([1e-3, 10, 1], jnp.float32)
    values = log_bin_probability(centre, half)
    gradients = jax.vmap(jax.grad(log_bin_probability))(centre, half)
    np.testing.assert_allclose(values, [-5e7, -0.5 * 9990.0**2, -0.5 * 999999.0**2], rtol=1e-3)
    np.testing.assert_allclose(gradients, [-1e4, 9990.0, -999999.0], rtol=1e-3)


@pytest.mark.parametrize("offset", [-0.125, 0.0])
@pytest.mark.parametrize("log_var", [-9.0, 0.0, 2.0])
def test_bins_sum_to_one(offset, log_var):
    grid = jnp.arange(-80.0, 80.0) * 0.25
    pixel = DiscretisedGaussian(jnp.array([0.3]), jnp.array([log_var]), 0.25, offset)
    total = jnp.sum(jnp.exp(jax.vmap(lambda x: pixel.log_prob(x[None]))(grid)))
    np.testing.assert_allclose(total, 1.0, rtol=1e-12)


def test_the_window_of_films_leaves_gaps_between_levels():
    """What avfkit.data.films says: 255/256 in sum, never too large, log(256 / 255) a pixel."""
    assert round(64 * 64 * np.log(256 / 255)) == 16
    levels = jnp.arange(256.0)[:, None] / 255
    wide, narrow = (DiscretisedGaussian(jnp.array([0.5]), jnp.array([v]), 1 / 256, -1 / 512)
                    for v in (-6.0, -14.0))  # fmt: skip
    for pixel in (wide, narrow):
        tiling = DiscretisedGaussian.centred(pixel.mean, pixel.log_var, window=1 / 255)
        found, most = (jax.vmap(p.log_prob)(levels) for p in (pixel, tiling))
        assert (found < most).all()
        np.testing.assert_allclose(jnp.exp(most).sum(), 1.0, rtol=1e-9)
        if pixel is wide:
            np.testing.assert_allclose(jnp.exp(found).sum(), 255 / 256, rtol=1e-9)
            near = jnp.abs(levels[:, 0] - 0.5) < 0.2
            np.testing.assert_allclose((most - found)[near], np.log(256 / 255), rtol=0.01)


def test_a_narrow_bin_is_density_times_width():
    mean, log_var, x = jnp.array([0.2, -1.0]), jnp.array([0.0, 1.0]), jnp.array([1.0, 0.5])
    window = 1e-6
    density = -0.5 * (np.log(2 * np.pi) + log_var + (x - mean) ** 2 * jnp.exp(-log_var))
    bins = DiscretisedGaussian.centred(mean, log_var, window=window)
    np.testing.assert_allclose(bins.log_prob(x), density.sum() + 2 * np.log(window), rtol=1e-9)


def test_the_one_sided_window_begins_at_x():
    centred = DiscretisedGaussian.centred(jnp.zeros(1), jnp.zeros(1), window=0.5)
    one_sided = DiscretisedGaussian(jnp.zeros(1), jnp.zeros(1), 0.5, 0.0)
    x = jnp.array([0.7])
    np.testing.assert_allclose(one_sided.log_prob(x), centred.log_prob(x + 0.25), rtol=1e-12)


def test_missing_entries_add_nothing_forward_or_backward():
    def nats(mean, value):
        pixel = DiscretisedGaussian.centred(mean, jnp.zeros(2), window=0.1)
        return pixel.log_prob(value, jnp.array([True, False]))

    mean = jnp.array([0.0, 1.0])
    gradient = jax.grad(nats)(mean, jnp.array([0.5, 1e30]))
    assert gradient[1] == 0.0 and np.isfinite(gradient).all()
    assert nats(mean, jnp.array([0.5, 3.0])) == nats(mean, jnp.array([0.5, -7.0]))


def test_draws_have_the_moments_of_the_signal():
    pixel = DiscretisedGaussian.centred(jnp.array([2.0]), jnp.log(jnp.array([0.25])), window=0.1)
    draws = jax.vmap(lambda key: pixel.sample(key=key))(jr.split(jr.key(0), 4000))
    np.testing.assert_allclose(draws.mean(), pixel.mean[0], atol=0.03)
    np.testing.assert_allclose(draws.var(), pixel.variance[0], rtol=0.08)


@pytest.mark.parametrize("window", [0.0, -1.0, float("inf"), float("nan")])
def test_windows_without_a_width_are_refused(window):
    with pytest.raises(ValueError, match=f"^window is {window}; expected a positive finite width"):
        DiscretisedGaussian(jnp.zeros(1), jnp.zeros(1), window, 0.0)
