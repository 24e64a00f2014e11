"""The best path of a smoother's family, reached by gradient steps from the smoother's own.

A family is searched from where the smoother has put it, in units of the spread found there, so that
one rate serves sharp posteriors and wide ones.
"""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Key, PyTree

from .. import kalman
from .._distributions import DiagonalGaussian
from .._inference import AbstractInference
from .._linalg import cholesky, solve_lower
from .._model import AbstractLatentLDS, AbstractModel
from .._smoother import AbstractPath, AbstractSmoother, replayed
from ..inference import (
    AmortizedSmoother,
    Autoregressive,
    FactorisedHead,
    GaussMarkov,
    Masked,
    StructuredSmoother,
)
from ._rungs import Data

_RATE, _SAMPLES, _WEIGHT_UNIT = 0.1, 16, 0.3


class AbstractFamily(eqx.Module):
    """Paths around one of them: `moves` are numbers without constraint, zero at the start."""

    moves: eqx.AbstractVar[PyTree]

    @abstractmethod
    def path(self, model: AbstractModel) -> AbstractPath:
        """Where the moves lead."""

    @abstractmethod
    def wider(self, best: AbstractPath) -> "AbstractFamily | None":
        """All chains, from the best of these; None if these hold them, or more than them."""


class Chains(AbstractFamily):
    """Linear-Gaussian chains; with `factorised`, those that keep the dynamics of the start.

    The moves are of the means, of the dynamics about the means and of the noise's Cholesky factor.
    """

    mean: Float[Array, "time latent"]
    dynamics: Float[Array, "time latent latent"]
    scale: Float[Array, "time latent latent"]
    inverse: Float[Array, "time latent latent"]
    moves: PyTree
    factorised: bool = eqx.field(static=True)

    def path(self, model: AbstractModel) -> GaussMarkov:
        """The chain."""
        del model
        shift, turn, stretch = self.moves
        mean = self.mean + jnp.einsum("tij,tj->ti", self.scale, shift)
        dynamics = self.dynamics
        if not self.factorised:
            dynamics = dynamics.at[1:].add(self.scale[1:] @ turn[1:] @ self.inverse[:-1])
        bias = mean.at[1:].add(-jnp.einsum("tij,tj->ti", dynamics[1:], mean[:-1]))
        scale = self.scale @ jax.vmap(_stretched)(stretch)
        return GaussMarkov(kalman.Conditionals(dynamics, bias, scale @ jnp.matrix_transpose(scale)))

    def wider(self, best: AbstractPath) -> "Chains | None":
        """With dynamics of their own, if these have none."""
        return chains(best) if self.factorised else None


class DiagonalPotentials(AbstractFamily):
    """The model's chain times potentials of diagonal precision; where there was none, none comes.

    The moves are of the potentials' means, in their own spreads, and of the logarithms of those.
    """

    start: kalman.Potentials
    moves: PyTree

    def path(self, model: AbstractModel) -> GaussMarkov:
        """Prior times potentials, normalised."""
        assert isinstance(model, AbstractLatentLDS)
        shift, _, stretch = self.moves
        weight = jnp.diagonal(self.start.precision, axis1=1, axis2=2)
        ratio = jnp.exp(jnp.diagonal(stretch, axis1=1, axis2=2))
        linear = ratio * (self.start.linear + jnp.sqrt(weight) * shift)
        precision = jnp.eye(weight.shape[1], dtype=weight.dtype) * (ratio * weight)[:, None]
        potentials = self.start._replace(precision=precision, linear=linear)
        return GaussMarkov(kalman.conditionals(model.chain, potentials))

    def wider(self, best: AbstractPath) -> Chains:
        """Potentials of any precision, and any dynamics."""
        return chains(best)


class Recurrences(AbstractFamily):
    """Recurrent networks along the path: all that one reads, and its weights."""

    start: Autoregressive
    moves: PyTree

    def path(self, model: AbstractModel) -> Autoregressive:
        """The network."""
        del model
        return eqx.apply_updates(self.start, jax.tree.map(lambda m: _WEIGHT_UNIT * m, self.moves))

    def wider(self, best: AbstractPath) -> None:
        """None: a network bends what a chain cannot."""
        del best


