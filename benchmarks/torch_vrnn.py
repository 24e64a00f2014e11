"""VRNN in PyTorch: a latent at every step of an LSTM that reads features of x_t and of z_t."""

from typing import Any

import torch
from torch import Tensor, nn
from torch_avf import Counterparts, Gaussian, Memory, Net, State, bin_nats, gaussian


class VRNN(nn.Module):
    """The state is (h, c)."""

    def __init__(
        self, size: int = 200, hidden: int = 2000, width: int = 500, obs_width: int = 600
    ) -> None:
        super().__init__()
        wide, narrow = [obs_width] * 4, [width] * 4
        self.features_x = Net(size, *wide, head=False)
        self.features_z = Net(size, *narrow, head=False)
        self.prior_net = Net(hidden, *narrow, 2 * size)
        self.likelihood_net = Net(width + hidden, *wide, 2 * size)
        self.memory = Memory(obs_width + width, hidden)

    def start(self, batch: int) -> State:
        """The learned memory."""
        return self.memory.start(batch)

    def prior(self, state: State) -> Gaussian:
        """p(z_t | h_{t-1})."""
        return gaussian(self.prior_net(state[0]))

    def read(self, state: State, z: Tensor) -> Tensor:
        """Features of the latent."""
        return self.features_z(z)

    def nats(self, state: State, read: Tensor, x: Tensor) -> Tensor:
        """-log p(x_t | z_t, h_{t-1}) of each sequence."""
        output = self.likelihood_net(torch.cat([read, state[0]], -1))
        mean, log_var = output.chunk(2, -1)
        return bin_nats(x, mean, log_var.clamp(-20.0, 5.0), window=0.0018190742)

    def next(self, state: State, read: Tensor, x: Tensor) -> State:
        """The memory reads the features of x_t and of z_t."""
        return self.memory(torch.cat([self.features_x(x), read], -1), state)

    def counterparts(self, model: Any) -> Counterparts:
        """Parameters, and avfkit's."""
        both = self.memory.counterparts(model.memory)
        for name in ("features_x", "features_z"):
            both += getattr(self, name).counterparts(getattr(model, name).layers)
        for name in ("prior_net", "likelihood_net"):
            net = getattr(model, name)
            both += getattr(self, name).counterparts([*net.layers, net.head.linear])
        return both
