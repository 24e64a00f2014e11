"""The smoothing posterior, written forward: a chain of conditionals.

One backward pass gathers what the future says of each latent; the posterior is then again a
linear-Gaussian chain, q(z_t | z_{t-1}) = N(A_t z_{t-1} + b_t, Q_t). Marginals and exact joint
samples are one forward pass along it. This is the form in which the structured posterior meets the
autoregressive ones.

Reference: Rauch, Tung and Striebel (1965) for the smoother; Zhao and Linderman (2023), section 3,
for the posterior as a chain.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from .._linalg import cholesky
from ._chain import Chain, Potentials
from ._filter import filter, symmetric


class Conditionals(NamedTuple):
    """q(z_t | z_{t-1}) = N(A_t z_{t-1} + b_t, Q_t); the first step has A_1 = 0."""

    dynamics: Float[Array, "time latent latent"]
    bias: Float[Array, "time latent"]
    noise_cov: Float[Array, "time latent latent"]


class Smoothed(NamedTuple):
    """Moments of p(z_t | x_1..T), Cov(z_{t+1}, z_t | x_1..T), and log p(x_1..T) in nats."""

    mean: Float[Array, "time latent"]
    cov: Float[Array, "time latent latent"]
    cross_cov: Float[Array, "steps latent latent"]
    log_likelihood: Float[Array, ""]


def conditionals(chain: Chain, potentials: Potentials) -> Conditionals:
    """The exact posterior of a chain as forward conditionals, by one backward pass.

    With (Lambda, eta) the message from the future and J' = J_t + Lambda, h' = h_t + eta,

        Q_t = (I + Q J')^-1 Q,   A_t = (I + Q J')^-1 A,   b_t = (I + Q J')^-1 (b + Q h').
    """
    dynamics, bias, noise = chain.dynamics, chain.bias, chain.noise_cov
    eye = jnp.eye(bias.shape[-1], dtype=bias.dtype)

    def step(message: tuple, potential: Potentials) -> tuple[tuple, Conditionals]:
        precision = potential.precision + message[0]
        linear = potential.linear + message[1]
        factor = eye + noise @ precision
        columns = jnp.concatenate([dynamics, (bias + noise @ linear)[:, None], noise], axis=1)
        solved = jnp.linalg.solve(factor, columns)
        size = bias.shape[-1]
        now = Conditionals(solved[:, :size], solved[:, size], symmetric(solved[:, size + 1 :]))
        backward = (
            symmetric(dynamics.T @ precision @ now.dynamics),
            dynamics.T @ (linear - precision @ now.bias),
        )
        return (backward, (precision, linear)), now

    def carried(loop: tuple, potential: Potentials) -> tuple[tuple, Conditionals]:
        return step(loop[0], potential)

    zero = (jnp.zeros_like(noise), jnp.zeros_like(bias))
    (_, (precision, linear)), later = jax.lax.scan(carried, (zero, zero), potentials, reverse=True)
    factor = eye + chain.initial_cov @ precision
    start = chain.initial_mean + chain.initial_cov @ linear
    solved = jnp.linalg.solve(factor, jnp.column_stack([start, chain.initial_cov]))
    return Conditionals(
        later.dynamics.at[0].set(0.0),
        later.bias.at[0].set(solved[:, 0]),
        later.noise_cov.at[0].set(symmetric(solved[:, 1:])),
    )


def smoother(chain: Chain, potentials: Potentials) -> Smoothed:
    """The exact smoothing posteriors: marginals and cross-covariances along the conditionals."""
    posterior = conditionals(chain, potentials)

    def step(moments: tuple, now: Conditionals) -> tuple[tuple, tuple]:
        mean, cov = moments
        cross = now.dynamics @ cov
        mean = now.dynamics @ mean + now.bias
        cov = symmetric(cross @ now.dynamics.T + now.noise_cov)
        return (mean, cov), (mean, cov, cross)

    start = (jnp.zeros_like(chain.initial_mean), jnp.zeros_like(chain.initial_cov))
    mean, cov, cross = jax.lax.scan(step, start, posterior)[1]
    return Smoothed(mean, cov, cross[1:], jnp.sum(filter(chain, potentials).log_likelihood))


def sample(posterior: Conditionals, *, key: Key[Array, ""]) -> Float[Array, "time latent"]:
    """One exact joint draw of z_1..T, reparameterised."""
    scale = jax.vmap(cholesky)(posterior.noise_cov)
    noise = jr.normal(key, posterior.bias.shape, posterior.bias.dtype)
    shift = posterior.bias + jnp.einsum("tij,tj->ti", scale, noise)

    def step(z: Float[Array, " latent"], inputs: tuple) -> tuple[Array, Array]:
        following = inputs[0] @ z + inputs[1]
        return following, following

    return jax.lax.scan(step, jnp.zeros_like(shift[0]), (posterior.dynamics, shift))[1]
