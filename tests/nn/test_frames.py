"""The pendulum's networks: sizes, layers and the transposed convolution, written out."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from avfkit.nn import LOG_VAR_RANGE, FrameDecoder, FrameEncoder
from avfkit.nn._frames import Doubling

KEY = jr.key(0)
RANDOM = np.random.default_rng(0)


def convolve(image, weight, bias, stride):
    """A 3x3 convolution with one pixel of zeros around, by loops."""
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    places = range(0, image.shape[1], stride)
    rows = [
        [np.einsum("cij,ocij->o", padded[:, h : h + 3, w : w + 3], weight) for w in places]
        for h in places
    ]
    return np.array(rows).transpose(2, 0, 1) + bias


def double(image, weight, bias):
    """Each pixel paints 3 x 3; what falls off the end is cut."""
    _, height, width = image.shape
    out = np.zeros((len(weight), 2 * height + 1, 2 * width + 1))
    for h in range(height):
        for w in range(width):
            patch = np.einsum("c,ocij->oij", image[:, h, w], weight)
            out[:, 2 * h : 2 * h + 3, 2 * w : 2 * w + 3] += patch
    return out[:, :-1, :-1] + bias


def nudge(module):
    """With biases that are not zero."""
    return jax.tree.map(lambda a: a + 0.1 if eqx.is_inexact_array(a) else a, module)


def test_doubling_paints():
    layer = nudge(Doubling(2, 3, key=KEY))
    image = RANDOM.normal(size=(2, 3, 5))
    expected = double(image, layer.weight, layer.bias)
    found = layer(jnp.array(image.transpose(1, 2, 0)))
    np.testing.assert_allclose(found.transpose(2, 0, 1), expected, atol=1e-12)


def test_encoder_layer_by_layer():
    encoder = nudge(FrameEncoder(8, 5, widths=(2, 3, 4), key=KEY))
    x = RANDOM.normal(size=64)
    hidden = x.reshape(1, 8, 8)
    for layer, stride in zip(encoder.convolutions, (1, 2, 2), strict=True):
        hidden = np.maximum(convolve(hidden, layer.weight, layer.bias, stride), 0)
    assert hidden.shape == (4, 2, 2)
    expected = encoder.linear.weight @ hidden.ravel() + encoder.linear.bias
    np.testing.assert_allclose(encoder(jnp.array(x)), expected, atol=1e-12)
    assert encoder.out_size == 5


@pytest.mark.parametrize("noise", [0.1, None])
def test_decoder_layer_by_layer(noise):
    decoder = nudge(FrameDecoder(3, 8, noise=noise, widths=(4, 3, 2), key=KEY))
    z = RANDOM.normal(size=3)
    hidden = (decoder.linear.weight @ z + decoder.linear.bias).reshape(4, 2, 2)
    for layer in decoder.doublings:
        hidden = double(np.maximum(hidden, 0), layer.weight, layer.bias)
    last = decoder.last
    hidden = convolve(np.maximum(hidden, 0), last.weight, last.bias, 1).reshape(-1, 64)
    found = decoder(jnp.array(z))
    np.testing.assert_allclose(found.mean, hidden[0], atol=1e-12)
    expected = np.full(64, np.log(0.1)) if noise else hidden[1]
    np.testing.assert_allclose(found.log_var, expected, atol=1e-12)


def test_learned_log_variance_is_clamped():
    decoder = FrameDecoder(1, 4, noise=None, widths=(1, 1, 1), key=KEY)
    for bias, expected in zip((-1e6, 1e6), LOG_VAR_RANGE, strict=True):
        new = decoder.last.bias.at[1].set(bias)
        clamped = eqx.tree_at(lambda d: d.last.bias, decoder, new)(jnp.zeros(1))
        np.testing.assert_array_equal(clamped.log_var, expected)


def test_parameters_at_the_authors_sizes():
    encoder = eqx.filter_eval_shape(FrameEncoder, 24, 3, key=KEY)
    convolutions = 9 * (1 * 32 + 32 * 64 + 64 * 32) + 32 + 64 + 32
    assert encoder.linear.in_features == 1152

    def size(tree):
        arrays = (a for a in jax.tree.leaves(tree) if isinstance(a, jax.ShapeDtypeStruct))
        return sum(a.size for a in arrays)

    assert size(encoder) == convolutions + 3 * 1152 + 3
    decoder = eqx.filter_eval_shape(FrameDecoder, 3, 24, noise=0.1, key=KEY)
    convolutions = 9 * (32 * 64 + 64 * 32 + 32 * 1) + 64 + 32 + 1
    assert size(decoder) == 4 * 1152 + convolutions
    learned = eqx.filter_eval_shape(FrameDecoder, 3, 24, noise=None, key=KEY)
    assert size(learned) == 4 * 1152 + convolutions + 9 * 32 + 1
    pixels = eqx.filter_eval_shape(lambda d: d(jnp.zeros(3)), decoder)
    assert pixels.mean.shape == pixels.log_var.shape == (576,)


def test_layers_start_with_he_s_weights_and_no_bias():
    encoder = FrameEncoder(24, 30, key=KEY)
    decoder = FrameDecoder(300, 24, noise=0.1, key=KEY)
    layers = [(encoder.convolutions[1], 9 * 32), (encoder.linear, 1152), (decoder.linear, 300)]
    layers += [(layer, fan) for layer, fan in zip(decoder.doublings, (9 * 32, 9 * 64), strict=True)]
    for layer, fan_in in layers:
        spread = 5 / np.sqrt(2 * layer.weight.size)
        np.testing.assert_allclose(layer.weight.std(), np.sqrt(2 / fan_in), rtol=spread)
        np.testing.assert_array_equal(layer.bias, 0)
    weights = [layer.weight.ravel()[:20] for layer, _ in layers]
    assert len(np.unique(np.concatenate(weights))) == 100  # no two layers from one key


BAD = {
    "size is 10; expected a positive multiple of 4.": {"size": 10},
    "size is 0; expected a positive multiple of 4.": {"size": 0},
    "widths is (0, 1, 2); expected three numbers of channels, at least 1.": {"widths": (0, 1, 2)},
    "widths is (1, 0, 2); expected three numbers of channels, at least 1.": {"widths": (1, 0, 2)},
    "noise is 0.0; expected None or a positive finite variance.": {"noise": 0.0},
    "noise is nan; expected None or a positive finite variance.": {"noise": float("nan")},
    "noise is inf; expected None or a positive finite variance.": {"noise": float("inf")},
}


@pytest.mark.parametrize("message", BAD)
def test_bad_sizes(message):
    options = {"size": 8, "widths": (1, 1, 1)} | BAD[message]
    with pytest.raises(ValueError) as error:
        FrameDecoder(2, **{"noise": 0.1} | options, key=KEY)
    assert str(error.value) == message
    if "noise" not in options:
        with pytest.raises(ValueError) as error:
            FrameEncoder(out_size=2, **options, key=KEY)
        assert str(error.value) == message
