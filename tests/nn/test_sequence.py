"""Networks over time: what a step of their output depends on."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from avfkit.nn import BidirectionalRNN, FrameEncoder, TemporalCNN

KEY = jr.key(0)


def count(module):
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(module, eqx.is_array)))


def sized(module):
    """As `count`, of the shapes of a module that was not made."""
    return sum(leaf.size for leaf in jax.tree.leaves(module) if hasattr(leaf, "size"))


def sequence(length, size=2):
    return jnp.array(np.random.default_rng(0).normal(size=(length, size)))


def dependence(network, xs, columns=slice(None)):
    """Whether step t of the output depends on step s of the input, `[t, s]`."""
    jacobian = jax.jit(jax.jacobian(lambda xs: network(xs)[:, columns]))(xs)
    return np.abs(jacobian).max((1, 3)) > 0


def test_each_direction_of_the_rnn_sees_its_side():
    network, xs = BidirectionalRNN(2, 4, key=KEY), sequence(5)
    past = np.tril(np.ones((5, 5), bool))
    np.testing.assert_array_equal(dependence(network, xs, slice(0, 4)), past)
    np.testing.assert_array_equal(dependence(network, xs, slice(4, 8)), past.T)


def test_rnn_is_two_loops():
    network, xs = BidirectionalRNN(2, 3, key=KEY), sequence(4)
    inputs = [network.embed(x) for x in xs]
    state, past = jnp.zeros(3), []
    for value in inputs:
        state = network.forward(value, state)
        past.append(state)
    state, future = jnp.zeros(3), []
    for value in inputs[::-1]:
        state = network.backward(value, state)
        future.insert(0, state)
    expected = np.concatenate([past, future], axis=1)
    np.testing.assert_allclose(network(xs), expected, atol=1e-12)


def test_default_embedding_is_a_layer_of_twenty_units():
    embed = BidirectionalRNN(2, 3, key=KEY).embed
    first, second = embed.layers
    assert first.weight.shape == (20, 2) and second.weight.shape == (3, 20)
    x = jnp.array([-1.0, 2.0])
    expected = second.weight @ np.maximum(first.weight @ x, 0)
    np.testing.assert_allclose(embed(x), expected, rtol=1e-12)


@pytest.mark.parametrize(("kernel", "depth"), [(1, 2), (3, 2), (4, 3), (50, 1)])
def test_receptive_field_of_the_cnn_is_exactly_the_stated_one(kernel, depth):
    network = TemporalCNN(2, 3, kernel=kernel, features=30, depth=depth, key=KEY)
    length = 40
    s, t = np.meshgrid(np.arange(length), np.arange(length))
    expected = (s >= t - depth * ((kernel - 1) // 2)) & (s <= t + depth * (kernel // 2))
    np.testing.assert_array_equal(dependence(network, sequence(length)), expected)


def test_cnn_is_its_convolutions_written_out():
    network = TemporalCNN(2, 3, kernel=4, features=5, depth=2, key=KEY)
    network = jax.tree.map(lambda a: a + 0.1 if eqx.is_inexact_array(a) else a, network)
    xs = hidden = sequence(6)
    for layer in network.convolutions:
        padded = np.pad(hidden, ((1, 2), (0, 0)))
        windows = [np.einsum("kc,ock->o", padded[t : t + 4], layer.weight) for t in range(6)]
        hidden = np.maximum(np.array(windows) + layer.bias[:, 0], 0)
    expected = hidden @ network.linear.weight.T + network.linear.bias
    np.testing.assert_allclose(network(xs), expected, atol=1e-12)


NETWORKS = pytest.mark.parametrize("network", [BidirectionalRNN, TemporalCNN])


@NETWORKS
@pytest.mark.parametrize("length", [1, 2, 7])
def test_any_length(network, length):
    made = network(2, 3, key=KEY)
    found = made(sequence(length))
    assert found.shape == (length, made.out_size)
    assert np.isfinite(found).all() and (found != 0).any()


@NETWORKS
def test_frames_are_embedded_one_by_one(network):
    encoder = FrameEncoder(4, 5, widths=(1, 1, 1), key=KEY)
    made, plain = network(16, 3, embed=encoder, key=KEY), network(5, 3, embed=jnp.asarray, key=KEY)
    assert count(made) == count(encoder) + count(plain)
    xs = sequence(3, 16)
    np.testing.assert_allclose(made(xs), plain(jax.vmap(encoder)(xs)), rtol=1e-12)


def test_parameters_at_the_authors_sizes():
    for units in (10, 20, 30):
        rnn = eqx.filter_eval_shape(BidirectionalRNN, 5, units, key=KEY)
        gru = 3 * units * (units + units) + 4 * units
        assert sized(rnn) == (5 * 20 + 20) + (20 * units + units) + 2 * gru
        assert rnn.out_size == 2 * units
    for kernel in (10, 20, 50):
        cnn = eqx.filter_eval_shape(partial(TemporalCNN, kernel=kernel), 5, 10, key=KEY)
        assert sized(cnn) == kernel * 32 * (5 + 32 + 32) + 3 * 32 + 32 * 10 + 10
        assert cnn.out_size == 10


def test_the_two_directions_start_from_different_weights():
    rnn = BidirectionalRNN(5, 10, key=KEY)
    assert not np.allclose(rnn.forward.weight_ih, rnn.backward.weight_ih)


def test_layers_start_with_he_s_weights_and_no_bias():
    cnn, rnn = TemporalCNN(5, 200, features=50, key=KEY), BidirectionalRNN(100, 100, key=KEY)
    layers = [(layer, layer.weight[0].size) for layer in (*cnn.convolutions, cnn.linear)]
    layers += [(layer, layer.weight[0].size) for layer in rnn.embed.layers]
    for layer, fan_in in layers:
        spread = 5 / np.sqrt(2 * layer.weight.size)
        np.testing.assert_allclose(layer.weight.std(), np.sqrt(2 / fan_in), rtol=spread)
        np.testing.assert_array_equal(layer.bias, 0)


BAD = {
    "kernel is 0; expected at least 1.": (TemporalCNN, {"kernel": 0}),
    "depth is 0; expected at least 1.": (TemporalCNN, {"depth": 0}),
    "embed makes (1, 2) of a step of 2 entries; expected a vector.": (
        TemporalCNN,
        {"embed": lambda x: x[None]},
    ),
    "embed makes () of a step of 2 entries; expected a vector.": (
        BidirectionalRNN,
        {"embed": jnp.sum},
    ),
    "embed makes tuple of a step of 2 entries; expected a vector.": (
        BidirectionalRNN,
        {"embed": lambda x: (x, x)},
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input(message):
    network, options = BAD[message]
    with pytest.raises(ValueError) as error:
        network(2, 3, **options, key=KEY)
    assert str(error.value) == message
