"""Messages from the future, step by step: the loop behind `conditionals`, and its derivative.

A message and a potential are of one kind, exp(-z'J z / 2 + h'z), held as H = [J | -h]; a step of a
chain is held as [A | b]. With a last entry of 1 in every latent, [[A, b], [0, 1]] moves it.

The noise of a step is L e with Q = L L' and e standard normal, and the loop infers e. With
A = L K + P, where P is zero unless Q is singular, the posterior of e has the precision
S = I + L'J L, none of whose eigenvalues is below 1, and

    A' = L X + P,   X = S^-1 (K - L'J P),   Q' = L S^-1 L',   Lambda = A''J A' + (K - X)'(K - X),

in each of which nothing cancels, however sharp J is or small Q; Lambda is the minimum over X of its
right side, so an error of X enters squared. b takes part as one more column of A.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._lanes import inverse_root, lanes_last, product, transpose
from .._linalg import cholesky
from ._chain import Conditionals, Potentials
from ._condition import symmetric
from ._recursion import accumulated, shifted

Augmented = Float[Array, "time latent latent+1"]
"""A matrix of each step, and beside it a vector."""


class Walk(NamedTuple):
    """The posterior [A | b] and Q of each step, and the H that its latent hears from now on."""

    path: Augmented
    noise_cov: Float[Array, "time latent latent"]
    heard: Augmented


def walked_backwards(steps: Conditionals, potentials: Potentials) -> tuple[Conditionals, Augmented]:
    """The posterior conditionals, by one loop from the last step, and what each latent hears."""
    said = joined(potentials.precision, -potentials.linear)
    walk = _walk(joined(steps.dynamics, steps.bias), symmetric(steps.noise_cov), said)
    path = Conditionals(walk.path[..., :-1], walk.path[..., -1], walk.noise_cov)
    return path, walk.heard


def joined(
    matrix: Float[Array, "time latent latent"], vector: Float[Array, "time latent"]
) -> Augmented:
    """A matrix and a vector side by side."""
    return jnp.concatenate([matrix, vector[..., None]], axis=2)


def whole(half: Augmented) -> Float[Array, "time latent+1 latent+1"]:
    """[[A, b], [0, 1]] from [A | b]."""
    length, _, size = half.shape
    last = jnp.broadcast_to(jnp.eye(size, dtype=half.dtype)[-1:], (length, 1, size))
    return jnp.concatenate([half, last], axis=1)


@jax.custom_jvp
def _walk(prior: Augmented, noise_cov: Float[Array, "time latent latent"], said: Augmented) -> Walk:
    root = jax.vmap(lambda cov: cholesky(cov, least=0.0))(noise_cov)
    reached, rest = jax.vmap(_split)(root, prior[..., :-1])
    bias = prior[..., -1]
    return Walk(*_looped(root, joined(reached, jnp.zeros_like(bias)), joined(rest, bias), said))


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
def _looped(root: Array, reached: Array, rest: Array, said: Array) -> tuple[Array, Array, Array]:
    size, lanes = root.shape[1], max(a.shape[-1] for a in (root, reached, rest, said))
    eye = jnp.eye(size, dtype=root.dtype)[..., None]
    one = jnp.eye(size + 1, dtype=root.dtype)[-1:, :, None]

    def step(message: Array, inputs: tuple) -> tuple[Array, tuple]:
        scale, reach, left, hint = inputs
        heard = hint + message
        seen = product(transpose(scale), heard)
        inverse = inverse_root(eye + product(seen[:, :-1], scale), least=1.0)
        ends = jnp.broadcast_to(one, (*one.shape[:2], left.shape[-1]))
        wanted = reach - product(seen, jnp.concatenate([left, ends]))
        drawn = product(transpose(inverse), product(inverse, wanted))
        path = left + product(scale, drawn)
        slope = product(heard[:, :-1], path) + one * heard[:, -1:]
        missed = reach - drawn
        message = product(transpose(path[:, :-1]), slope)
        message = message + product(transpose(missed[:, :-1]), missed)
        half = product(scale, transpose(inverse))
        return message, (path, product(half, transpose(half)), heard)

    silence = jnp.zeros((size, size + 1, lanes), root.dtype)
    return jax.lax.scan(step, silence, (root, reached, rest, said), reverse=True)[1]


@_walk.defjvp
def _walk_jvp(primals: tuple, tangents: tuple) -> tuple[Walk, Walk]:
    """Linear in the tangents, and a recursion in the very weights A' of the posterior.

    With M = I - Q'J, V = J A' and W = [V | J b' - h] (primes as above, d for tangents),

        dH_t = dH of the potential + E_{t+1} + A'_{t+1}' dH_{t+1} [[A', b'], [0, 1]]_{t+1},
        E = V'(d[A | b] - dQ W) + dA'W,
        d[A' | b'] = M (d[A | b] - dQ W) - Q' dH [[A', b'], [0, 1]],
        dQ' = M dQ M' - Q' dJ Q'.
    """
    walk = _walk(*primals)
    dprior, dnoise, dsaid = tangents
    path, cov, heard = walk
    moving = whole(path)
    slope = heard @ moving
    shrink = jnp.eye(cov.shape[1], dtype=cov.dtype) - cov @ heard[..., :-1]
    turned = jnp.matrix_transpose(path[..., :-1])
    change = dprior - dnoise @ slope
    told = jnp.matrix_transpose(slope[..., :-1]) @ change
    told = told + jnp.matrix_transpose(dprior[..., :-1]) @ slope
    weights = (turned, jnp.matrix_transpose(moving))
    weights = jax.tree.map(lambda leaf: shifted(leaf, reverse=True), weights)
    dheard = accumulated(weights, dsaid + shifted(told, reverse=True), reverse=True)
    moved = cov @ dheard
    dpath = shrink @ change - moved @ moving
    dcov = shrink @ dnoise @ jnp.matrix_transpose(shrink) - moved[..., :-1] @ cov
    return walk, Walk(dpath, dcov, dheard)
