"""The building blocks, written out."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.tree_util import tree_leaves_with_path as leaves_with_path

from avfkit.nn import (
    BernoulliHead,
    Conditional,
    DiscretisedGaussianHead,
    FullGaussianHead,
    GaussianHead,
    Highway,
    Memory,
)

KEY = jr.key(0)


def test_highway_gates_carry_the_old_value():
    trunk = Highway(3, width=4, depth=2, key=KEY)
    v = jnp.array([0.3, -1.0, 2.0])
    first, second = (layer.branches for layer in trunk.layers)
    gate, new, carried = jnp.split(first.weight @ v + first.bias, 3)
    g = 1.0 / (1.0 + jnp.exp(-gate))
    h = g * carried + (1.0 - g) * jnp.where(new > 0, new, jnp.expm1(new))
    gate, new = jnp.split(second.weight @ h + second.bias, 2)
    g = 1.0 / (1.0 + jnp.exp(-gate))
    expected = g * h + (1.0 - g) * jnp.where(new > 0, new, jnp.expm1(new))
    np.testing.assert_allclose(trunk(v), expected, rtol=1e-12)


def test_conditional_reads_its_inputs_in_order():
    net = Conditional(5, 2, head=GaussianHead, width=4, depth=1, key=KEY)
    a, b = jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0, 5.0])
    hidden = jnp.maximum(net.layers[0](jnp.append(a, b)), 0.0)
    mean, log_var = jnp.split(net.head.linear(hidden), 2)
    found = net(a, b)
    np.testing.assert_allclose(found.mean, mean)
    np.testing.assert_allclose(found.log_var, log_var)


def test_gaussian_head_clamps_the_log_variance():
    head = GaussianHead(1, 1, key=KEY)
    for scale, expected in [(1e6, 5.0), (-1e6, -15.0)]:
        bias = jnp.array([0.0, scale])
        clamped = eqx.tree_at(lambda h: h.linear.bias, head, bias)(jnp.zeros(1))
        assert clamped.log_var == expected


def test_full_gaussian_head_fills_the_triangle_row_by_row():
    head = FullGaussianHead(2, 3, key=KEY)
    weight = jnp.arange(12.0).reshape(6, 2) / 10
    head = eqx.tree_at(lambda h: (h.scale.weight, h.mean.bias), head, (weight, jnp.arange(3.0)))
    x = jnp.array([1.0, -2.0])
    found, numbers = head(x), weight @ x
    np.testing.assert_allclose(found.mean, head.mean.weight @ x + jnp.arange(3.0))
    scale = np.diag(np.exp(numbers[:3]))
    scale[1, 0], scale[2, 0], scale[2, 1] = numbers[3:]
    np.testing.assert_allclose(found.scale_tril, scale)


@pytest.mark.parametrize("size", [1, 3])
def test_full_gaussian_head_starts_at_the_identity_and_can_leave_it(size):
    head, hidden = FullGaussianHead(400, size, key=KEY), jnp.linspace(-1.0, 1.0, 400)
    np.testing.assert_array_equal(head(hidden).covariance, np.eye(size))
    np.testing.assert_allclose(head.mean.weight.std(), np.sqrt(2 / 400), rtol=0.2)
    np.testing.assert_array_equal(head.mean.bias, 0)
    loss = eqx.filter_grad(lambda head: head(hidden).log_prob(jnp.ones(size)))
    assert (np.abs(loss(head).scale.weight).max(1) > 0).all()


def test_full_gaussian_head_clamps_the_log_scale():
    head = FullGaussianHead(1, 2, key=KEY)
    narrow = FullGaussianHead(1, 2, log_scale_range=(-1.0, 1.0), key=KEY)
    for made, bound in [(head, (-7.5, 2.5)), (narrow, (-1.0, 1.0))]:
        bias = jnp.array([-1e6, 1e6, 5.0])
        clamped = eqx.tree_at(lambda h: h.scale.bias, made, bias)(jnp.zeros(1))
        np.testing.assert_array_equal(clamped.log_scale, bound)
        assert clamped.scale_tril[1, 0] == 5.0


@pytest.mark.parametrize(("centred", "offset"), [(True, -0.05), (False, 0.0)])
def test_discretised_head_is_a_gaussian_head_with_a_window(centred, offset):
    """Its leaves have the same places and values too: kept weights of either name them alike."""
    options = {"log_var_range": (-3.0, 2.0), "key": KEY}
    plain = GaussianHead(2, 40, **options)
    head = DiscretisedGaussianHead(2, 40, window=0.1, centred=centred, **options)
    for (path, leaf), (there, same) in zip(*map(leaves_with_path, (head, plain)), strict=True):
        assert path == there
        np.testing.assert_array_equal(leaf, same)
    hidden = jnp.array([4.0, -6.0])
    found, gaussian = head(hidden), plain(hidden)
    np.testing.assert_array_equal(found.mean, gaussian.mean)
    np.testing.assert_array_equal(found.log_var, gaussian.log_var)
    assert (found.log_var.min(), found.log_var.max()) == (-3.0, 2.0)
    assert (found.window, found.offset) == (0.1, offset)


def test_bernoulli_head_is_linear_in_the_logits():
    head = BernoulliHead(2, 3, key=KEY)
    x = jnp.array([1.0, -1.0])
    np.testing.assert_allclose(head(x).logits, head.linear.weight @ x + head.linear.bias)


def test_memory_starts_from_a_learned_state():
    memory = Memory(2, 3, key=KEY)

    def last(memory):
        return memory(memory.initial, jnp.ones(2))[0].sum()

    gradient = eqx.filter_grad(last)(memory)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient.initial))
