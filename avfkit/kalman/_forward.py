"""Beliefs from the past, step by step: the loop behind `filter`, and its derivative.

A belief is held as [P | m], a potential as [J | -h] and a step of the chain as [A | b], each with
its last column for the affine part, as in `_backward`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._lanes import factors, lanes_last, product, transpose
from .._precision import full_precision
from ._backward import Augmented, followed, joined
from ._chain import Conditionals, Potentials
from ._condition import symmetric
from ._recursion import accumulated, shifted, whole


class Beliefs(NamedTuple):
    """[P | m] before and after each potential, and the logarithm of its normaliser in nats."""

    predicted: Augmented
    updated: Augmented
    log_normaliser: Float[Array, " time"]


@full_precision
def believed_forwards(steps: Conditionals, potentials: Potentials) -> Beliefs:
    """The filtering beliefs, by one loop from the first step to the last."""
    said = joined(potentials.precision, -potentials.linear)
    return _beliefs(joined(steps.dynamics, steps.bias), symmetric(steps.noise_cov), said)


@jax.custom_jvp
def _beliefs(
    prior: Augmented, noise_cov: Float[Array, "time latent latent"], said: Augmented
) -> Beliefs:
    predicted, updated, inverse = _looped(prior, noise_cov, said)
    precision, linear, mean = said[..., :-1], -said[..., -1], predicted[..., -1]
    seen = jnp.squeeze(precision @ mean[..., None], -1)
    half = jnp.squeeze(updated[..., :-1] @ (linear - seen)[..., None], -1)
    squares = jnp.sum((linear - seen) * half + (2.0 * linear - seen) * mean, axis=1)
    return Beliefs(predicted, updated, 0.5 * squares + jnp.sum(jnp.log(inverse), axis=1))


@lanes_last
def _looped(prior: Array, noise_cov: Array, said: Array) -> tuple[Array, Array, Array]:
    size, lanes = prior.shape[1], max(a.shape[-1] for a in (prior, noise_cov, said))
    eye = jnp.eye(size, dtype=prior.dtype)[..., None]

    def step(belief: Array, inputs: tuple) -> tuple[Array, tuple]:
        move, noise, hint = inputs
        dynamics, bias, precision = move[:, :-1], move[:, -1:], hint[:, :-1]
        moved = product(dynamics, belief)
        cov = product(moved[:, :-1], transpose(dynamics)) + noise
        cov, mean = 0.5 * (cov + transpose(cov)), moved[:, -1:] + bias
        scale = factors(cov, least=0.0)[0]
        inner = eye + product(product(transpose(scale), precision), scale)
        inverse = factors(inner, least=1.0)[1]
        half = product(scale, transpose(inverse))
        updated = product(half, transpose(half))
        after = mean - product(updated, product(precision, mean) + hint[:, -1:])
        belief = jnp.concatenate([updated, after], axis=1)
        diagonal = jnp.stack([inverse[i, i] for i in range(size)])
        return belief, (jnp.concatenate([cov, mean], axis=1), belief, diagonal)

    start = jnp.zeros((size, size + 1, lanes), prior.dtype)
    return jax.lax.scan(step, start, (prior, noise_cov, said))[1]


@_beliefs.defjvp
@full_precision
def _beliefs_jvp(primals: tuple, tangents: tuple) -> tuple[Beliefs, Beliefs]:
    """Linear in the tangents, and one recursion.

    d[P | m] = A d[P' | m']_{t-1} [[A', 0], [0, 1]] + E,
    E = [dA P' A' + A P' dA' + dQ | dA m' + db], of P' and m' at t - 1,
    d[P' | m'] = M d[P | m] [[M', u], [0, 1]] - P' d[J | -h] [[P', m'], [0, 1]],
    dl = u'dm + (uu' - J M) . dP / 2 + m''dh - (P' + m'm'') . dJ / 2.
    """
    beliefs = _beliefs(*primals)
    (prior, _, said), (dprior, dnoise, dsaid) = primals, tangents
    predicted, updated, _ = beliefs
    dynamics, precision, cov = prior[..., :-1], said[..., :-1], updated[..., :-1]
    shrink = jnp.eye(cov.shape[1], dtype=cov.dtype) - cov @ precision
    slope = -followed(said, updated)[..., -1]
    turn = joined(jnp.matrix_transpose(shrink), slope)
    before = shifted(updated)
    change = dprior[..., :-1] @ before
    spread = change[..., :-1] @ jnp.matrix_transpose(dynamics)
    change = joined(2.0 * symmetric(spread) + dnoise, change[..., -1] + dprior[..., -1])
    carried = joined(jnp.matrix_transpose(dynamics), jnp.zeros_like(slope))
    told = followed(dsaid, updated)
    terms = shrink @ followed(change, turn) - cov @ told
    weights = shrink @ dynamics, jnp.matrix_transpose(whole(followed(carried, turn)))
    dupdated = accumulated(weights, terms)
    dpredicted = dynamics @ followed(shifted(dupdated), carried) + change
    curvature = slope[..., None] * slope[:, None, :] - precision @ shrink
    dlog = jnp.sum(slope * dpredicted[..., -1], axis=1)
    dlog = dlog + 0.5 * jnp.sum(curvature * dpredicted[..., :-1], axis=(1, 2))
    mean = updated[..., -1]
    dlog = dlog - 0.5 * jnp.sum((told[..., -1] - dsaid[..., -1]) * mean, axis=1)
    dlog = dlog - jnp.sum(dsaid[..., -1] * mean, axis=1)
    dlog = dlog - 0.5 * jnp.sum(dsaid[..., :-1] * cov, axis=(1, 2))
    return beliefs, Beliefs(dpredicted, dupdated, dlog)
