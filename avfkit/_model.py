"""What the world does: a dynamical latent variable model, one step at a time.

A model never knows how it will be inferred. It says what comes next (`prior`), what would be seen
(`likelihood`) and what it remembers (`next`): the two factors of Eq. 1,

    p(x_t, z_t | x_<t, z_<t) = p(x_t | x_<t, z_<=t) p(z_t | x_<t, z_<t),

with everything before step t in a `state`. The state exists before the first observation, so the
first step is like any other.

A VRNN is recurrent: its states need a scan. A linear dynamical system is Markov: its state is the
prior that the last latent implies, so all states along a path come from one `vmap`.

Reference: Marino, Cvitkovic and Yue (2018), section 2.1, Eq. 1.
"""

from abc import abstractmethod
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Key

from ._arrays import as_array
from ._distributions import AbstractDistribution, AbstractGaussian
from ._types import Observations, Observed, State
from .kalman import Chain


class AbstractModel(eqx.Module):
    """A dynamical latent variable model (Eq. 1)."""

    obs_size: eqx.AbstractVar[int]
    latent_size: eqx.AbstractVar[int]

    @abstractmethod
    def init(self) -> State:
        """The state before the first observation."""

    @abstractmethod
    def prior(self, state: State) -> AbstractGaussian:
        """The dynamics model p(z_t | x_<t, z_<t)."""

    @abstractmethod
    def likelihood(self, state: State, z: Float[Array, " latent"]) -> AbstractDistribution:
        """The observation model p(x_t | x_<t, z_<=t)."""

    @abstractmethod
    def next(self, state: State, x: Float[Array, " obs"], z: Float[Array, " latent"]) -> State:
        """The state before the next observation."""

    @abstractmethod
    def context(self, state: State) -> Float[Array, " context"]:
        """What an amortized filter may look at: a vector that summarises the past."""

    @abstractmethod
    def features(self, x: Float[Array, " obs"]) -> Float[Array, " features"]:
        """How the model encodes an observation for whoever wants to read it."""

    @abstractmethod
    def states(
        self,
        xs: Float[Array, "time obs"],
        observed: Bool[Array, "time obs"],
        zs: Float[Array, "time latent"],
        *,
        key: Key[Array, ""],
    ) -> State:
        """The state before each step along a given path, stacked over time."""


class AbstractRecurrentModel(AbstractModel):
    """A model whose state runs along the sequence: the states of a path need a scan."""

    def states(
        self,
        xs: Float[Array, "time obs"],
        observed: Bool[Array, "time obs"],
        zs: Float[Array, "time latent"],
        *,
        key: Key[Array, ""],
    ) -> State:
        """Scan `next` along the path; missing observations are drawn from the likelihood."""

        def step(state: State, inputs: tuple) -> tuple[State, State]:
            x, seen, z, step_key = inputs
            filled = impute(self.likelihood(state, z), x, seen, key=step_key)
            return self.next(state, filled, z), state

        return jax.lax.scan(step, self.init(), (xs, observed, zs, step_keys(len(xs), key=key)))[1]


class AbstractMarkovModel(AbstractModel):
    """A model whose next latent depends on the last one only: the state is the prior it implies.

    `emission` maps z_t to the distribution p(x_t | z_t).
    """

    emission: eqx.AbstractVar[Callable[[Float[Array, " latent"]], AbstractDistribution]]

    @abstractmethod
    def initial(self) -> AbstractGaussian:
        """The distribution of the first latent, p(z_1)."""

    @abstractmethod
    def transition(self, z: Float[Array, " latent"]) -> AbstractGaussian:
        """The distribution of the next latent, p(z_t | z_{t-1})."""

    def init(self) -> State:
        """The prior of the first step."""
        return self.initial()

    def prior(self, state: State) -> AbstractGaussian:
        """The state itself."""
        return state

    def likelihood(self, state: State, z: Float[Array, " latent"]) -> AbstractDistribution:
        """The emission: the past adds nothing once z_t is known."""
        del state
        return self.emission(z)

    def next(self, state: State, x: Float[Array, " obs"], z: Float[Array, " latent"]) -> State:
        """The prior that this latent implies for the next step."""
        del state, x
        return self.transition(z)

    def context(self, state: State) -> Float[Array, " context"]:
        """The mean of the prior."""
        return state.mean

    def features(self, x: Float[Array, " obs"]) -> Float[Array, " features"]:
        """The observation itself."""
        return x

    def states(
        self,
        xs: Float[Array, "time obs"],
        observed: Bool[Array, "time obs"],
        zs: Float[Array, "time latent"],
        *,
        key: Key[Array, ""],
    ) -> State:
        """The initial prior, then one transition from each latent: no loop."""
        del xs, observed, key
        following = jax.vmap(self.transition)(zs[:-1])
        return jax.tree.map(
            lambda first, rest: jnp.concatenate([first[None], rest]), self.initial(), following
        )


