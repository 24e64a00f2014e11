"""The variational recurrent neural network.

Reference: Chung, Kastner, Dinh, Goel, Courville and Bengio (2015); sizes of the AVF paper's
experiments in Marino et al. (2018), appendix B.1.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .._checked import Size, checked
from .._distributions import AbstractDistribution, AbstractGaussian, DiagonalGaussian
from .._model import AbstractRecurrentModel
from ..nn import BernoulliHead, Conditional, GaussianHead, Memory
from ._mlp import mlp

Hidden: TypeAlias = tuple[Float[Array, " hidden"], Float[Array, " hidden"]]


class VRNN(AbstractRecurrentModel):
    """A latent variable at every step of an LSTM that reads features of x_t and of z_t.

        prior       p(z_t | h_{t-1})
        likelihood  p(x_t | phi_z(z_t), h_{t-1})
        memory      h_t = LSTM(phi_x(x_t), phi_z(z_t))

    (Chung et al. 2015, Eq. 5-7.) Its own filter is `DirectFilter`, which reads phi_x(x_t) and
    h_{t-1} (Eq. 9).

    **Example**

    ```python
    model = avfkit.VRNN(88, 16, hidden_size=200, width=200, depth=1, key=key)
    ```
    """

    features_x: eqx.nn.MLP
    features_z: eqx.nn.MLP
    memory: Memory
    prior_net: Conditional[DiagonalGaussian]
    likelihood_net: Conditional[AbstractDistribution]
    obs_size: int = eqx.field(static=True)
    latent_size: int = eqx.field(static=True)

    @checked
    def __init__(
        self,
        obs_size: Size,
        latent_size: Size,
        *,
        hidden_size: Size = 200,
        width: Size = 200,
        depth: Size = 1,
        obs_width: Size | None = None,
        head: Callable = BernoulliHead,
        key: Key[Array, ""],
    ) -> None:
        """Make a VRNN.

        Args:
            obs_size: entries of one observation.
            latent_size: entries of one latent.
            hidden_size: units of the LSTM.
            width: units of a hidden layer of phi_z and of the prior.
            depth: hidden layers of the features, the prior and the likelihood.
            obs_width: units of a hidden layer of phi_x and of the likelihood; `width` if `None`.
            head: the likelihood's head: `nn.BernoulliHead`, `nn.GaussianHead`, or
                `nn.DiscretisedGaussianHead` with its window.
            key: randomness of the initial weights.
        """
        obs_width = width if obs_width is None else obs_width
        x_key, z_key, memory_key, prior_key, likelihood_key = jax.random.split(key, 5)
        self.features_x = mlp(obs_size, obs_width, depth, key=x_key)
        self.features_z = mlp(latent_size, width, depth, key=z_key)
        self.memory = Memory(obs_width + width, hidden_size, key=memory_key)
        conditional = partial(Conditional, depth=depth)
        self.prior_net = conditional(
            hidden_size, latent_size, head=GaussianHead, width=width, key=prior_key
        )
        self.likelihood_net = conditional(
            width + hidden_size, obs_size, head=head, width=obs_width, key=likelihood_key
        )
        self.obs_size, self.latent_size = obs_size, latent_size

    def init(self) -> Hidden:
        """The learned initial memory."""
        return self.memory.initial

    def prior(self, state: Hidden) -> AbstractGaussian:
        """p(z_t | h_{t-1})."""
        return self.prior_net(state[0])

    def likelihood(self, state: Hidden, z: Float[Array, " latent"]) -> AbstractDistribution:
        """p(x_t | phi_z(z_t), h_{t-1})."""
        return self.likelihood_net(self.features_z(z), state[0])

    def next(self, state: Hidden, x: Float[Array, " obs"], z: Float[Array, " latent"]) -> Hidden:
        """The LSTM reads phi_x(x_t) and phi_z(z_t)."""
        return self.memory(state, jnp.append(self.features_x(x), self.features_z(z)))

    def context(self, state: Hidden) -> Float[Array, " hidden"]:
        """h_{t-1}."""
        return state[0]

    def features(self, x: Float[Array, " obs"]) -> Float[Array, " features"]:
        """phi_x(x_t)."""
        return self.features_x(x)
