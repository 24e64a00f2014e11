"""Members of families of posteriors on a known linear system, by `avfkit.kalman`."""

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Int

from avfkit import kalman


class Member(NamedTuple):
    """Which member of which family.

    Attributes:
        factorised: the best posterior without links between steps.
        diagonal: hints without links between the latent's entries.
        reach: steps ahead of t whose observations q(z_t | z_{t-1}) knows.
    """

    factorised: Bool[Array, ""]
    diagonal: Bool[Array, ""]
    reach: Int[Array, ""]


class Compared(NamedTuple):
    """Moments of the first noiseless observation under two posteriors, and their divergence.

    Attributes:
        exact_mean: under the exact posterior.
        exact_sd: its standard deviation.
        mean: under the member.
        sd: its standard deviation.
        draw: along one path drawn from the member; all members use one noise.
        gap: KL(member || exact) of each step, in nats; the sum is that of the paths.
    """

    exact_mean: Float[Array, " time"]
    exact_sd: Float[Array, " time"]
    mean: Float[Array, " time"]
    sd: Float[Array, " time"]
    draw: Float[Array, " time"]
    gap: Float[Array, " time"]


@eqx.filter_jit
def compare(
    chain: kalman.Chain,
    emission: tuple[Array, Array, Array],
    xs: Float[Array, "time obs"],
    member: Member,
) -> Compared:
    """One posterior against the exact one. The member is a value: choosing compiles nothing.

    Args:
        chain: the true chain.
        emission: C, d and the noise variances r.
        xs: what was observed.
        member: the posterior.
    """
    hints = kalman.linear_gaussian_potentials(*emission, xs, jnp.ones(xs.shape, bool))
    said = jax.tree.map(partial(jnp.where, member.diagonal), _diagonal(hints), hints)
    ahead, exact = _looking_ahead(chain, said, member.reach, hints)
    moments = kalman.marginals(exact)
    alone = _factorised(chain, hints, moments.mean)
    path = jax.tree.map(partial(jnp.where, member.factorised), alone, ahead)
    row, shift = emission[0][0], emission[1][0]

    def seen(marginals: kalman.Marginals) -> tuple[Array, Array]:
        mean, cov, _ = marginals
        return mean @ row + shift, jnp.sqrt(jnp.einsum("i,tij,j->t", row, cov, row))

    draw = kalman.sample(path, key=jr.key(0)) @ row + shift
    found = *seen(moments), *seen(kalman.marginals(path))
    return Compared(*found, draw, kalman.divergence(path, exact))


def _looking_ahead(
    chain: kalman.Chain, said: kalman.Potentials, reach: Int[Array, ""], hints: kalman.Potentials
) -> tuple[kalman.Conditionals, kalman.Conditionals]:
    """q(z_t | z_{t-1}) from what is said at steps up to t + reach, and the exact posterior.

    The exact one is one row more, with all hints: so one recursion is compiled for both.
    """
    steps = jnp.arange(len(said.linear))
    near = steps <= steps[:, None] + reach

    def rows(some: Array, every: Array) -> Array:
        kept = jnp.where(near.reshape(*near.shape, *[1] * (some.ndim - 1)), some, 0.0)
        return jnp.concatenate([kept, every[None]])

    found = jax.vmap(partial(kalman.conditionals, chain))(jax.tree.map(rows, said, hints))
    return (
        jax.tree.map(lambda leaf: leaf[steps, steps], found),
        jax.tree.map(lambda leaf: leaf[-1], found),
    )


def _factorised(
    chain: kalman.Chain, hints: kalman.Potentials, mean: Float[Array, "time latent"]
) -> kalman.Conditionals:
    """The factorised one of least divergence: exact means, inverse blocks of the precision."""
    steps = kalman.unrolled(chain, len(hints.linear))
    inverse = jnp.linalg.inv(steps.noise_cov)
    onward = jnp.einsum("tji,tjk,tkl->til", steps.dynamics, inverse, steps.dynamics)
    onward = jnp.concatenate([onward[1:], jnp.zeros_like(onward[:1])])
    cov = jnp.linalg.inv(inverse + onward + hints.precision)
    return kalman.Conditionals(jnp.zeros_like(cov), mean, cov)


def _diagonal(hints: kalman.Potentials) -> kalman.Potentials:
    """Hints with the same means and only the diagonal of the precision."""
    mean = jnp.linalg.solve(hints.precision, hints.linear[..., None])[..., 0]
    variance = 1.0 / jnp.diagonal(hints.precision, axis1=1, axis2=2)
    return kalman.diagonal_potentials(mean, variance)
