"""The stochastic recurrent neural network.

Reference: Fraccaro, Sønderby, Paquet and Winther (2016); sizes of the AVF paper's experiments in
Marino et al. (2018), appendix B.2. As there, the memory is an LSTM (a GRU in the original).
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from .._checked import Count, Size, checked
from .._distributions import AbstractDistribution, AbstractGaussian, DiagonalGaussian
from .._model import AbstractRecurrentModel
from ..nn import BernoulliHead, Conditional, GaussianHead, Memory, clipped_leaky_relu
from ._mlp import mlp

Hidden: TypeAlias = tuple[Float[Array, " hidden"], Float[Array, " hidden"]]
Past: TypeAlias = tuple[Hidden, Float[Array, " latent"]]


class SRNN(AbstractRecurrentModel):
    """A deterministic memory of the observations, and a chain of latents on top of it.

        memory      h_t = LSTM(phi(x_{t-1}))
        prior       p(z_t | h_t, z_{t-1})
        likelihood  p(x_t | h_t, z_t)

    The latent never enters the memory, so h_1..h_T follow from the observations alone. Its own
    filter is `DirectFilter` with `residual_mean=True` (Fraccaro et al. 2016, Eq. 10), which reads
    phi(x_t), h_t and z_{t-1}. The defaults are the original's form; the AVF authors' has no
    embedding of x (`embed_depth=0`) and shows its filter h_t only (`latent_context=False`).

    **Example**

    ```python
    model = avfkit.SRNN(88, 100, hidden_size=300, width=500, depth=1, key=key)
    ```
    """

    embedding: eqx.nn.MLP | None
    memory: Memory
    prior_net: Conditional[DiagonalGaussian]
    likelihood_net: Conditional[AbstractDistribution]
    obs_size: int = eqx.field(static=True)
    latent_size: int = eqx.field(static=True)
    latent_context: bool = eqx.field(static=True)

    @checked
    def __init__(
        self,
        obs_size: Size,
        latent_size: Size,
        *,
        hidden_size: Size = 300,
        width: Size = 500,
        depth: Size = 1,
        likelihood_depth: Size | None = None,
        embed_depth: Count = 2,
        latent_context: bool = True,
        activation: Callable = clipped_leaky_relu,
        head: Callable = BernoulliHead,
        key: Key[Array, ""],
    ) -> None:
        """Make an SRNN.

        Args:
            obs_size: entries of one observation.
            latent_size: entries of one latent.
            hidden_size: units of the LSTM.
            width: units of every hidden layer.
            depth: hidden layers of the prior and the likelihood.
            likelihood_depth: hidden layers of the likelihood, if another number.
            embed_depth: hidden layers of the embedding of x, shared by memory and filter; 0 for
                none.
            latent_context: whether a filter may read z_{t-1}.
            activation: of every hidden layer.
            head: the likelihood's head: `nn.BernoulliHead`, `nn.GaussianHead`, or
                `nn.DiscretisedGaussianHead` with its window.
            key: randomness of the initial weights.
        """
        likelihood_depth = depth if likelihood_depth is None else likelihood_depth
        embed_key, memory_key, prior_key, likelihood_key = jr.split(key, 4)
        embed = partial(mlp, obs_size, width, embed_depth, activation)
        self.embedding = embed(key=embed_key) if embed_depth else None
        self.memory = Memory(width if embed_depth else obs_size, hidden_size, key=memory_key)
        net = partial(Conditional, hidden_size + latent_size, width=width, activation=activation)
        self.prior_net = net(latent_size, head=GaussianHead, depth=depth, key=prior_key)
        self.likelihood_net = net(obs_size, head=head, depth=likelihood_depth, key=likelihood_key)
        self.obs_size, self.latent_size = obs_size, latent_size
        self.latent_context = latent_context

    def init(self) -> Past:
        """The learned initial memory, and zero for the latent before the first."""
        hidden = self.memory.initial[0]
        return self.memory.initial, jnp.zeros(self.latent_size, hidden.dtype)

    def prior(self, state: Past) -> AbstractGaussian:
        """p(z_t | h_t, z_{t-1})."""
        return self.prior_net(state[0][0], state[1])

    def likelihood(self, state: Past, z: Float[Array, " latent"]) -> AbstractDistribution:
        """p(x_t | h_t, z_t)."""
        return self.likelihood_net(state[0][0], z)

    def next(self, state: Past, x: Float[Array, " obs"], z: Float[Array, " latent"]) -> Past:
        """The LSTM reads phi(x_t); the latent is kept for the next prior."""
        return self.memory(state[0], self.features(x)), z

    def context(self, state: Past) -> Float[Array, " context"]:
        """h_t, followed by z_{t-1} where the filter may read it."""
        hidden, z = state[0][0], state[1]
        return jnp.append(hidden, z) if self.latent_context else hidden

    def features(self, x: Float[Array, " obs"]) -> Float[Array, " features"]:
        """phi(x_t), or x_t itself where there is no embedding."""
        return x if self.embedding is None else self.embedding(x)
