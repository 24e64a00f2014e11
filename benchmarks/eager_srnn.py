"""SRNN with AVF in PyTorch, eager, in the order of work of the AVF authors' training loop.

Written from a description of the algorithm, not from their code. Order, for one batch of sequences:
at every step the prior of the detached past gives the first estimate of q; the free energy there is
differentiated in the estimate; K times the network updates the estimate, and the new free energy is
differentiated in the estimate and in the network's weights at once, which accumulate; then z is
drawn anew and detached, prior and likelihood are run again with the past attached, and the LSTM
moves on. After the last step the sum is differentiated in the model's weights and both optimizers
step once.

The lean variant: each backward pass asks only for gradients that somebody uses. Where avfkit and
the authors differ in arithmetic, this follows avfkit: every sequence has its own gradient (not that
of the batch mean), every step is scored, the KL term has no epsilon.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Gaussian = tuple[Tensor, Tensor]


def clipped_leaky_relu(x: Tensor) -> Tensor:
    """Slope 1/3 below zero, then clamped to [-3, 3]."""
    return F.leaky_relu(x, 1.0 / 3.0).clamp(-3.0, 3.0)


def standardise(x: Tensor) -> Tensor:
    """Zero mean and unit (unbiased) standard deviation over the last axis."""
    return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-7)


class Net(nn.Module):
    """Hidden layers with the clipped leaky ReLU, then a linear head."""

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        pairs = zip(sizes[:-1], sizes[1:], strict=True)
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in pairs])

    def forward(self, x: Tensor) -> Tensor:
        """What the head says."""
        for layer in self.layers[:-1]:
            x = clipped_leaky_relu(layer(x))
        return self.layers[-1](x)


class Model(nn.Module):
    """SRNN: an LSTM over x, and a chain of latents on top of it."""

    def __init__(self, obs: int, latent: int, hidden: int, width: int) -> None:
        super().__init__()
        self.prior_net = Net(hidden + latent, width, 2 * latent)
        self.likelihood_net = Net(hidden + latent, width, width, obs)
        self.cell = nn.LSTMCell(obs, hidden)
        self.h, self.c = (nn.Parameter(torch.zeros(hidden)) for _ in range(2))

    def prior(self, h: Tensor, z: Tensor) -> Gaussian:
        """p(z_t | h_t, z_{t-1})."""
        mean, log_var = self.prior_net(torch.cat([h, z], -1)).chunk(2, -1)
        return mean, log_var.clamp(-15.0, 5.0)

    def nats(self, h: Tensor, z: Tensor, x: Tensor) -> Tensor:
        """-log p(x_t | h_t, z_t) of each sequence."""
        logits = self.likelihood_net(torch.cat([h, z], -1))
        return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


class Update(nn.Module):
    """The iterative inference model: four normalised terms, two highway layers, a learned step."""

    def __init__(self, latent: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(4 * latent, 3 * width)
        self.second = nn.Linear(width, 2 * width)
        self.heads = nn.Linear(width, 4 * latent)

    def forward(self, q: Gaussian, gradient: Gaussian) -> Gaussian:
        """The next estimate."""
        terms = torch.cat([standardise(term) for term in (*gradient, *q)], -1)
        gate, new, carried = self.first(terms).chunk(3, -1)
        hidden = torch.lerp(F.elu(new), carried, gate.sigmoid())
        gate, new = self.second(hidden).chunk(2, -1)
        hidden = torch.lerp(F.elu(new), hidden, gate.sigmoid())
        to_mean, to_log_var, step_mean, step_log_var = self.heads(hidden).chunk(4, -1)
        mean = q[0] - step_mean.sigmoid() * gradient[0] + to_mean
        log_var = q[1] - step_log_var.sigmoid() * gradient[1] + to_log_var
        return standardise(mean), log_var.clamp(-15.0, 5.0)


def draw(q: Gaussian, noise: Tensor) -> Tensor:
    """A reparameterised draw."""
    return q[0] + (0.5 * q[1]).exp() * noise


def kl(q: Gaussian, p: Gaussian) -> Tensor:
    """KL(q || p) of each sequence."""
    log_ratio = q[1] - p[1]
    scaled = (q[0] - p[0]).square() * (-p[1]).exp()
    return 0.5 * (log_ratio.expm1() - log_ratio + scaled).sum(-1)


class Trainer:
    """Model, update network and their two optimizers."""

    def __init__(self, model: Model, update: Update, num_iterations: int) -> None:
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
        h, c = (start.expand(batch, -1) for start in (self.model.h, self.model.c))
        z, total = torch.zeros_like(noise[0, 0]), torch.zeros(())
        for t in range(steps):
            q = self.infer(xs[t], h.detach(), z, noise[t])
            p, z = self.model.prior(h, z), draw(q, noise[t, -1])
            total = total + (self.model.nats(h, z, xs[t]) + kl(q, p)).sum()
            if t + 1 < steps:
                h, c = self.model.cell(xs[t], (h, c))
        total.div(steps * batch).backward(inputs=self.theta)
        scale = 1.0 / (self.num_iterations * steps * batch)
        for parameter in self.phi:
            parameter.grad *= scale
        return total.detach() / (steps * batch)

    def infer(self, x: Tensor, h: Tensor, z: Tensor, noise: Tensor) -> Gaussian:
        """The E-step at one time step; its weight gradients accumulate."""
        with torch.no_grad():
            p = self.model.prior(h, z)
        q = (p[0].clone().requires_grad_(), p[1].clone().requires_grad_())
        gradient = torch.autograd.grad(self.energy(q, p, x, h, noise[0]), q)
        for iteration in range(self.num_iterations):
            q = self.update((q[0].detach(), q[1].detach()), gradient)
            wanted = [*q, *self.phi]
            for parameter in q:
                parameter.retain_grad()
            self.energy(q, p, x, h, noise[iteration + 1]).backward(inputs=wanted)
            gradient = (q[0].grad, q[1].grad)
        return q[0].detach(), q[1].detach()

    def energy(self, q: Gaussian, p: Gaussian, x: Tensor, h: Tensor, noise: Tensor) -> Tensor:
        """The step free energy, summed over the batch."""
        return (self.model.nats(h, draw(q, noise), x) + kl(q, p)).sum()

    def step(self, xs: Tensor, noise: Tensor) -> None:
        """One training step: gradients, then both optimizers."""
        self.gradients(xs, noise)
        for optimizer in self.optimizers:
            optimizer.step()
