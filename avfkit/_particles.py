"""A particle filter that any filter guides.

N particles go through the sequence together. At step t each draws z_t from the filter's q_t and is
weighed by alpha_t = p(x_t, z_t | past) / q_t(z_t | past, x_t); where few particles carry all the
weight, they are resampled. The weighted particles are draws from p(z_1..t | x_1..t), however poor
the proposal, in the limit of many; and the product of the mean weights estimates p(x) without bias.

Reference: Doucet and Johansen (2009), section 4; Maddison et al. (2017), Algorithm 1.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Int, Key

from ._checked import Size, checked
from ._inference import AbstractFilter, AbstractInference
from ._model import AbstractModel, prepare
from ._objectives import e_step_gradient
from ._trace import Trace
from ._types import Observations, Observed, State


class Particles(eqx.Module):
    """What the particles were, and how they count.

    Attributes:
        z: the draw of each particle at each step.
        log_weight: logs of the weights after each step, normalised, before any resampling: with
            them the draws of step t are from p(z_t | x_1..t).
        ancestors: which particle of the step before each one continues; itself at the first step.
        log_evidence: the estimate of log p(x_t | x_<t) in nats, zero where nothing was observed.
    """

    z: Float[Array, "time particles latent"]
    log_weight: Float[Array, "time particles"]
    ancestors: Int[Array, "time particles"]
    log_evidence: Float[Array, " time"]

    @property
    def log_likelihood(self) -> Float[Array, ""]:
        """The estimate of log p(x) in nats; that of p(x) is unbiased, so this is low on average."""
        return jnp.sum(self.log_evidence)

    @property
    def effective_size(self) -> Float[Array, " time"]:
        """How many equally weighted draws the particles of each step are worth: 1 / sum W^2."""
        return jnp.exp(-jax.nn.logsumexp(2.0 * self.log_weight, axis=1))

    @property
    def mean(self) -> Float[Array, "time latent"]:
        """The mean of p(z_t | x_1..t)."""
        return jnp.einsum("tn,tni->ti", jnp.exp(self.log_weight), self.z)

    @property
    def variance(self) -> Float[Array, "time latent"]:
        """The variance of each entry under p(z_t | x_1..t)."""
        square = (self.z - self.mean[:, None]) ** 2
        return jnp.einsum("tn,tni->ti", jnp.exp(self.log_weight), square)

    @property
    def paths(self) -> Float[Array, "particles time latent"]:
        """The whole past of each particle of the last step, weighted by its last `log_weight`.

        Draws from p(z_1..T | x_1..T); early steps of a long sequence share few ancestors.
        """

        def back(number: Int[Array, " particles"], inputs: tuple) -> tuple[Array, Array]:
            z, ancestors = inputs
            return ancestors[number], z[number]

        last = jnp.arange(self.z.shape[1], dtype=self.ancestors.dtype)
        paths = jax.lax.scan(back, last, (self.z, self.ancestors), reverse=True)[1]
        return jnp.swapaxes(paths, 0, 1)


@checked
def particle_filter(
    model: AbstractModel,
    filter: AbstractInference,
    xs: Observations,
    observed: Observed = None,
    *,
    key: Key[Array, ""],
    num_particles: Size,
) -> Particles:
    """Correct a filter by weighing what it draws: exact in the limit of many particles.

    Particles are resampled (systematically) after a step that leaves the effective sample size
    below half their number; a step of which nothing was observed neither weighs nor resamples.
    Its `log_likelihood` is minus the bound `fivo`, with the same key and number.

    Args:
        model: the generative model.
        filter: the proposal, any `AbstractFilter`. An `IterativeFilter` without iterations
            proposes from the prior, which makes this the bootstrap filter.
        xs: the observations; NaN means missing.
        observed: which steps or entries were observed; all if `None`.
        key: randomness; step t's does not depend on the length.
        num_particles: N.

    Raises:
        TypeError: `filter` is not a filter.
        ValueError: `num_particles` is below 1, or `xs` or `observed` is malformed.

    **Example**

    ```python
    found = avfkit.particle_filter(model, avf, xs, key=key, num_particles=100)
    found.mean, found.effective_size
    ```
    """
    proposal = stepper_of(filter, "particle_filter")
    xs, observed = prepare(model, xs, observed)
    return swarm(model, proposal, (xs, observed), 0, key=key, number=num_particles)[0]


def stepper_of(filter: AbstractInference, wanted_by: str) -> AbstractFilter:
    """The filter that proposes, or an error that says who needs one."""
    if filter.stepper is not None:
        return filter.stepper
    raise TypeError(
        f"{wanted_by} needs a filter (a subclass of AbstractFilter), which proposes step by step; "
        f"{type(filter).__name__} is not one. Use IterativeFilter or DirectFilter, or iwae, which "
        "serves every method that draws a joint path."
    )


def swarm(
    model: AbstractModel,
    filter: AbstractFilter,
    data: tuple[Float[Array, "time obs"], Bool[Array, "time obs"]],
    context: int,
    *,
    key: Key[Array, ""],
    number: int,
) -> tuple[Particles, Float[Array, " time"]]:
    """The particles, and the gradient of the filter's E-step (its value is zero).

    Args:
        model: the generative model.
        filter: the proposal.
        data: observations and which of them count, as `prepare` gives them.
        context: this many first steps neither weigh nor resample.
        key: randomness.
        number: how many particles.
    """
    xs, observed = data
    # A split is numbered 0 to N - 1, so that N is free for the resampling.
    particle_keys, resample_key = jr.split(key, number), jr.fold_in(key, number)

    def body(loop: tuple, inputs: tuple) -> tuple[tuple, tuple]:
        x, seen, t = inputs
        loops, log_weights, ancestors = loop
        loops, trace = jax.vmap(
            lambda loop, key: filter.step(model, loop, x, seen, key=jr.fold_in(key, t))
        )(loops, particle_keys)
        scored = jnp.any(seen) & (t >= context)
        log_z, weighed = _weigh(trace, log_weights, scored)
        e_step = jnp.where(scored, jnp.mean(e_step_gradient(trace)), 0.0)
        following = _resample(loops, weighed, scored, key=jr.fold_in(resample_key, t))
        return following, ((trace.z, weighed, ancestors, log_z), e_step)

    start = _copies((model.init(), filter.init(model)), number)
    log_weights = jnp.full((number,), -math.log(number), xs.dtype)
    loop = (start, log_weights, jnp.arange(number))
    _, (parts, e_steps) = jax.lax.scan(body, loop, (xs, observed, jnp.arange(len(xs))))
    return Particles(*parts), e_steps


def _weigh(
    trace: Trace, log_weights: Float[Array, " particles"], scored: Array
) -> tuple[Float[Array, ""], Float[Array, " particles"]]:
    """The step's log Z, and the new normalised weights."""
    weighed = log_weights + trace.log_weight
    log_z = jax.nn.logsumexp(weighed)
    return jnp.where(scored, log_z, 0.0), jnp.where(scored, weighed - log_z, log_weights)


def _resample(
    loops: State, log_weights: Float[Array, " particles"], scored: Array, *, key: Key[Array, ""]
) -> tuple[State, Float[Array, " particles"], Int[Array, " particles"]]:
    """Equal weights again, where the effective sample size is below half the particles."""
    number = len(log_weights)
    log_size = -jax.nn.logsumexp(2.0 * log_weights)  # ESS = 1 / sum W^2
    needed = scored & (log_size < math.log(number / 2))
    ancestors = jnp.where(needed, _systematic(log_weights, key=key), jnp.arange(number))
    loops = jax.tree.map(lambda leaf: leaf[ancestors], loops)
    return loops, jnp.where(needed, -math.log(number), log_weights), ancestors


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
    found = jnp.minimum(jnp.searchsorted(edges, points * edges[-1]), number - 1)
    return found.astype(jnp.arange(0).dtype)


def _copies(tree: State, number: int) -> State:
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (number, *jnp.shape(leaf))), tree)