def paths_of(
    model: AbstractModel, inference: AbstractInference, data: Data
) -> AbstractFamily | None:
    """The family of a smoother, at what it makes of the data; None if it cannot be refined."""
    smoother = inference.smoother if isinstance(inference, Masked) else inference
    path = smoother.path(model, *data) if isinstance(smoother, AbstractSmoother) else None
    if isinstance(path, Autoregressive):
        weights = eqx.filter(path, eqx.is_inexact_array)
        return Recurrences(start=path, moves=jax.tree.map(jnp.zeros_like, weights))
    if not isinstance(path, GaussMarkov):
        return None
    if isinstance(smoother, StructuredSmoother) and _has_diagonal(smoother, data):
        potentials = smoother.potentials(model, *data)
        return DiagonalPotentials(start=potentials, moves=_still(path.chain))
    head = smoother.head if isinstance(smoother, AmortizedSmoother) else None
    return chains(path, factorised=isinstance(head, FactorisedHead))


def chains(path: AbstractPath, *, factorised: bool = False) -> Chains:
    """The family around a chain."""
    assert isinstance(path, GaussMarkov)
    scale = jax.vmap(lambda cov: cholesky(cov, least=0.0))(path.chain.noise_cov)
    identity = jnp.eye(scale.shape[-1], dtype=scale.dtype)
    return Chains(
        mean=kalman.marginals(path.chain).mean,
        dynamics=path.chain.dynamics,
        scale=scale,
        inverse=jax.vmap(solve_lower, (0, None))(scale, identity),
        moves=_still(path.chain),
        factorised=factorised,
    )


def improved(
    model: AbstractModel,
    family: AbstractFamily,
    data: Data,
    num_iterations: int,
    *,
    key: Key[Array, ""],
) -> AbstractPath:
    """The path after so many steps of Adam, its rate decaying, on the free energy of fresh draws.

    No better than the best of the family, on average.
    """
    optimizer = optax.adam(optax.cosine_decay_schedule(_RATE, num_iterations))

    def at(moves: PyTree) -> AbstractPath:
        return eqx.tree_at(lambda f: f.moves, family, moves).path(model)

    def energy(moves: PyTree, key: Key[Array, ""]) -> Float[Array, ""]:
        path, keys = at(moves), jr.split(key, _SAMPLES)
        drawn = jax.vmap(lambda k: replayed(model, path, *data, key=k).free_energy)(keys)
        return jnp.mean(jnp.sum(drawn, axis=1))

    def step(loop: tuple[PyTree, PyTree], key: Key[Array, ""]) -> tuple[tuple, None]:
        moves, memory = loop
        gradient = jax.grad(energy)(moves, key)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
            change, memory = optimizer.update(gradient, memory, moves)
        return (jax.tree.map(jnp.add, moves, change), memory), None

    loop = (family.moves, optimizer.init(family.moves))
    return at(jax.lax.scan(step, loop, jr.split(key, num_iterations))[0][0])


def _still(chain: kalman.Conditionals) -> tuple[Array, Array, Array]:
    """No move of means, dynamics and scales."""
    return (
        jnp.zeros_like(chain.bias),
        jnp.zeros_like(chain.dynamics),
        jnp.zeros_like(chain.dynamics),
    )


def _stretched(moves: Float[Array, "latent latent"]) -> Float[Array, "latent latent"]:
    """A lower triangle with a positive diagonal; the identity where nothing moves."""
    return jnp.tril(moves, -1) + jnp.diag(jnp.exp(jnp.diag(moves)))


def _has_diagonal(smoother: StructuredSmoother, data: Data) -> bool:
    found = eqx.filter_eval_shape(smoother.potential, data[0][0])
    return isinstance(found, DiagonalGaussian)
