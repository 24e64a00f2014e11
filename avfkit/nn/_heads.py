"""Heads: the last linear map, from a hidden vector to a distribution."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .._checked import Size, checked
from .._discretised import DiscretisedGaussian
from .._distributions import Bernoulli, DiagonalGaussian, FullGaussian
from ._initial import he_normal

LOG_VAR_RANGE = (-15.0, 5.0)
"""Clamp of a latent's log-variance, as in the AVF authors' code."""


class GaussianHead(eqx.Module):
    """A linear map to mean and log-variance, the log-variance clamped to `log_var_range`."""

    linear: eqx.nn.Linear
    log_var_range: tuple[float, float] = eqx.field(static=True)

    @checked
    def __init__(
        self,
        in_size: Size,
        out_size: Size,
        *,
        log_var_range: tuple[float, float] = LOG_VAR_RANGE,
        key: Key[Array, ""],
    ) -> None:
        self.linear = eqx.nn.Linear(in_size, 2 * out_size, key=key)
        self.log_var_range = log_var_range

    def __call__(self, hidden: Float[Array, " hidden"]) -> DiagonalGaussian:
        """The Gaussian that this hidden vector implies."""
        return _gaussian(self.linear, hidden, self.log_var_range)


class FullGaussianHead(eqx.Module):
    """A linear map to mean, log-scale and correlations: a Gaussian with a full covariance.

    The covariance is held by its triangular factor, where the SVAE authors' code rotates a diagonal
    matrix by a matrix exponential: as many numbers, any covariance, no exponential. As there, the
    covariance starts the same for all inputs, here at the identity (theirs: 1.31 times that), and
    the mean with He's weights and no bias. The log-scale, the logarithm of the factor's diagonal,
    is clamped to `log_scale_range`, by default half of `LOG_VAR_RANGE`.

    **Example**

    ```python
    potential = nn.Conditional(24, 3, head=nn.FullGaussianHead, width=20, depth=2, key=key)
    ```

    Reference: Zhao and Linderman (2023), section 4.1; initial values from the authors' code.
    """

    mean: eqx.nn.Linear
    scale: eqx.nn.Linear
    log_scale_range: tuple[float, float] = eqx.field(static=True)

    @checked
    def __init__(
        self,
        in_size: Size,
        out_size: Size,
        *,
        log_scale_range: tuple[float, float] = (LOG_VAR_RANGE[0] / 2, LOG_VAR_RANGE[1] / 2),
        key: Key[Array, ""],
    ) -> None:
        mean_key, scale_key, start = jax.random.split(key, 3)
        self.mean = he_normal(eqx.nn.Linear(in_size, out_size, key=mean_key), key=start)
        scale = eqx.nn.Linear(in_size, out_size * (out_size + 1) // 2, key=scale_key)
        self.scale = jax.tree.map(jnp.zeros_like, scale)
        self.log_scale_range = log_scale_range

    def __call__(self, hidden: Float[Array, " hidden"]) -> FullGaussian:
        """The Gaussian that this hidden vector implies."""
        mean, numbers = self.mean(hidden), self.scale(hidden)
        log_scale, below = jnp.split(numbers, [len(mean)])
        lower = jnp.zeros((len(mean), len(mean)), below.dtype)
        lower = lower.at[jnp.tril_indices(len(mean), -1)].set(below)
        return FullGaussian(mean, jnp.clip(log_scale, *self.log_scale_range), lower)


class DiscretisedGaussianHead(eqx.Module):
    """A linear map to the Gaussian of a digitised signal; the likelihood of speech.

    `centred=False` is the one-sided window of the AVF authors' code. The clamp of the log-variance
    is their VRNN's; their SRNN has `(-10.0, inf)`.

    **Example**

    ```python
    head = functools.partial(nn.DiscretisedGaussianHead, window=0.0018)
    model = avfkit.VRNN(200, 32, head=head, key=key)
    ```
    """

    linear: eqx.nn.Linear
    window: float = eqx.field(static=True)
    centred: bool = eqx.field(static=True)
    log_var_range: tuple[float, float] = eqx.field(static=True)

    @checked
    def __init__(
        self,
        in_size: Size,
        out_size: Size,
        *,
        window: float,
        centred: bool = True,
        log_var_range: tuple[float, float] = (-20.0, 5.0),
        key: Key[Array, ""],
    ) -> None:
        self.linear = eqx.nn.Linear(in_size, 2 * out_size, key=key)
        self.window, self.centred, self.log_var_range = window, centred, log_var_range

    def __call__(self, hidden: Float[Array, " hidden"]) -> DiscretisedGaussian:
        """The discretised Gaussian that this hidden vector implies."""
        gaussian = _gaussian(self.linear, hidden, self.log_var_range)
        offset = -0.5 * self.window if self.centred else 0.0
        return DiscretisedGaussian(gaussian.mean, gaussian.log_var, self.window, offset)


class BernoulliHead(eqx.Module):
    """A linear map to logits."""

    linear: eqx.nn.Linear

    @checked
    def __init__(self, in_size: Size, out_size: Size, *, key: Key[Array, ""]) -> None:
        self.linear = eqx.nn.Linear(in_size, out_size, key=key)

    def __call__(self, hidden: Float[Array, " hidden"]) -> Bernoulli:
        """The Bernoulli that this hidden vector implies."""
        return Bernoulli(self.linear(hidden))


def _gaussian(
    linear: eqx.nn.Linear, hidden: Float[Array, " hidden"], log_var_range: tuple[float, float]
) -> DiagonalGaussian:
    mean, log_var = jnp.split(linear(hidden), 2)
    return DiagonalGaussian(mean, jnp.clip(log_var, *log_var_range))
