"""AVF in PyTorch, in the order of work of the AVF authors' training loop.

Written from a description of the algorithm, not from their code. Order, for one batch of sequences:
at every step the prior of the detached past gives the first estimate of q; the free energy there is
differentiated in the estimate; K times the network updates the estimate, and the new free energy is
differentiated in the estimate and in the network's weights at once, which accumulate; then z is
drawn anew and detached, prior and likelihood are run again with the past attached, and the memory
moves on. After the last step the sum is differentiated in the model's weights and both optimizers
step once.

The lean variant: each backward pass asks only for gradients that somebody uses, and what a model
makes of a latent for its likelihood and for its memory is computed once. Where avfkit and the
authors differ in arithmetic, this follows avfkit: every sequence has its own gradient (not that of
the batch mean), every step is scored, the KL term has no epsilon, and the probability of a bin is
exact in both tails.

A model is an `nn.Module` with `start`, `prior`, `read`, `nats` and `next`: `torch_srnn.py`,
`torch_vrnn.py`, `torch_svg.py`. `counterparts` lists its parameters, each beside avfkit's.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

Gaussian = tuple[Tensor, Tensor]
State = tuple[Tensor, ...]
Counterparts = list[tuple[nn.Parameter, np.ndarray]]

NODES = [*zip(*np.polynomial.legendre.leggauss(10), strict=True)]


def standardise(x: Tensor) -> Tensor:
    """Zero mean and unit (unbiased) standard deviation over the last axis."""
    return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-7)


def gaussian(parameters: Tensor) -> Gaussian:
    """Mean and log-variance of a latent, side by side."""
    mean, log_var = parameters.chunk(2, -1)
    return mean, log_var.clamp(-15.0, 5.0)


def draw(q: Gaussian, noise: Tensor) -> Tensor:
    """A reparameterised draw."""
    return q[0] + (0.5 * q[1]).exp() * noise


def kl(q: Gaussian, p: Gaussian) -> Tensor:
    """KL(q || p) of each sequence."""
    log_ratio = q[1] - p[1]
    scaled = (q[0] - p[0]).square() * (-p[1]).exp()
    return 0.5 * (log_ratio.expm1() - log_ratio + scaled).sum(-1)


class LogBin(torch.autograd.Function):
    """Log of the standard normal probability of [centre - half, centre + half].

    Quadrature where the bin is narrow, Mills ratios in a tail, a difference of distribution
    functions elsewhere; the gradient is the densities at both ends over the probability.
    """

    @staticmethod
    def forward(ctx: Any, centre: Tensor, half: Tensor) -> Tensor:
        """The log-probability; its distance from the log-density at the nearer end is kept."""
        c = centre.abs()
        narrow = torch.maximum(half, c * half) <= 1.0
        tail = ~narrow & (c >= half)
        c1, h1 = torch.where(narrow, c, 0.0), torch.where(narrow, half, 0.5)
        c2, h2 = torch.where(tail, c, 4.0), torch.where(tail, half, 1.0)
        c3, h3 = torch.where(narrow | tail, 0.0, c), torch.where(narrow | tail, 2.0, half)
        mean = sum(0.5 * w * (-h1 * t * (c1 + 0.5 * h1 * t)).exp() for t, w in NODES)
        over_centre = (2.0 * h1 * mean).log()
        over_edge = (mills(c2 - h2) - (-2.0 * c2 * h2).exp() * mills(c2 + h2)).log()
        around = (torch.special.ndtr(c3 + h3) - torch.special.ndtr(c3 - h3)).log()
        wide = torch.where(tail, log_density(c2 - h2) + over_edge, around)
        wide_edge = torch.where(tail, over_edge, around - log_density(c3 - h3))
        edge = torch.where(narrow, over_centre - h1 * (c1 - 0.5 * h1), wide_edge)
        ctx.save_for_backward(centre, half, edge)
        return torch.where(narrow, log_density(c1) + over_centre, wide)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        """The farther density is exp(-2 c h) of the nearer."""
        centre, half, edge = ctx.saved_tensors
        nearer, exponent = gradients[0] * (-edge).exp(), -2.0 * centre.abs() * half
        return centre.sign() * nearer * exponent.expm1(), nearer * (1.0 + exponent.exp())


def log_density(u: Tensor) -> Tensor:
    """Of the standard normal."""
    return -0.5 * (u.square() + math.log(2.0 * math.pi))


def mills(a: Tensor) -> Tensor:
    """(1 - Phi(a)) / phi(a)."""
    return math.sqrt(0.5 * math.pi) * torch.special.erfcx(a * math.sqrt(0.5))


def bin_nats(x: Tensor, mean: Tensor, log_var: Tensor, window: float) -> Tensor:
    """-log of the Gaussian's probability of [x, x + window], summed over the last axis."""
    scale = (-0.5 * log_var).exp()
    return -LogBin.apply((x + 0.5 * window - mean) * scale, 0.5 * window * scale).sum(-1)