class AbstractLatentLDS(AbstractMarkovModel):
    """A Markov model whose latents are a linear-Gaussian chain, under any emission."""

    @property
    @abstractmethod
    def chain(self) -> Chain:
        """The arrays of the chain: (m1, P1, A, b, Q)."""


def impute(
    likelihood: AbstractDistribution,
    x: Float[Array, " obs"],
    observed: Bool[Array, " obs"],
    *,
    key: Key[Array, ""],
) -> Float[Array, " obs"]:
    """Fill missing entries with a draw from the model's own prediction.

    A missing observation is one more latent variable whose posterior, given z_t, is its prior:
    drawing it keeps the free energy an upper bound on -log p of what was observed.
    """
    return jnp.where(observed, x, likelihood.sample(key=key))


def step_keys(length: int, *, key: Key[Array, ""]) -> Key[Array, " time"]:
    """One key per step. Step t's key does not depend on `length`, so padding changes nothing."""
    return jax.vmap(lambda t: jr.fold_in(key, t))(jnp.arange(length))


def prepare(
    model: AbstractModel,
    xs: Observations,
    observed: Observed,
) -> tuple[Float[Array, "time obs"], Bool[Array, "time obs"]]:
    """Check a sequence against a model; mark NaN as missing and replace missing entries by zero.

    The observations take the floating-point type of the model's parameters.

    Raises:
        ValueError: the message names the argument, what was found and what was expected. Infinite
            numbers are refused outside `jax.jit` only, where they can be seen.
    """
    xs = as_array("xs", xs)
    if xs.ndim != 2 or xs.shape[-1] != model.obs_size:
        raise ValueError(
            f"xs has shape {xs.shape}; expected [time, {model.obs_size}], one sequence of a "
            f"{type(model).__name__} with obs_size {model.obs_size} (use jax.vmap for batches)."
        )
    if xs.shape[0] == 0:
        raise ValueError("xs has no time steps; expected at least one.")
    xs = xs.astype(_dtype(model))
    if observed is None:
        observed = jnp.ones(xs.shape, bool)
    observed = as_array("observed", observed)
    if observed.shape not in (xs.shape, xs.shape[:1]):
        raise ValueError(
            f"observed has shape {observed.shape}; expected {xs.shape[:1]} (steps) or {xs.shape} "
            "(entries), to match xs."
        )
    if observed.dtype != bool:
        raise ValueError(f"observed has dtype {observed.dtype}; expected bool.")
    if observed.ndim == 1:
        observed = jnp.broadcast_to(observed[:, None], xs.shape)
    observed = observed & ~jnp.isnan(xs)
    _refuse_infinite(xs, observed)
    return jnp.where(observed, xs, 0.0), observed


def nothing_seen(model: AbstractModel) -> tuple[Float[Array, " obs"], Bool[Array, " obs"]]:
    """An observation of the model's size and type with every entry missing: for shapes."""
    missing = jnp.zeros((1, model.obs_size), bool)
    xs, observed = prepare(model, jnp.zeros(missing.shape), missing)
    return xs[0], observed[0]


def feature_size(model: AbstractModel) -> int:
    """How many numbers `features` makes of an observation."""
    return len(eqx.filter_eval_shape(lambda m: m.features(nothing_seen(m)[0]), model))


def _dtype(model: AbstractModel) -> jnp.dtype:
    leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    return jnp.result_type(*leaves) if leaves else jnp.result_type(float)


def _refuse_infinite(xs: Array, observed: Array) -> None:
    bad = observed & jnp.isinf(xs)
    if not isinstance(bad, Tracer) and bad.any():
        step, entry = (int(index[0]) for index in jnp.nonzero(bad))
        raise ValueError(
            f"xs holds {xs[step, entry]} at step {step}, entry {entry}; expected finite numbers, "
            "or NaN for what is missing."
        )
