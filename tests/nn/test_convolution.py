"""Convolutions with channels last, and their gradients, against XLA's."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from avfkit.nn._convolution import convolve, spread

# kernel, stride, zeros before and after, channels in and out
CASES = {
    "same size": (3, 1, 1, 1, 2, 3),
    "same size, fewer channels": (3, 1, 1, 1, 3, 1),
    "half the size, taps of a fourth place are none": (3, 2, 0, 1, 2, 3),
    "half the size": (4, 2, 1, 1, 3, 1),
    "whole patches": (4, 1, 0, 0, 3, 1),
    "pixels that no tap sees": (2, 3, 0, 0, 2, 3),
}


def plain(weight, images, stride, before, after):
    order, around = ("NHWC", "OIHW", "NHWC"), [(before, after)] * 2
    strides = (stride, stride)
    return jax.lax.conv_general_dilated(images, weight, strides, around, dimension_numbers=order)


def all_of(function, weight, images, other):
    """Its values and its two transposes."""
    values, transpose = jax.vjp(function, weight, images)
    return values, transpose(other)


def agree(found, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-9), found, expected)


@pytest.mark.parametrize("name", CASES)
def test_both_ways_and_their_gradients(name):
    kernel, stride, before, after, inner, outer = CASES[name]
    size = (7, 8)
    weight = jr.normal(jr.key(0), (outer, inner, kernel, kernel))
    large = jr.normal(jr.key(1), (2, 3, *size, inner))

    def ours(weight, images):
        options = {"stride": stride, "before": before, "after": after}
        return jax.vmap(jax.vmap(lambda image: convolve(image, weight, **options)))(images)

    def xla(weight, images):
        return jax.vmap(lambda images: plain(weight, images, stride, before, after))(images)

    def back(weight, images):
        swapped, options = weight.swapaxes(0, 1), {"stride": stride, "before": before, "size": size}
        return jax.vmap(jax.vmap(lambda image: spread(image, swapped, **options)))(images)

    def xla_back(weight, images):
        return jax.linear_transpose(lambda x: xla(weight, x), large)(images)[0]

    def everything(forth, back):
        small = jr.normal(jr.key(2), jax.eval_shape(xla, weight, large).shape)
        return all_of(forth, weight, large, small), all_of(back, weight, small, large)

    agree(*jax.jit(lambda: (everything(ours, back), everything(xla, xla_back)))())


def test_several_parts_a_gradient_for_each_picture_and_weights_for_each():
    """What `jax.vmap` may do beside merging pictures; and each picture fills the cache alone."""
    weight = jr.normal(jr.key(0), (2, 41, 3, 3))
    images = jr.normal(jr.key(1), (3, 38, 38, 41))

    def loss(convolution, weight, image):
        return jnp.sum(jnp.sin(convolution(weight, image)))

    def ours(weight, image):
        return convolve(image, weight, stride=1, before=1, after=1)

    def xla(weight, image):
        return plain(weight, image[None], 1, 1, 1)[0]

    def everything(convolution):
        def total(weight):
            return jnp.sum(jax.vmap(lambda image: loss(convolution, weight, image))(images))

        each = jax.vmap(lambda image: jax.grad(loss, 1)(convolution, weight, image))(images)
        weights = jnp.stack([weight, -2 * weight, weight + 1])
        own = jax.vmap(lambda weight, image: convolution(weight, image))(weights, images)
        curvature = jax.grad(lambda weight: jnp.sum(jax.grad(total)(weight) ** 2))(weight)
        return each, own, jax.grad(total)(weight), curvature / 1e4

    agree(*jax.jit(lambda: (everything(ours), everything(xla)))())


def test_without_a_compiler():
    image, weight = jnp.arange(12.0).reshape(3, 4, 1), jnp.ones((1, 1, 2, 2))
    found = convolve(image, weight, stride=2, before=0, after=0)
    np.testing.assert_array_equal(found[..., 0], [[0 + 1 + 4 + 5, 2 + 3 + 6 + 7]])
