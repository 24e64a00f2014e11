"""The rivals of the structured posterior: a trunk reads the sequence, a head outputs the path.

| name | trunk | head |
|---|---|---|
| RNN-MF (a deep Kalman smoother) | `nn.BidirectionalRNN` | `FactorisedHead` |
| RNN-AR-L | `nn.BidirectionalRNN` | `LinearHead` |
| RNN-AR-NL | `nn.BidirectionalRNN` | `NonlinearHead` |
| CNN-AR-L | `nn.TemporalCNN` | `LinearHead` |

Missing entries reach the trunk as zeros; steps after the last observation do not reach it.

Reference: Zhao and Linderman (2023), section 2.2; Krishnan et al. (2017); Archer et al. (2015).
"""

from abc import abstractmethod
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from .. import kalman
from .._checked import Size, checked
from .._distributions import FullGaussian
from .._model import AbstractModel
from .._smoother import AbstractPath, AbstractSmoother, until_last
from ..nn import Conditional, FullGaussianHead
from ._path import Autoregressive, GaussMarkov

_WIDTH, _DEPTH = 20, 2  # of the heads, as in the authors' code


class AbstractPathHead(eqx.Module):
    """From the features of every step to a distribution over paths."""

    latent_size: eqx.AbstractVar[int]

    @abstractmethod
    def __call__(self, features: Float[Array, "time features"]) -> AbstractPath:
        """The approximate posterior over z_1..T."""


class AmortizedSmoother(AbstractSmoother):
    """A posterior over paths read off the whole sequence by a network; serves every model.

    Attributes:
        trunk: maps `[time, obs]`, and which steps come before the end of what was observed, to
            features `[time, features]`.
        head: maps the features to a distribution over paths.

    **Example**

    ```python
    trunk = nn.BidirectionalRNN(model.obs_size, 10, key=a)
    head = avfkit.LinearHead(trunk.out_size, model.latent_size, key=b)
    rnn_ar_l = avfkit.AmortizedSmoother(trunk, head)
    ```

    Reference: Zhao and Linderman (2023), section 2.2.
    """

    trunk: Callable[[Float[Array, "time obs"], Bool[Array, " time"]], Float[Array, "time features"]]
    head: AbstractPathHead

    def path(
        self,
        model: AbstractModel,
        xs: Float[Array, "time obs"],
        observed: Bool[Array, "time obs"],
    ) -> AbstractPath:
        """What the head makes of the trunk's features."""
        if self.head.latent_size != model.latent_size:
            raise ValueError(
                f"head is over a latent of {self.head.latent_size}; this {type(model).__name__} "
                f"has {model.latent_size}."
            )
        return self.head(self.trunk(xs, until_last(observed)))


class FactorisedHead(AbstractPathHead):
    """Mean field: each z_t has a Gaussian of its own, independent of its neighbours.

    **Example**

    ```python
    head = avfkit.FactorisedHead(trunk.out_size, 3, key=key)
    ```

    Reference: Zhao and Linderman (2023), section 2.2 and Figure 1 (b): RNN-MF.
    """

    moments: Conditional[FullGaussian]
    latent_size: int = eqx.field(static=True)

    @checked
    def __init__(
        self, in_size: Size, latent_size: Size, *, width: Size = _WIDTH, key: Key[Array, ""]
    ) -> None:
        self.moments = _moments(in_size, latent_size, width, key=key)
        self.latent_size = latent_size

    def __call__(self, features: Float[Array, "time features"]) -> AbstractPath:
        """A chain whose dynamics are zero."""
        found = jax.vmap(self.moments)(features)
        cov = found.covariance
        return GaussMarkov(kalman.Conditionals(jnp.zeros_like(cov), found.mean, cov))


class LinearHead(AbstractPathHead):
    """Autoregressive and linear: z_t ~ N(A_t z_{t-1} + b_t, Q_t), all three from the features.

    A_t starts at zero, as in the authors' code, so that a fresh head is `FactorisedHead`'s.
    Nothing bounds it later, again as there: where it passes 1 at many steps in a row, its products
    overflow and the loss is no number. Let the learning rate grow from zero, or lower it.

    **Example**

    ```python
    head = avfkit.LinearHead(trunk.out_size, 3, key=key)
    ```

    Reference: Zhao and Linderman (2023), section 2.2 and Figure 1 (c, e): AR-L.
    """

    moments: Conditional[FullGaussian]
    dynamics: eqx.nn.MLP
    latent_size: int = eqx.field(static=True)

    def __init__(
        self, in_size: Size, latent_size: Size, *, width: Size = _WIDTH, key: Key[Array, ""]
    ) -> None:
        moments_key, dynamics_key = jr.split(key)
        self.moments = _moments(in_size, latent_size, width, key=moments_key)
        mlp = eqx.nn.MLP(in_size, latent_size**2, width, depth=1, key=dynamics_key)
        last = jax.tree.map(jnp.zeros_like, mlp.layers[-1])
        self.dynamics = eqx.tree_at(lambda m: m.layers[-1], mlp, last)
        self.latent_size = latent_size

    def __call__(self, features: Float[Array, "time features"]) -> AbstractPath:
        """A linear-Gaussian chain."""
        found = jax.vmap(self.moments)(features)
        dynamics = jax.vmap(self.dynamics)(features).reshape(found.covariance.shape)
        first = dynamics.at[0].set(0.0)
        return GaussMarkov(kalman.Conditionals(first, found.mean, found.covariance))


class NonlinearHead(AbstractPathHead):
    """Autoregressive and nonlinear: a GRU reads z_{t-1} and the features of step t, and gives q_t.

    **Example**

    ```python
    head = avfkit.NonlinearHead(trunk.out_size, 3, hidden_size=10, key=key)
    ```

    Reference: Zhao and Linderman (2023), section 2.2 and Figure 1 (d): RNN-AR-NL.
    """

    cell: eqx.nn.GRUCell
    moments: Conditional[FullGaussian]
    latent_size: int = eqx.field(static=True)

    @checked
    def __init__(
        self,
        in_size: Size,
        latent_size: Size,
        *,
        hidden_size: Size,
        width: Size = _WIDTH,
        key: Key[Array, ""],
    ) -> None:
        cell_key, moments_key = jr.split(key)
        self.cell = eqx.nn.GRUCell(in_size + latent_size, hidden_size, key=cell_key)
        self.moments = _moments(hidden_size, latent_size, width, key=moments_key)
        self.latent_size = latent_size

    def __call__(self, features: Float[Array, "time features"]) -> AbstractPath:
        """A path whose conditionals need the path before them: one loop."""
        return Autoregressive(self.cell, self.moments, features)


def _moments(
    in_size: Size, latent_size: Size, width: Size, *, key: Key[Array, ""]
) -> Conditional[FullGaussian]:
    head = {"head": FullGaussianHead, "width": width, "depth": _DEPTH}
    return Conditional(in_size, latent_size, **head, key=key)
