"""A stream between two observations, what a step says of it, and the observation itself.

What a stream holds has constant size: the model's state, the filter's memory, the number of steps
so far and a key.
"""

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key

from ._arrays import check_real
from ._distributions import AbstractDistribution, AbstractGaussian
from ._model import AbstractModel
from ._types import Carry, Observations, Observed, State


class OnlineState(eqx.Module):
    """A stream between two observations: all that the past has left.

    Attributes:
        loop: the model's state and the filter's memory.
        steps: number of observations so far, missing ones included.
        key: that of the stream; step t draws with `fold_in(key, t)`.
    """

    loop: tuple[State, Carry]
    steps: Int[Array, ""]
    key: Key[Array, ""]


class Filtered(eqx.Module):
    """What one step of filtering says (with leading axes, what many say).

    Attributes:
        prior: p(z_t | past).
        posterior: q_t; the prior itself where nothing was observed.
        prediction: p(x_t | z_t, past) at the prior's mean, made before x_t is looked at. Its
            variance is that of the emission alone: `OnlineFilter.predict` has all of it.
        estimate: the same at q_t's mean: x_t without its noise, and what was missing filled in.
        z: the draw from q_t along which the stream goes on.
        reconstruction: -log p(x_t | z_t, past) of the observed entries, in nats.
        kl: KL(q_t || p_t) in nats.
        iterations: F_t after each inference iteration, in nats; see `Trace`.
    """

    prior: AbstractGaussian
    posterior: AbstractGaussian
    prediction: AbstractDistribution
    estimate: AbstractDistribution
    z: Float[Array, "*time latent"]
    reconstruction: Float[Array, "*time"]
    kl: Float[Array, "*time"]
    iterations: Float[Array, "*time iterations"]

    @property
    def free_energy(self) -> Float[Array, "*time"]:
        """The step free energy F_t in nats (Eq. 9)."""
        return self.reconstruction + self.kl


def one_observation(model: AbstractModel, x: Observations, observed: Observed) -> tuple[Any, Any]:
    """Check one observation where it can be seen; `prepare` then runs in the compiled step.

    Raises:
        ValueError: as for `OnlineFilter.step`.
    """
    x = x if isinstance(x, jax.Array) else np.asarray(x)
    check_real("x", x)
    if x.shape != (model.obs_size,):
        raise ValueError(
            f"x has shape {x.shape}; expected ({model.obs_size},), one observation of a "
            f"{type(model).__name__}."
        )
    if observed is not None:
        observed = observed if isinstance(observed, jax.Array) else np.asarray(observed)
        if observed.shape not in ((), x.shape):
            raise ValueError(f"observed has shape {observed.shape}; expected () or {x.shape}.")
        if observed.dtype != bool:
            raise ValueError(f"observed has dtype {observed.dtype}; expected bool.")
    if not isinstance(x, Tracer) and not isinstance(observed, Tracer):
        _refuse_infinite(np.asarray(x, float), True if observed is None else np.asarray(observed))
    return x, observed


def _refuse_infinite(x: np.ndarray, observed: np.ndarray | bool) -> None:
    bad = np.flatnonzero(np.isinf(x) & observed)
    if len(bad):
        raise ValueError(
            f"x holds {x[bad[0]]} at entry {bad[0]}; expected finite numbers, or NaN for what is "
            "missing."
        )
