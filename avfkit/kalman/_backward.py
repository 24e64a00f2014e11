"""Messages from the future, step by step: the loop behind `conditionals`, and its derivative.

A message and a potential are of one kind, exp(-z'J z / 2 + h'z), held as H = [J | -h]; a step of a
chain is held as [A | b]. With a last entry of 1 in every latent, [[A, b], [0, 1]] moves it.

The noise of a step is L e with Q = L L' and e standard normal, and the loop infers e. With
A = L K + P, where P is zero unless Q is singular, the posterior of e has the precision
S = I + L'J L, none of whose eigenvalues is below 1, and

    A' = L X + P,   X = S^-1 (K - L'J P),   Q' = L S^-1 L',   Lambda = A''J A' + (K - X)'(K - X),

in each of which nothing cancels, however sharp J is or small Q; Lambda is the minimum over X of its
right side, so an error of X enters squared. b takes part as one more column of A.

The normaliser of the whole chain is p(z) psi(z) / q(z) at any path z. It is taken at the mean of q,
where no large terms cancel.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._lanes import factors, lanes_last, product, transpose
from .._linalg import cholesky, copied, follow, led
from .._precision import full_precision
from ._chain import Conditionals, Markov, Potentials, unrolled
from ._condition import symmetric
from ._recursion import accumulated, shifted

Augmented = Float[Array, "time latent latent+1"]
"""A matrix of each step, and beside it a vector."""


class Walk(NamedTuple):
    """The posterior [A | b] and Q of each step, the H its latent hears, and the log-normaliser."""

    path: Augmented
    noise_cov: Float[Array, "time latent latent"]
    heard: Augmented
    log_normaliser: Float[Array, ""]


@full_precision
def walked_backwards(
    chain: Markov, potentials: Potentials
) -> tuple[Conditionals, Float[Array, ""]]:
    """The posterior conditionals and the log-normaliser, by one loop from the last step."""
    said = joined(potentials.precision, -potentials.linear)
    steps = unrolled(chain, len(said) if isinstance(chain, Conditionals) else 2)
    prior, noise_cov = joined(steps.dynamics, steps.bias), symmetric(steps.noise_cov)
    walk = _walk(prior, noise_cov, said, potentials.log_scale)
    path = Conditionals(walk.path[..., :-1], walk.path[..., -1], walk.noise_cov)
    return path, walk.log_normaliser


def joined(
    matrix: Float[Array, "time latent latent"], vector: Float[Array, "time latent"]
) -> Augmented:
    """A matrix and a vector side by side."""
    return jnp.concatenate([matrix, vector[..., None]], axis=2)


def followed(left: Augmented, right: Augmented) -> Augmented:
    """[M | v] times [[A, b], [0, 1]]: one affine map after another."""
    size = left.shape[1]
    return left[..., :-1] @ right + jnp.pad(left[..., -1:], ((0, 0), (0, 0), (size, 0)))


def _at_every_step(steps: Float[Array, "steps ..."], length: int) -> Float[Array, "time ..."]:
    """Of every step, from that of every step or from those of the first and of all others."""
    if len(steps) == length:
        return steps
    return jnp.concatenate([steps[:1], jnp.broadcast_to(steps[1], (length - 1, *steps.shape[1:]))])


def _spread_out(steps: Float[Array, "steps ..."], length: int) -> Float[Array, "time ..."]:
    """`_at_every_step` of tangents, up to rounding, so that the gradient is one sum over time."""
    if len(steps) == length:
        return steps
    first, rest = steps[:1], steps[1:]
    return rest + jnp.pad(first - rest, ((0, length - 1), (0, 0), (0, 0)))


@jax.custom_jvp
def _walk(
    prior: Float[Array, "steps latent latent+1"],
    noise_cov: Float[Array, "steps latent latent"],
    said: Augmented,
    log_scale: Float[Array, " time"],
) -> Walk:
    """Of a chain that is the same at every step, the first two are given."""
    root = jax.vmap(lambda cov: cholesky(cov, least=0.0))(noise_cov)
    reached, rest = jax.vmap(_split)(root, prior[..., :-1])
    bias = prior[..., -1]
    told = root, joined(reached, jnp.zeros_like(bias)), joined(rest, bias), prior
    *told, prior = (_at_every_step(part, len(said)) for part in told)
    path, cov, heard, inverse = _looped(*told, said)
    terms = _log_ratio(prior, said, path, heard) + jnp.sum(jnp.log(inverse), axis=1)
    return Walk(path, cov, heard, jnp.sum(terms + log_scale))  # large ones cancel in each step


def _log_ratio(
    prior: Augmented, said: Augmented, path: Augmented, heard: Augmented
) -> Float[Array, " time"]:
    """Of each step, the logarithm of p(m) psi(m) / q(m) but for determinants; m is the mean of q.

    Given m_{t-1}, the noise that leads to m_t is Q w with w = h - J m_t of what is heard, and the
    exponents of both densities differ by -w'Q w / 2.
    """
    mean = accumulated((path, None), path[..., -1:])
    before = prior[..., :-1] @ shifted(mean) + prior[..., -1:]
    pull = heard[..., :-1] @ mean + heard[..., -1:]
    said_there = mean * (said[..., :-1] @ mean + 2.0 * said[..., -1:])
    return 0.5 * jnp.sum(pull * (mean - before) - said_there, axis=(1, 2))


@lanes_last
def _split(scale: Array, matrix: Array) -> tuple[Array, Array]:
    """K and P with L K + P = A: forward substitution that leaves to P what no noise reaches."""
    reached: list[Array] = []
    rest: list[Array] = []
    for i in range(len(scale)):
        row = matrix[i]
        for k, found in enumerate(reached):
            row = row - scale[i, k] * found
        noisy = scale[i, i] > 0.0
        reached.append(jnp.where(noisy, row / jnp.where(noisy, scale[i, i], 1.0), 0.0))
        rest.append(jnp.where(noisy, 0.0, row))
    return jnp.stack(reached), jnp.stack(rest)


@lanes_last
def _looped(root: Array, reached: Array, rest: Array, said: Array) -> tuple[Array, ...]:
    size, lanes = root.shape[1], max(a.shape[-1] for a in (root, reached, rest, said))
    eye = jnp.eye(size, dtype=root.dtype)[..., None]
    one = jnp.eye(size + 1, dtype=root.dtype)[-1:, :, None]

    def step(message: Array, inputs: tuple) -> tuple[Array, tuple]:
        scale, reach, left, hint = inputs
        heard = hint + message
        seen = product(transpose(scale), heard)
        inverse = factors(eye + product(seen[:, :-1], scale), least=1.0)[1]
        wanted = reach - product(seen[:, :-1], left) - one * seen[:, -1:]
        drawn = product(transpose(inverse), product(inverse, wanted))
        path = left + product(scale, drawn)
        slope = product(heard[:, :-1], path) + one * heard[:, -1:]
        missed = reach - drawn
        message = product(transpose(path[:, :-1]), slope)
        message = message + product(transpose(missed[:, :-1]), missed)
        half = product(scale, transpose(inverse))
        diagonal = jnp.stack([inverse[i, i] for i in range(size)])
        return message, (path, product(half, transpose(half)), heard, diagonal)

    silence = jnp.zeros((size, size + 1, lanes), root.dtype)
    return jax.lax.scan(step, silence, (root, reached, rest, said), reverse=True)[1]


@_walk.defjvp
@full_precision
def _walk_jvp(primals: tuple, tangents: tuple) -> tuple[Walk, Walk]:
    """Linear in the tangents, and a recursion in the very weights A' of the posterior.

    With M = I - Q'J, V = J A' and W = [V | J b' - h] (primes as above, d for tangents),

        dH_t = dH of the potential + E_{t+1} + A'_{t+1}' dH_{t+1} [[A', b'], [0, 1]]_{t+1},
        E = V'(d[A | b] - dQ W) + dA'W,
        d[A' | b'] = M (d[A | b] - dQ W) - Q' dH [[A', b'], [0, 1]],
        dQ' = M dQ M' - Q' dJ Q',

    and of the log-normaliser, a sum over time of those of N(b, Q) times what is heard,

        u'db + (uu' - J M) . dQ / 2 + b''dh - (b'b'' + Q') . dJ / 2,   u = h - J b'.
    """
    walk = _walk(*primals)
    dprior, dnoise, dsaid, dlog_scale = tangents
    path, cov, heard, _ = walk
    dprior, dnoise = (_spread_out(copied(part, cov), len(cov)) for part in (dprior, dnoise))
    slope = followed(heard, path)
    shrink = jnp.eye(cov.shape[1], dtype=cov.dtype) - cov @ heard[..., :-1]
    change = dprior - follow(dnoise, jnp.matrix_transpose(slope))
    told = led(jnp.matrix_transpose(slope[..., :-1]), change)
    told = told + jnp.matrix_transpose(dprior[..., :-1]) @ slope
    dheard = accumulated((path, path), dsaid + shifted(told, reverse=True), reverse=True)
    moved = led(cov, dheard)
    dpath = led(shrink, change) - followed(moved, path)
    dcov = follow(led(shrink, dnoise), shrink) - follow(moved[..., :-1], cov)
    pull, bias = -slope[..., -1], path[..., -1]
    curvature = pull[..., None] * pull[:, None, :] - heard[..., :-1] @ shrink
    second = cov + bias[..., None] * bias[:, None, :]
    dlog = jnp.sum(dlog_scale) + jnp.sum(pull * dprior[..., -1] - bias * dheard[..., -1])
    dlog = dlog + 0.5 * jnp.sum(curvature * dnoise - second * dheard[..., :-1])
    return walk, Walk(dpath, dcov, dheard, dlog)
