"""SRNN in PyTorch: an LSTM over x, and a chain of latents on top of it."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_avf import Counterparts, Gaussian, Memory, Net, State, gaussian


def clipped_leaky_relu(x: Tensor) -> Tensor:
    """Slope 1/3 below zero, then clamped to [-3, 3]."""
    return F.leaky_relu(x, 1.0 / 3.0).clamp(-3.0, 3.0)


class SRNN(nn.Module):
    """The state is (h, c, z_{t-1})."""

    def __init__(
        self, obs: int = 88, latent: int = 100, hidden: int = 300, width: int = 500
    ) -> None:
        super().__init__()
        inputs = hidden + latent
        self.prior_net = Net(inputs, width, 2 * latent, activation=clipped_leaky_relu)
        self.likelihood_net = Net(inputs, width, width, obs, activation=clipped_leaky_relu)
        self.memory, self.latent = Memory(obs, hidden), latent

    def start(self, batch: int) -> State:
        """The learned memory, and zero for the latent before the first."""
        h, c = self.memory.start(batch)
        return h, c, torch.zeros(batch, self.latent)

    def prior(self, state: State) -> Gaussian:
        """p(z_t | h_t, z_{t-1})."""
        return gaussian(self.prior_net(torch.cat([state[0], state[2]], -1)))

    def read(self, state: State, z: Tensor) -> Tensor:
        """The latent as it is."""
        return z

    def nats(self, state: State, read: Tensor, x: Tensor) -> Tensor:
        """-log p(x_t | h_t, z_t) of each sequence."""
        logits = self.likelihood_net(torch.cat([state[0], read], -1))
        return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)

    def next(self, state: State, read: Tensor, x: Tensor) -> State:
        """The memory reads x_t."""
        return *self.memory(x, state[:2]), read

    def counterparts(self, model: Any) -> Counterparts:
        """Parameters, and avfkit's."""
        both = self.memory.counterparts(model.memory)
        for name in ("prior_net", "likelihood_net"):
            net = getattr(model, name)
            both += getattr(self, name).counterparts([*net.layers, net.head.linear])
        return both
