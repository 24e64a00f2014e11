"""Networks between a small picture, as a vector of pixels, and a vector: for the pendulum.

Sizes of the code of Zhao and Linderman (2023), which calls them CNN and DCGAN: a quarter of the
picture's height and width in the middle, ReLU, no normalisation, He's initial weights.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from .._arrays import check_positive
from .._checked import Size, checked
from .._distributions import DiagonalGaussian
from ._convolution import spread
from ._heads import LOG_VAR_RANGE
from ._images import convolved
from ._initial import he_normal

Widths = tuple[int, int, int]


class FrameEncoder(eqx.Module):
    """From the pixels of a square picture to a vector: three 3x3 convolutions and a linear map.

    The second and the third convolution halve the picture.

    **Example**

    ```python
    encoder = nn.FrameEncoder(24, 10, key=key)
    features = jax.vmap(encoder)(xs)
    ```

    Reference: Zhao and Linderman (2023), section 4.3; sizes from the authors' code.
    """

    convolutions: tuple[eqx.nn.Conv2d, ...]
    linear: eqx.nn.Linear
    size: int = eqx.field(static=True)
    out_size: int = eqx.field(static=True)

    @checked
    def __init__(
        self, size: int, out_size: Size, *, widths: Widths = (32, 64, 32), key: Key[Array, ""]
    ) -> None:
        """Of pictures of `size` x `size` pixels; `widths` are the channels of the convolutions.

        Raises:
            ValueError: if `size` is no multiple of 4, or `widths` are not three of at least 1.
        """
        _check(size, widths)
        first, second, third, last, start = jr.split(key, 5)
        a, b, c = widths
        convolutions = (
            eqx.nn.Conv2d(1, a, 3, 1, 1, key=first),
            eqx.nn.Conv2d(a, b, 3, 2, 1, key=second),
            eqx.nn.Conv2d(b, c, 3, 2, 1, key=third),
        )
        linear = eqx.nn.Linear(c * (size // 4) ** 2, out_size, key=last)
        self.convolutions, self.linear = he_normal((convolutions, linear), key=start)
        self.size, self.out_size = size, out_size

    def __call__(self, x: Float[Array, " obs"]) -> Float[Array, " out"]:
        """The vector of a picture whose pixels come in rows from the top left."""
        hidden = x.reshape(self.size, self.size, 1)
        for layer in self.convolutions:
            hidden = jax.nn.relu(convolved(layer, hidden))
        return self.linear(hidden.transpose(2, 0, 1).ravel())


class FrameDecoder(eqx.Module):
    """From a latent to the Gaussian of each pixel of a square picture: the emission p(x | z).

    A linear map, then three 3x3 convolutions behind a ReLU each; the first two are transposed and
    double the picture. The mean is not confined to [0, 1]. With `noise`, the known variance of
    every pixel, the last has one channel (the authors' has a second one that nothing reads); with
    None it has a second one, the log-variance, clamped to `LOG_VAR_RANGE`.

    **Example**

    ```python
    decoder = nn.FrameDecoder(3, 24, noise=0.1, key=key)
    pixels = decoder(z)
    ```

    Reference: Zhao and Linderman (2023), section 4.3; sizes from the authors' code.
    """

    linear: eqx.nn.Linear
    doublings: tuple["Doubling", ...]
    last: eqx.nn.Conv2d
    size: int = eqx.field(static=True)
    noise: float | None = eqx.field(static=True)

    @checked
    def __init__(
        self,
        latent_size: Size,
        size: int,
        *,
        noise: float | None,
        widths: Widths = (32, 64, 32),
        key: Key[Array, ""],
    ) -> None:
        """Of pictures of `size` x `size`; `widths` are the channels that the ReLUs see.

        Raises:
            ValueError: if `size` is no multiple of 4, `widths` are not three of at least 1, or
                `noise` is neither None nor positive and finite.
        """
        _check(size, widths)
        if noise is not None:
            check_positive("noise", noise, "None or a positive finite variance")
        first, second, third, last, start = jr.split(key, 5)
        a, b, c = widths
        linear = eqx.nn.Linear(latent_size, a * (size // 4) ** 2, key=first)
        out_channels = 2 if noise is None else 1
        convolution = eqx.nn.Conv2d(c, out_channels, 3, padding=1, key=last)
        self.linear, self.last = he_normal((linear, convolution), key=start)
        self.doublings = (Doubling(a, b, key=second), Doubling(b, c, key=third))
        self.size, self.noise = size, noise

    def __call__(self, z: Float[Array, " latent"]) -> DiagonalGaussian:
        """The distribution of the pixels, in rows from the top left."""
        hidden = self.linear(z).reshape(-1, self.size // 4, self.size // 4).transpose(1, 2, 0)
        for layer in self.doublings:
            hidden = layer(jax.nn.relu(hidden))
        pixels = convolved(self.last, jax.nn.relu(hidden))
        mean, *log_var = pixels.reshape(-1, pixels.shape[-1]).T
        if self.noise is None:
            return DiagonalGaussian(mean, jnp.clip(log_var[0], *LOG_VAR_RANGE))
        return DiagonalGaussian(mean, jnp.full_like(mean, math.log(self.noise)))


class Doubling(eqx.Module):
    """A transposed 3x3 convolution of stride 2: each pixel paints 3 x 3 of a larger picture.

    Tap k of row h falls on row 2 h + k; what falls off the end is lost. Channels come last.
    """

    weight: Float[Array, "out in 3 3"]
    bias: Float[Array, "out 1 1"]

    @checked
    def __init__(self, in_size: Size, out_size: Size, *, key: Key[Array, ""]) -> None:
        draw = jax.nn.initializers.he_normal(in_axis=1, out_axis=0)
        self.weight = draw(key, (out_size, in_size, 3, 3))
        self.bias = jnp.zeros((out_size, 1, 1))

    def __call__(self, image: Float[Array, "_h _w in"]) -> Float[Array, "_h2 _w2 out"]:
        """The picture of twice the height and width."""
        height, width, _ = image.shape
        size = (2 * height, 2 * width)
        return spread(image, self.weight, stride=2, before=0, size=size) + self.bias[:, 0, 0]


def _check(size: int, widths: Widths) -> None:
    if size < 4 or size % 4:
        raise ValueError(f"size is {size}; expected a positive multiple of 4.")
    if len(widths) != 3 or min(widths) < 1:
        raise ValueError(f"widths is {widths}; expected three numbers of channels, at least 1.")
