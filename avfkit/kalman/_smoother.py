"""The smoothing posterior, written forward: a chain of conditionals.

Messages from the future gather what it says of each latent; the posterior is then again a
linear-Gaussian chain, q(z_t | z_{t-1}) = N(A_t z_{t-1} + b_t, Q_t). Marginals and exact joint
samples are one forward pass along it. This is the form in which the structured posterior meets the
autoregressive ones.

Reference: Rauch, Tung and Striebel (1965) for the smoother; Zhao and Linderman (2023), section 3,
for the posterior as a chain; Särkkä and García-Fernández (2021) for the parallel scan.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._backward import joined, walked_backwards, whole
from ._chain import Conditionals, Markov, Potentials, unrolled
from ._condition import conditioned
from ._element import combine, element
from ._filter import filter
from ._marginals import marginals
from ._method import Method, associative_scan, is_parallel
from ._recursion import shifted


class Smoothed(NamedTuple):
    """Moments of p(z_t | x_1..T), Cov(z_{t+1}, z_t | x_1..T), and log p(x_1..T) in nats."""

    mean: Float[Array, "time latent"]
    cov: Float[Array, "time latent latent"]
    cross_cov: Float[Array, "steps latent latent"]
    log_likelihood: Float[Array, ""]


def smoother(chain: Markov, potentials: Potentials, *, method: Method = "auto") -> Smoothed:
    """The exact smoothing posteriors: marginals and cross-covariances along the conditionals.

    Arguments and errors are those of `filter`, and so is the precision of the log-likelihood; under
    `jax.jit` it costs nothing where it is not used.
    """
    posterior = conditionals(chain, potentials, method=method)
    log_likelihood = log_normaliser(chain, potentials, method=method)
    return Smoothed(*marginals(posterior, method=method), log_likelihood)


def log_normaliser(
    chain: Markov, potentials: Potentials, *, method: Method = "auto"
) -> Float[Array, ""]:
    """The logarithm of E[prod_t psi_t(z_t)] under the chain, in nats; log p(x_1..T) for densities.

    Arguments and errors are those of `filter`.
    """
    length, size = potentials.linear.shape
    if is_parallel(method, length=length, size=size):
        return jnp.sum(filter(chain, potentials, method=method).log_likelihood)
    return _log_normaliser(unrolled(chain, length), potentials)


@jax.custom_jvp
def _log_normaliser(steps: Conditionals, potentials: Potentials) -> Float[Array, ""]:
    return jnp.sum(filter(steps, potentials, method="sequential").log_likelihood)


@_log_normaliser.defjvp
def _log_normaliser_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """Expectations under the posterior.

    With [J' | -h'] what a latent hears, [A' | b'] its conditional and w = h' - J'(A'z + b'),

    dlog Z = E[w] . db + E[w z'] . dA + (E[w w'] - N) . dQ / 2 of each step, N = J' - J'Q'J',
    + E[z] . dh - E[z z'] . dJ / 2 + dc of each potential.
    """
    (steps, potentials), (dsteps, dpotentials) = primals, tangents
    path, heard = walked_backwards(steps, potentials)
    mean, cov, _ = marginals(path, method="sequential")
    second = cov + mean[:, :, None] * mean[:, None, :]
    past = jnp.concatenate([shifted(mean), jnp.ones_like(mean[:, :1])], axis=1)
    past = jnp.concatenate([shifted(joined(second, mean)), past[:, None]], axis=1)
    pull = heard @ whole(joined(path.dynamics, path.bias))  # -w is this times [z, 1] of t - 1
    expected = pull @ past
    precision = heard[..., :-1]
    curvature = expected @ jnp.matrix_transpose(pull) - precision
    curvature = curvature + precision @ path.noise_cov @ precision
    terms = (
        -jnp.sum(expected * joined(dsteps.dynamics, dsteps.bias)),
        0.5 * jnp.sum(curvature * dsteps.noise_cov),
        jnp.sum(mean * dpotentials.linear),
        -0.5 * jnp.sum(second * dpotentials.precision),
        jnp.sum(dpotentials.log_scale),
    )
    return _log_normaliser(steps, potentials), jnp.sum(jnp.stack(terms))


def conditionals(chain: Markov, potentials: Potentials, *, method: Method = "auto") -> Conditionals:
    """The exact posterior of a chain as forward conditionals.

    With (Lambda, eta) the message from the future and J' = J_t + Lambda, h' = h_t + eta,

        Q_t = (I + Q J')^-1 Q,   A_t = (I + Q J')^-1 A,   b_t = (I + Q J')^-1 (b + Q h').

    In float32 the means lose digits where potentials are thousands of times as sharp as the prior
    and the latent is far from zero, since h - J b cancels; centre the latent, or enable x64.

    Arguments and errors are those of `filter`.
    """
    length, size = potentials.linear.shape
    steps = unrolled(chain, length)
    if is_parallel(method, length=length, size=size):
        found = associative_scan(combine, jax.vmap(element)(steps, potentials), reverse=True)
        precision = jnp.concatenate([found.precision[1:], jnp.zeros_like(found.precision[:1])])
        linear = jnp.concatenate([found.linear[1:], jnp.zeros_like(found.linear[:1])])
        heard = potentials.precision + precision, potentials.linear + linear
        return jax.vmap(conditioned)(steps, *heard)[0]

    return walked_backwards(steps, potentials)[0]
