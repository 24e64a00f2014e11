"""Networks between images and codes, of two kinds: DCGAN and VGG, with skip connections.

Sizes of Denton and Fergus (2018), appendix: at 64 x 64 the DCGAN halves the image four times by
strided convolutions, the VGG by pooling after two or three convolutions of each size; the channels
double from `channels` to eight times as many. Batch normalisation is replaced by group
normalisation, so that a network is a function of its input alone.

Reference: Radford, Metz and Chintala (2016); Simonyan and Zisserman (2015); Wu and He (2018).
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from .._checked import Size, checked
from ._convolution import convolve, spread

Convolution: TypeAlias = eqx.nn.Conv2d | eqx.nn.ConvTranspose2d
Skips: TypeAlias = tuple[Float[Array, "_height _width _channels"], ...]

_GROUPS = 8


class Block(eqx.Module):
    """A convolution, group normalisation, an activation."""

    convolution: Convolution
    norm: eqx.nn.GroupNorm
    activation: Callable = eqx.field(static=True)

    def __init__(
        self,
        convolution: Convolution,
        *,
        groups: int = _GROUPS,
        activation: Callable | None = None,
    ) -> None:
        channels = convolution.out_channels
        self.convolution = convolution
        self.norm = eqx.nn.GroupNorm(math.gcd(groups, channels), channels)
        self.activation = activation or _leaky_relu

    def __call__(self, image: Float[Array, "_h _w _in"]) -> Float[Array, "_h2 _w2 _out"]:
        """The feature map of an image."""
        return self.activation(_normalised(self.norm, convolved(self.convolution, image)))


class ImageEncoder(eqx.Module):
    """From an image to a code in [-1, 1], and the feature maps on the way."""

    stages: tuple[tuple[Block, ...], ...]
    last: Block
    pool: bool = eqx.field(static=True)

    @checked
    def __init__(
        self,
        size: int,
        code_size: int,
        *,
        backbone: str = "dcgan",
        channels: Size = 64,
        key: Key[Array, ""],
    ) -> None:
        """An encoder of grey images of `size` x `size` pixels, a power of two from 8 on."""
        if code_size < 2:
            raise ValueError(f"code_size is {code_size}; expected at least 2: it is normalised.")
        widths = _widths(size, backbone, channels)
        *keys, last_key = jr.split(key, len(widths) + 1)
        ends = zip([1, *widths[:-1]], widths, keys, range(len(widths)), strict=True)
        self.pool = backbone == "vgg"
        if self.pool:
            self.stages = tuple(_vgg(a, [b] * _depth(i), key=k) for a, b, k, i in ends)
        else:
            self.stages = tuple(
                (Block(eqx.nn.Conv2d(a, b, 4, 2, 1, key=k)),) for a, b, k, _ in ends
            )
        last = eqx.nn.Conv2d(widths[-1], code_size, 4, key=last_key)
        self.last = Block(last, groups=1, activation=jnp.tanh)  # one pixel: over all channels

    def __call__(self, image: Float[Array, "height width"]) -> tuple[Float[Array, " code"], Skips]:
        """The code, and the feature maps from the largest to the smallest."""
        hidden, skips = image[..., None], []
        for index, stage in enumerate(self.stages):
            hidden = _halve(hidden) if self.pool and index else hidden
            for block in stage:
                hidden = block(hidden)
            skips.append(hidden)
        hidden = _halve(hidden) if self.pool else hidden
        return self.last(hidden)[0, 0], tuple(skips)


class ImageDecoder(eqx.Module):
    """From a code, and the feature maps of another image, to the channels of an image."""

    first: Block
    stages: tuple[tuple[Block, ...], ...]
    last: Convolution
    upsample: bool = eqx.field(static=True)

    @checked
    def __init__(
        self,
        size: int,
        code_size: Size,
        *,
        out_channels: Size,
        backbone: str = "dcgan",
        channels: Size = 64,
        skips: bool = True,
        key: Key[Array, ""],
    ) -> None:
        """The mirror image of `ImageEncoder`; without `skips` it reads the code alone."""
        widths = _widths(size, backbone, channels)
        first_key, last_key, *keys = jr.split(key, len(widths) + 2)
        factor = 2 if skips else 1
        self.first = Block(eqx.nn.ConvTranspose2d(code_size, widths[-1], 4, key=first_key))
        self.upsample = backbone == "vgg"
        stages = range(len(widths) - 1, -1, -1)
        steps = list(zip(widths[::-1], [*widths[-2::-1], 0], stages, strict=True))
        if self.upsample:
            outs = [[a] * (_depth(i) - 1) + ([b] if b else []) for a, b, i in steps]
            pairs = zip(steps, outs, keys, strict=True)
            self.stages = tuple(_vgg(factor * s[0], out, key=k) for s, out, k in pairs)
            self.last = eqx.nn.ConvTranspose2d(
                widths[0], out_channels, 3, 1, padding=1, key=last_key
            )
        else:
            ends = zip(steps[:-1], keys[:-1], strict=True)
            self.stages = tuple((_grow(factor * s[0], s[1], key=k),) for s, k in ends) + ((),)
            width = factor * widths[0]
            self.last = eqx.nn.ConvTranspose2d(width, out_channels, 4, 2, padding=1, key=last_key)

    def __call__(
        self, code: Float[Array, " code"], skips: Skips
    ) -> Float[Array, "channels height width"]:
        """The channels of the image; `skips` as `ImageEncoder` gives them, or empty."""
        hidden = self.first(code[None, None])
        for index, stage in enumerate(self.stages):
            hidden = _double(hidden) if self.upsample else hidden
            hidden = jnp.concatenate([hidden, skips[-1 - index]], -1) if skips else hidden
            for block in stage:
                hidden = block(hidden)
        return jnp.moveaxis(convolved(self.last, hidden), -1, 0)


def _widths(size: int, backbone: str, channels: int) -> list[int]:
    """The channels at each size, from the largest image to the smallest."""
    if size < 8 or size & (size - 1):
        raise ValueError(f"size is {size}; expected a power of two, at least 8.")
    if backbone not in ("dcgan", "vgg"):
        raise ValueError(f"backbone is {backbone!r}; expected 'dcgan' or 'vgg'.")
    return [channels * 2 ** min(i, 3) for i in range(int(math.log2(size)) - 2)]


def _depth(stage: int) -> int:
    """Convolutions of a VGG stage: two of the largest images, three of the smaller ones."""
    return 2 if stage < 2 else 3


def _vgg(in_size: int, widths: list[int], *, key: Key[Array, ""]) -> tuple[Block, ...]:
    keys = jr.split(key, len(widths))
    ends = zip([in_size, *widths[:-1]], widths, keys, strict=True)
    return tuple(Block(eqx.nn.Conv2d(a, b, 3, padding=1, key=k)) for a, b, k in ends)


def _grow(in_size: int, out_size: int, *, key: Key[Array, ""]) -> Block:
    return Block(eqx.nn.ConvTranspose2d(in_size, out_size, 4, 2, padding=1, key=key))


def _leaky_relu(values: Float[Array, "*size"]) -> Float[Array, "*size"]:
    return jax.nn.leaky_relu(values, 0.2)


def convolved(layer: Convolution, image: Float[Array, "_h _w _in"]) -> Float[Array, "_h2 _w2 _out"]:
    """What the layer gives, of an image whose channels come last."""
    stride, (before, after), bias = layer.stride[0], layer.padding[0], layer.bias
    assert bias is not None and isinstance(before, int) and isinstance(after, int)
    if isinstance(layer, eqx.nn.Conv2d):
        found = convolve(image, layer.weight, stride=stride, before=before, after=after)
    else:  # it slides the kernel over a dilated image: its taps come in reverse
        grown = layer.kernel_size[0] - stride - before - after
        height, width = (side * stride + grown for side in image.shape[:2])
        weight = layer.weight[:, :, ::-1, ::-1]
        found = spread(image, weight, stride=stride, before=before, size=(height, width))
    return found + bias[:, 0, 0]


def _normalised(
    norm: eqx.nn.GroupNorm, image: Float[Array, "_h _w _c"]
) -> Float[Array, "_h _w _c"]:
    """Each group of channels with mean 0 and variance 1, then scaled and moved."""
    assert norm.weight is not None and norm.bias is not None
    groups = image.reshape(*image.shape[:2], norm.groups, -1)
    mean = groups.mean((0, 1, 3), keepdims=True)
    variance = groups.var((0, 1, 3), keepdims=True)
    units = (groups - mean) * jax.lax.rsqrt(variance + norm.eps)
    return units.reshape(image.shape) * norm.weight + norm.bias


def _halve(image: Float[Array, "_h _w _c"]) -> Float[Array, "_h2 _w2 _c"]:
    """The maximum of every 2 x 2 pixels."""
    height, width, channels = image.shape
    return image.reshape(height // 2, 2, width // 2, 2, channels).max((1, 3))


def _double(image: Float[Array, "_h _w _c"]) -> Float[Array, "_h2 _w2 _c"]:
    """Every pixel four times."""
    return jnp.repeat(jnp.repeat(image, 2, axis=0), 2, axis=1)
