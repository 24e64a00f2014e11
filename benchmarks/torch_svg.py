"""SVG in PyTorch: frames through a VGG encoder and decoder, and three LSTM layers between them.

As the AVF authors ran it, with avfkit's group normalisation in place of batch normalisation, and
without the skip connections that their code multiplies by zero.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_avf import Counterparts, Gaussian, Memory, State, bin_nats, gaussian, linear


class Block(nn.Module):
    """A convolution, group normalisation, a leaky ReLU."""

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        channels = convolution.out_channels
        self.convolution, self.norm = convolution, nn.GroupNorm(math.gcd(8, channels), channels)

    def forward(self, image: Tensor) -> Tensor:
        """The feature map."""
        return F.leaky_relu(self.norm(self.convolution(image)), 0.2)

    def counterparts(self, block: Any) -> Counterparts:
        """Parameters, and those of avfkit's block."""
        return [*convolution(self.convolution, block.convolution), *linear(self.norm, block.norm)]


def convolution(theirs: nn.Module, ours: Any) -> Counterparts:
    """Weights and bias; avfkit's transposed convolution has the taps in reverse."""
    weight = np.array(ours.weight)
    if isinstance(theirs, nn.ConvTranspose2d):
        weight = weight.swapaxes(0, 1)[:, :, ::-1, ::-1].copy()
    return [(theirs.weight, weight), (theirs.bias, np.array(ours.bias).ravel())]


def stage(*channels: int) -> nn.Sequential:
    """Convolutions of 3 x 3 pixels, one after the other."""
    pairs = zip(channels[:-1], channels[1:], strict=True)
    return nn.Sequential(*(Block(nn.Conv2d(a, b, 3, padding=1)) for a, b in pairs))


class Encoder(nn.Module):
    """From a frame of 64 x 64 pixels to a code."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            [stage(1, 64, 64), stage(64, 128, 128)]
            + [stage(128, 256, 256, 256), stage(256, 512, 512, 512)]
        )
        self.last, self.norm = nn.Conv2d(512, code, 4), nn.GroupNorm(1, code)

    def forward(self, image: Tensor) -> Tensor:
        """The code, in [-1, 1]."""
        for each in self.stages:
            image = F.max_pool2d(each(image), 2)
        return self.norm(self.last(image)).flatten(1).tanh()

    def counterparts(self, encoder: Any) -> Counterparts:
        """Parameters, and those of avfkit's encoder."""
        both = of_stages(self.stages, encoder.stages)
        both += convolution(self.last, encoder.last.convolution)
        return both + linear(self.norm, encoder.last.norm)


class Decoder(nn.Module):
    """From a code to two channels of 64 x 64 pixels."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.first = Block(nn.ConvTranspose2d(code, 512, 4))
        self.stages = nn.ModuleList(
            [stage(512, 512, 512, 256), stage(256, 256, 256, 128)]
            + [stage(128, 128, 64), stage(64, 64)]
        )
        self.last = nn.ConvTranspose2d(64, 2, 3, padding=1)

    def forward(self, code: Tensor) -> Tensor:
        """The channels."""
        image = self.first(code[..., None, None])
        for each in self.stages:
            image = each(F.interpolate(image, scale_factor=2))
        return self.last(image)

    def counterparts(self, decoder: Any) -> Counterparts:
        """Parameters, and those of avfkit's decoder."""
        both = self.first.counterparts(decoder.first) + of_stages(self.stages, decoder.stages)
        return both + convolution(self.last, decoder.last)


def of_stages(theirs: nn.ModuleList, ours: Any) -> Counterparts:
    """Parameters of all blocks, and avfkit's."""
    both: Counterparts = []
    for blocks in zip(theirs, ours, strict=True):
        for block, our in zip(*blocks, strict=True):
            both += block.counterparts(our)
    return both


class SVG(nn.Module):
    """The state is enc(x_{t-1}), and (h, c) of the prior and of the predictor's two layers."""

    def __init__(self, latent: int = 512, code: int = 128, hidden: int = 256) -> None:
        super().__init__()
        self.encoder, self.decoder, self.code = Encoder(code), Decoder(code), code
        self.prior_memory = Memory(code, hidden)
        self.prior_head = nn.Linear(hidden, 2 * latent)
        sizes = (latent + code, hidden)
        self.predictor = nn.ModuleList([Memory(size, hidden) for size in sizes])
        self.code_head = nn.Linear(hidden, code)

    def start(self, batch: int) -> State:
        """The learned memories, and zero for the code of the frame before the first."""
        memories = (self.prior_memory, *self.predictor)
        states = [part for memory in memories for part in memory.start(batch)]
        return torch.zeros(batch, self.code), *states

    def prior(self, state: State) -> Gaussian:
        """p(z_t | x_<t)."""
        return gaussian(self.prior_head(state[1]))

    def read(self, state: State, z: Tensor) -> State:
        """The predictor's next memory."""
        first = self.predictor[0](torch.cat([z, state[0]], -1), state[3:5])
        return *first, *self.predictor[1](first[0], state[5:])

    def nats(self, state: State, read: State, x: Tensor) -> Tensor:
        """-log p(x_t | x_<t, z_<=t) of each sequence."""
        mean, log_var = self.decoder(self.code_head(read[2]).tanh()).flatten(2).unbind(1)
        return bin_nats(x, mean.sigmoid(), log_var.clamp(min=-10.0), window=1.0 / 256.0)

    def next(self, state: State, read: State, x: Tensor) -> State:
        """The prior's memory reads enc(x_t)."""
        code = self.encoder(x.reshape(-1, 1, 64, 64) - 0.5)
        return code, *self.prior_memory(code, state[1:3]), *read

    def counterparts(self, model: Any) -> Counterparts:
        """Parameters, and avfkit's."""
        both = self.encoder.counterparts(model.encoder) + self.decoder.counterparts(model.decoder)
        both += linear(self.prior_head, model.prior_head.linear)
        both += linear(self.code_head, model.code_head)
        memories = (*model.prior_memory.layers, *model.predictor.layers)
        for their, our in zip((self.prior_memory, *self.predictor), memories, strict=True):
            both += their.counterparts(our)
        return both