class Net(nn.Module):
    """Hidden layers with an activation, then a linear head, if there is one."""

    def __init__(self, *sizes: int, activation: Callable = F.relu, head: bool = True) -> None:
        super().__init__()
        pairs = zip(sizes[:-1], sizes[1:], strict=True)
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in pairs])
        self.activation, self.head = activation, head

    def forward(self, x: Tensor) -> Tensor:
        """What the last layer says."""
        for layer in self.layers[:-1] if self.head else self.layers:
            x = self.activation(layer(x))
        return self.layers[-1](x) if self.head else x

    def counterparts(self, layers: list) -> Counterparts:
        """Parameters, and those of avfkit's layers."""
        return [pair for pairs in zip(self.layers, layers, strict=True) for pair in linear(*pairs)]


def linear(theirs: nn.Module, ours: Any) -> Counterparts:
    """Weights and bias of one layer."""
    return [(theirs.weight, ours.weight), (theirs.bias, ours.bias)]


class Memory(nn.Module):
    """An LSTM cell with a learned start. PyTorch's cell has two biases; the second is zero."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(inputs, hidden)
        self.h, self.c = (nn.Parameter(torch.zeros(hidden)) for _ in range(2))
        nn.init.zeros_(self.cell.bias_hh)

    def start(self, batch: int) -> State:
        """The state before the first step."""
        h, c = (start.expand(batch, -1).contiguous() for start in (self.h, self.c))
        return h, c

    def forward(self, x: Tensor, state: State) -> State:
        """The next state."""
        return self.cell(x, state)

    def counterparts(self, memory: Any) -> Counterparts:
        """Parameters, and those of avfkit's memory."""
        cell, ours = self.cell, memory.cell
        both = [(cell.weight_ih, ours.weight_ih), (cell.weight_hh, ours.weight_hh)]
        both += [(cell.bias_ih, ours.bias)]
        return [*both, *zip((self.h, self.c), memory.initial, strict=True)]


class Update(nn.Module):
    """The iterative inference model: four normalised terms, highway layers, and a rule.

    The rule is a learned step that normalises the mean, or the paper's gate.
    """

    def __init__(self, latent: int, width: int, depth: int, *, learned_step: bool) -> None:
        super().__init__()
        self.first = nn.Linear(4 * latent, 3 * width)
        self.rest = nn.ModuleList([nn.Linear(width, 2 * width) for _ in range(depth - 1)])
        self.heads = nn.Linear(width, 4 * latent)
        self.learned_step = learned_step

    def forward(self, q: Gaussian, gradient: Gaussian) -> Gaussian:
        """The next estimate."""
        terms = torch.cat([standardise(term) for term in (*gradient, *q)], -1)
        gate, new, carried = self.first(terms).chunk(3, -1)
        hidden = torch.lerp(F.elu(new), carried, gate.sigmoid())
        for layer in self.rest:
            gate, new = layer(hidden).chunk(2, -1)
            hidden = torch.lerp(F.elu(new), hidden, gate.sigmoid())
        *offsets, mean_gate, log_var_gate = self.heads(hidden).chunk(4, -1)
        gates = mean_gate.sigmoid(), log_var_gate.sigmoid()
        if self.learned_step:
            rows = zip(q, gates, gradient, offsets, strict=True)
            mean, log_var = (old - gate * g + new for old, gate, g, new in rows)
            mean = standardise(mean)
        else:
            rows = zip(offsets, q, gates, strict=True)
            mean, log_var = (torch.lerp(new, old, gate) for new, old, gate in rows)
        return mean, log_var.clamp(-15.0, 5.0)

    def counterparts(self, update: Any) -> Counterparts:
        """Parameters, and those of avfkit's update network."""
        theirs = [self.first, *self.rest, self.heads]
        ours = [*(layer.branches for layer in update.trunk.layers), update.heads]
        return [pair for pairs in zip(theirs, ours, strict=True) for pair in linear(*pairs)]


