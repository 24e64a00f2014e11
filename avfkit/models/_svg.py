"""Stochastic video generation with a learned prior.

Reference: Denton and Fergus (2018), SVG-LP; sizes and likelihood of the AVF paper's experiment in
Marino et al. (2018), section 4.1.3 and appendix B.3.
"""

from functools import partial
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from .._checked import Size, checked
from .._discretised import DiscretisedGaussian
from .._distributions import AbstractDistribution, AbstractGaussian
from .._model import AbstractRecurrentModel
from ..nn import DeepMemory, GaussianHead, ImageDecoder, ImageEncoder

Cells: TypeAlias = tuple[tuple[Float[Array, " hidden"], Float[Array, " hidden"]], ...]


class Past(eqx.Module):
    """What SVG knows before frame t.

    Attributes:
        code: enc(x_{t-1}).
        skips: the feature maps of x_{t-1}; empty without skip connections.
        prior: the prior's memory, which has read enc(x_{t-1}).
        predictor: the predictor's memory, which has read all up to z_{t-1}.
    """

    code: Float[Array, " code"]
    skips: tuple[Float[Array, "_height _width _channels"], ...]
    prior: Cells
    predictor: Cells


class SVG(AbstractRecurrentModel):
    """Video, frame by frame: a latent says what the last frame does not.

        prior       p(z_t | LSTM(enc(x_1), ..., enc(x_{t-1})))
        predictor   g_t = LSTM(z_t, enc(x_{t-1})), two layers
        likelihood  p(x_t | dec(g_t, feature maps of x_{t-1}))

    A frame is a vector of height x width grey pixels in [0, 1]. The decoder outputs a mean through
    a sigmoid and a log-variance of at least -10; the likelihood is a Gaussian integrated over a
    `window` around the pixel. Before the first frame the code and the feature maps are zero. Its
    own filter is `RecurrentFilter`.

    The skip connections come from the last frame, observed or drawn (in the original from the last
    of the frames that are given). The AVF authors' code multiplies them by zero: `skips=False`. It
    has no embedding before the LSTMs either: `embed=False`.

    **Example**

    ```python
    model = avfkit.SVG((64, 64), 24, backbone="vgg", key=key)
    ```
    """

    encoder: ImageEncoder
    decoder: ImageDecoder
    prior_memory: DeepMemory
    prior_head: GaussianHead
    predictor: DeepMemory
    code_head: eqx.nn.Linear
    obs_size: int = eqx.field(static=True)
    latent_size: int = eqx.field(static=True)
    shape: tuple[int, int] = eqx.field(static=True)
    skips: bool = eqx.field(static=True)
    window: float = eqx.field(static=True)
    centred: bool = eqx.field(static=True)

    @checked
    def __init__(
        self,
        shape: tuple[int, int],
        latent_size: Size,
        *,
        code_size: Size = 128,
        hidden_size: Size = 256,
        backbone: str = "dcgan",
        channels: Size = 64,
        skips: bool = True,
        embed: bool = True,
        window: float = 1.0 / 256.0,
        centred: bool = True,
        key: Key[Array, ""],
    ) -> None:
        """Make an SVG model.

        Args:
            shape: height and width of a frame, equal powers of two.
            latent_size: entries of one latent.
            code_size: entries of a frame's code.
            hidden_size: units of every LSTM.
            backbone: "dcgan" or "vgg", of encoder and decoder.
            channels: of the largest feature maps.
            skips: whether the decoder sees the feature maps of the last frame.
            embed: whether a linear embedding stands before each LSTM.
            window: width of the bin that stands for a grey level. Levels k / 255 have bins that
                tile if it is 1/255. The default is the AVF authors' 1/256, for comparison: nats are
                then too high, never too low, by about log(256 / 255) per pixel.
            centred: whether the window is centred on the pixel's value, or begins there.
            key: randomness of the initial weights.
        """
        if shape[0] != shape[1]:
            raise ValueError(f"shape is {shape}; expected equal height and width.")
        keys = jr.split(key, 6)
        encoder = partial(ImageEncoder, backbone=backbone, channels=channels)
        decoder = partial(ImageDecoder, backbone=backbone, channels=channels, skips=skips)
        self.encoder = encoder(shape[0], code_size, key=keys[0])
        self.decoder = decoder(shape[0], code_size, out_channels=2, key=keys[1])
        memory = partial(DeepMemory, hidden_size=hidden_size, embed=embed)
        self.prior_memory = memory(code_size, key=keys[2])
        self.prior_head = GaussianHead(hidden_size, latent_size, key=keys[3])
        self.predictor = memory(latent_size + code_size, depth=2, key=keys[4])
        self.code_head = eqx.nn.Linear(hidden_size, code_size, key=keys[5])
        self.obs_size, self.latent_size = shape[0] * shape[1], latent_size
        self.shape, self.skips, self.window, self.centred = shape, skips, window, centred

    def init(self) -> Past:
        """The learned initial memories, and zeros where the last frame would be."""
        frame = jnp.zeros(self.obs_size, self.code_head.weight.dtype)
        seen = eqx.filter_eval_shape(self._encode, frame)
        code, skips = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), seen)
        skips = skips if self.skips else ()
        return Past(code, skips, self.prior_memory.initial, self.predictor.initial)

    def prior(self, state: Past) -> AbstractGaussian:
        """The learned prior p(z_t | x_<t)."""
        return self.prior_head(state.prior[-1][0])

    def likelihood(self, state: Past, z: Float[Array, " latent"]) -> AbstractDistribution:
        """p(x_t | x_<t, z_<=t), the decoder's frame."""
        hidden = self._predict(state, z)[-1][0]
        mean, log_var = self.decoder(jnp.tanh(self.code_head(hidden)), state.skips)
        mean, log_var = jax.nn.sigmoid(mean.ravel()), jnp.maximum(log_var.ravel(), -10.0)
        offset = -0.5 * self.window if self.centred else 0.0
        return DiscretisedGaussian(mean, log_var, self.window, offset)

    def next(self, state: Past, x: Float[Array, " obs"], z: Float[Array, " latent"]) -> Past:
        """The predictor has read z_t, and the prior's memory reads enc(x_t)."""
        code, skips = self._encode(x)
        prior = self.prior_memory(state.prior, code)
        return Past(code, skips if self.skips else (), prior, self._predict(state, z))

    def context(self, state: Past) -> Float[Array, " hidden"]:
        """What the prior's memory says."""
        return state.prior[-1][0]

    def features(self, x: Float[Array, " obs"]) -> Float[Array, " code"]:
        """enc(x_t)."""
        return self._encode(x)[0]

    def _encode(self, x: Float[Array, " obs"]) -> tuple[Float[Array, " code"], tuple]:
        return self.encoder(x.reshape(self.shape) - 0.5)

    def _predict(self, state: Past, z: Float[Array, " latent"]) -> Cells:
        return self.predictor(state.predictor, jnp.append(z, state.code))
