"""SVG's wiring, and its networks at the paper's sizes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit.nn import ImageDecoder, ImageEncoder

KEY = jr.key(0)


def small(**options):
    return avfkit.SVG((8, 8), 3, code_size=4, hidden_size=5, channels=2, key=KEY, **options)


def frames(length):
    return jnp.array(np.random.default_rng(0).uniform(size=(length, 64)))


def test_the_prior_reads_past_frames_only_and_the_likelihood_the_last_frame():
    model, xs = small(), frames(2)
    start = model.init()
    z = jnp.ones(3)
    state = model.next(start, xs[0], z)
    other_z = model.next(start, xs[0], -z)
    other_x = model.next(start, xs[1], z)
    np.testing.assert_array_equal(model.prior(state).mean, model.prior(other_z).mean)
    assert not np.allclose(model.prior(state).mean, model.prior(other_x).mean)
    likelihood = [model.likelihood(s, z).mean for s in (state, other_z, other_x)]
    assert not np.allclose(likelihood[0], likelihood[1])
    assert not np.allclose(likelihood[0], likelihood[2])


def test_without_skips_only_the_code_of_the_last_frame_is_kept():
    assert small(skips=False).init().skips == ()
    assert [s.shape for s in small().init().skips] == [(4, 4, 2)]


def test_what_is_seen_enters_both_memories_once():
    model, xs, z = small(), frames(1), jnp.ones(3)
    start = model.init()
    state = model.next(start, xs[0], z)
    code, _ = model.encoder(xs[0].reshape(8, 8) - 0.5)
    np.testing.assert_allclose(state.code, code)
    inputs = jnp.append(z, start.code)
    for cell, again in zip(state.predictor, model.predictor(start.predictor, inputs), strict=True):
        np.testing.assert_allclose(cell[0], again[0])
    np.testing.assert_allclose(state.prior[-1][0], model.prior_memory(start.prior, code)[-1][0])


def test_pixels_have_a_mean_in_range_and_a_bounded_variance():
    model, xs = small(), frames(1)
    likelihood = model.likelihood(model.init(), 100.0 * jnp.ones(3))
    assert ((likelihood.mean >= 0) & (likelihood.mean <= 1)).all()
    assert (likelihood.log_var >= -10.0).all()
    assert likelihood.log_prob(xs[0]) <= 0.0  # a probability, not a density


@pytest.mark.parametrize("backbone, sizes", [("dcgan", [32, 16, 8, 4]), ("vgg", [64, 32, 16, 8])])
def test_networks_at_64_pixels(backbone, sizes):
    encoder = eqx.filter_eval_shape(ImageEncoder, 64, 128, backbone=backbone, key=KEY)
    decoder = eqx.filter_eval_shape(
        ImageDecoder, 64, 128, out_channels=2, backbone=backbone, key=KEY
    )
    code, skips = eqx.filter_eval_shape(lambda e: e(jnp.zeros((64, 64))), encoder)
    assert code.shape == (128,)
    assert [s.shape for s in skips] == [(n, n, 64 * 2**i) for i, n in enumerate(sizes)]
    image = eqx.filter_eval_shape(lambda d, c, s: d(c, s), decoder, code, skips)
    assert image.shape == (2, 64, 64)


def test_the_encoder_of_vgg_64_has_the_paper_s_layers():
    """3x3 blocks of 64, 64 / 128, 128 / 256 x 3 / 512 x 3, then 4x4 to the code; norms have 2 C."""
    encoder = eqx.filter_eval_shape(ImageEncoder, 64, 128, backbone="vgg", key=KEY)
    widths = [1, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512]
    expected = sum(9 * a * b + b + 2 * b for a, b in zip(widths, widths[1:], strict=False))
    expected += 16 * 512 * 128 + 128 + 2 * 128
    leaves = jax.tree.leaves(eqx.filter(encoder, lambda x: hasattr(x, "shape")))
    assert sum(int(np.prod(leaf.shape)) for leaf in leaves) == expected


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(shape=(8, 16)), r"^shape is \(8, 16\); expected equal height and width\.$"),
        (dict(shape=(12, 12)), "^size is 12; expected a power of two, at least 8.$"),
        (dict(backbone="unet"), "^backbone is 'unet'; expected 'dcgan' or 'vgg'.$"),
        (dict(channels=0), "^channels is 0; expected at least 1.$"),
        (dict(hidden_size=0), "^hidden_size is 0; expected at least 1.$"),
    ],
)
def test_sizes_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        avfkit.SVG(**dict(shape=(8, 8), latent_size=2) | options, key=KEY)