class Trainer:
    """Model, update network and their two optimizers."""

    def __init__(self, model: nn.Module, update: Update, num_iterations: int) -> None:
        self.model, self.update, self.num_iterations = model, update, num_iterations
        self.theta, self.phi = list(model.parameters()), list(update.parameters())
        self.optimizers = [torch.optim.Adam(p, lr=1e-4) for p in (self.theta, self.phi)]

    def gradients(self, xs: Tensor, noise: Tensor) -> Tensor:
        """Leave the gradients of a batch in its parameters.

        Args:
            xs: observations, [time, batch, obs].
            noise: standard normal draws, [time, K + 2, batch, latent]; the last is that of z.

        Returns:
            The free energy in nats per step.
        """
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        steps, batch = xs.shape[:2]
        state, total = self.model.start(batch), torch.zeros(())
        for t in range(steps):
            q = self.infer(xs[t], tuple(part.detach() for part in state), noise[t])
            energy, read = self.score(q, draw(q, noise[t, -1]), xs[t], state)
            total = total + energy
            if t + 1 < steps:
                state = self.model.next(state, read, xs[t])
        total.div(steps * batch).backward(inputs=self.theta)
        scale = 1.0 / (self.num_iterations * steps * batch)
        for parameter in self.phi:
            parameter.grad *= scale
        return total.detach() / (steps * batch)

    def infer(self, x: Tensor, state: State, noise: Tensor) -> Gaussian:
        """The E-step at one time step; its weight gradients accumulate."""
        with fixed(self.theta):
            p = self.model.prior(state)
            q = (p[0].clone().requires_grad_(), p[1].clone().requires_grad_())
            gradient = torch.autograd.grad(self.energy(q, p, x, state, noise[0]), q)
            for iteration in range(self.num_iterations):
                q = self.update((q[0].detach(), q[1].detach()), gradient)
                for parameter in q:
                    parameter.retain_grad()
                energy = self.energy(q, p, x, state, noise[iteration + 1])
                energy.backward(inputs=[*q, *self.phi])
                gradient = (q[0].grad, q[1].grad)
        return q[0].detach(), q[1].detach()

    def energy(self, q: Gaussian, p: Gaussian, x: Tensor, state: State, noise: Tensor) -> Tensor:
        """The step free energy, summed over the batch."""
        read = self.model.read(state, draw(q, noise))
        return (self.model.nats(state, read, x) + kl(q, p)).sum()

    def score(self, q: Gaussian, z: Tensor, x: Tensor, state: State) -> tuple[Tensor, Any]:
        """The step free energy with the past attached, and what the model made of z."""
        read = self.model.read(state, z)
        return (self.model.nats(state, read, x) + kl(q, self.model.prior(state))).sum(), read

    def step(self, xs: Tensor, noise: Tensor) -> None:
        """One training step: gradients, then both optimizers."""
        self.gradients(xs, noise)
        for optimizer in self.optimizers:
            optimizer.step()

    def counterparts(self, tree: tuple) -> Counterparts:
        """Each parameter, and the array of avfkit's model or filter that it stands for."""
        return self.model.counterparts(tree[0]) + self.update.counterparts(tree[1].update)


@contextmanager
def fixed(parameters: list[nn.Parameter]) -> Iterator[None]:
    """Without gradients of these: a compiled function would compute them unasked."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    yield
    for parameter in parameters:
        parameter.requires_grad_(True)
