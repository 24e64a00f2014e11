"""FIVO: the filtering variational objective, a bound from a particle filter that any filter guides.

N particles go through the sequence together. At step t each draws z_t from the filter's q_t and is
weighed by alpha_t = p(x_t, z_t | past) / q_t(z_t | past, x_t); where few particles carry all the
weight, they are resampled. The estimate

    Z = prod_t sum_n W_{t-1}^n alpha_t^n,    W the normalised weights before step t,

of p(x) is unbiased, so -log Z is on average an upper bound on -log p(x). Without resampling it is
the importance-weighted bound of `iwae`.

Reference: Maddison et al. (2017), Eq. 1 and Algorithm 1; Le et al. (2018); Naesseth et al. (2018).
"""

import math

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from ._inference import AbstractFilter, AbstractInference
from ._model import AbstractModel, prepare
from ._objectives import check_scored, e_step_gradient
from ._trace import Trace
from ._types import Observations, Observed, State


def fivo(
    model: AbstractModel,
    filter: AbstractInference,
    xs: Observations,
    observed: Observed = None,
    *,
    key: Key[Array, ""],
    num_samples: int,
    context: int = 0,
) -> Float[Array, ""]:
    """The particle filter's bound on -log p(x) with `num_samples` particles, in nats.

    Particles are resampled (systematically) after a step that leaves the effective sample size
    below half their number; a step of which nothing was observed neither weighs nor resamples.
    With the same key it equals `iwae` if nothing is resampled, so always for one particle.

    Its gradient is the usual biased one, without the score of the resampling. An iterative filter's
    network gets the gradient of its E-step, as in `free_energy`, averaged over the particles.

    Args:
        model: the generative model.
        filter: the proposal, any `AbstractFilter`.
        xs: the observations; NaN means missing.
        observed: which steps or entries were observed; all if `None`.
        key: randomness; step t's does not depend on the length.
        num_samples: N, the number of particles.
        context: this many first steps are filtered but neither weighed nor scored; the bound is
            then on the code length of the rest, with q for the belief about the context.

    Returns:
        A scalar, nats for the whole sequence.

    Raises:
        TypeError: `filter` is not a filter.
        ValueError: `num_samples` is below 1, or `context` leaves no step to score.
    """
    terms = fivo_steps(
        model, filter, xs, observed, key=key, num_samples=num_samples, context=context
    )
    return jnp.sum(terms)


def fivo_steps(
    model: AbstractModel,
    filter: AbstractInference,
    xs: Observations,
    observed: Observed,
    *,
    key: Key[Array, ""],
    num_samples: int,
    context: int = 0,
) -> Float[Array, " time"]:
    """The bound of `fivo`, step by step: minus the logarithm of each factor of Z, in nats."""
    filter = _checked(filter)
    if num_samples < 1:
        raise ValueError(f"num_samples is {num_samples}; expected at least 1.")
    xs, observed = prepare(model, xs, observed)
    check_scored(context, len(xs))
    # A split is numbered 0 to N - 1, so that N is free for the resampling.
    particle_keys, resample_key = jr.split(key, num_samples), jr.fold_in(key, num_samples)

    def body(swarm: tuple, inputs: tuple) -> tuple[tuple, tuple]:
        x, seen, t = inputs
        loops, log_weights = swarm
        loops, trace = jax.vmap(
            lambda loop, key: filter.step(model, loop, x, seen, key=jr.fold_in(key, t))
        )(loops, particle_keys)
        scored = jnp.any(seen) & (t >= context)
        terms, log_weights = _weigh(trace, log_weights, scored)
        return _resample((loops, log_weights), scored, key=jr.fold_in(resample_key, t)), terms

    start = _copies((model.init(), filter.init(model)), num_samples)
    log_weights = jnp.full((num_samples,), -math.log(num_samples), xs.dtype)
    inputs = (xs, observed, jnp.arange(len(xs)))
    _, (log_z, e_steps) = jax.lax.scan(body, (start, log_weights), inputs)
    return e_steps - log_z


def _checked(filter: AbstractInference) -> AbstractFilter:
    if filter.stepper is not None:
        return filter.stepper
    raise TypeError(
        "fivo needs a filter (a subclass of AbstractFilter), which proposes step by step; "
        f"{type(filter).__name__} is not one. Use IterativeFilter or DirectFilter, or iwae, which "
        "serves every method that draws a joint path."
    )


def _weigh(
    trace: Trace, log_weights: Float[Array, " particles"], scored: Array
) -> tuple[tuple[Float[Array, ""], Float[Array, ""]], Float[Array, " particles"]]:
    """The step's terms (log Z, and the E-step's gradient), and the new normalised weights."""
    weighed = log_weights + trace.log_weight
    log_z = jax.nn.logsumexp(weighed)
    e_step = jnp.mean(e_step_gradient(trace))
    terms = jnp.where(scored, log_z, 0.0), jnp.where(scored, e_step, 0.0)
    return terms, jnp.where(scored, weighed - log_z, log_weights)


def _resample(
    swarm: tuple[State, Float[Array, " particles"]], scored: Array, *, key: Key[Array, ""]
) -> tuple[State, Float[Array, " particles"]]:
    """Equal weights again, where the effective sample size is below half the particles."""
    loops, log_weights = swarm
    number = len(log_weights)
    log_size = -jax.nn.logsumexp(2.0 * log_weights)  # ESS = 1 / sum W^2
    needed = scored & (log_size < math.log(number / 2))
    drawn = _systematic(log_weights, key=key)
    ancestors = jnp.where(needed, drawn, jnp.arange(number, dtype=drawn.dtype))
    loops = jax.tree.map(lambda leaf: leaf[ancestors], loops)
    return loops, jnp.where(needed, -math.log(number), log_weights)


def _systematic(
    log_weights: Float[Array, " particles"], *, key: Key[Array, ""]
) -> Int[Array, " particles"]:
    """N equidistant points with one random offset, on the line that the weights divide.

    Every particle n has on average N W^n descendants, and never fewer than the whole part of it.
    """
    number = len(log_weights)
    offset = jr.uniform(key, (), log_weights.dtype)
    points = (jnp.arange(number, dtype=log_weights.dtype) + offset) / number
    edges = jnp.cumsum(jnp.exp(log_weights))
    return jnp.minimum(jnp.searchsorted(edges, points * edges[-1]), number - 1)


def _copies(tree: State, number: int) -> State:
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (number, *jnp.shape(leaf))), tree)
