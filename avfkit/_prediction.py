"""What comes next: continuations, their likelihood, and one-step predictions.

All infer a path, put the model into the states along it, and ask the model. A filter's states are
the ones it went through itself; for any other method the model replays the drawn path.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from ._checked import Size, checked
from ._inference import AbstractInference, AbstractStepwise
from ._model import AbstractModel, impute, prepare, step_keys
from ._sample import sample
from ._trace import Trace
from ._types import Observations, Observed, State


class OneStep(NamedTuple):
    """What the model expects to see at each step, before and after it has looked.

    Attributes:
        prediction: the mean of p(x_t | z_t, past) at the mean of the prior, in the units of x.
        reconstruction: the same at the mean of q_t.
    """

    prediction: Float[Array, "time obs"]
    reconstruction: Float[Array, "time obs"]


@checked
def continuation(
    model: AbstractModel,
    inference: AbstractInference,
    xs: Observations,
    length: Size,
    observed: Observed = None,
    *,
    key: Key[Array, ""],
) -> tuple[Float[Array, "time obs"], Float[Array, "time latent"]]:
    """Draw one future of a sequence: infer the past, then sample on (Eq. 1).

    Under `jax.vmap` over keys it is a forecast. What an LDS expects to see along a drawn future,
    without the noise of the emission, is `jax.vmap(model.emission)(latents).mean`.

    Args:
        model: the generative model.
        inference: how the latents of the context are inferred; one path is drawn.
        xs: the context; NaN means missing.
        length: number of steps to draw, at least 1.
        observed: which steps or entries of the context were observed; all if `None`.
        key: randomness. Another key gives another past and another future.

    Returns:
        The observations and the latents of the future, `length` steps each.

    Raises:
        ValueError: `length` is below 1, or `xs` or `observed` is malformed.
    """
    path_key, future_key = jr.split(key)
    _, _, state = inferred(model, inference, xs, observed, key=path_key)
    return sample(model, length, key=future_key, state=state)


@checked
def one_step(
    model: AbstractModel,
    inference: AbstractInference,
    xs: Observations,
    observed: Observed = None,
    *,
    key: Key[Array, ""],
) -> OneStep:
    """Predictions and reconstructions along one inferred path (Fig. 3 of the AVF paper).

    Of a filter the two agree where nothing was observed. For the reconstruction after k inference
    iterations give an `IterativeFilter` with `stop_after=k`; with the same key the predictions
    of the first step are the same, later ones follow their own path.

    Args:
        model: the generative model.
        inference: how the latents are inferred.
        xs: the observations; NaN means missing.
        observed: which steps or entries were observed; all if `None`.
        key: randomness of the path.

    Returns:
        Means of the likelihood, `[time, obs]` each.

    Raises:
        ValueError: `xs` or `observed` is malformed.
    """
    trace, states, _ = inferred(model, inference, xs, observed, key=key)

    def expected(state: State, z: Float[Array, " latent"]) -> Float[Array, " obs"]:
        return model.likelihood(state, z).mean

    means = trace.prior.mean, trace.posterior.mean
    return OneStep(*(jax.vmap(expected)(states, mean) for mean in means))


@checked
def predictive_log_likelihood(
    model: AbstractModel,
    inference: AbstractInference,
    xs: Observations,
    context: int,
    observed: Observed = None,
    *,
    key: Key[Array, ""],
    num_samples: Size,
) -> Float[Array, ""]:
    """Log p of the rest of a sequence given its first steps, in nats, by Monte Carlo.

    Each sample draws a path of the context from the approximate posterior, which sees the context
    only, and goes on along the prior; the likelihoods of the whole rest are averaged, in log space.
    On average a lower bound that rises with `num_samples`.

    Args:
        model: the generative model.
        inference: how the latents of the context are inferred.
        xs: the sequence; NaN means missing.
        context: number of first steps that are given.
        observed: which steps or entries were observed; all if `None`.
        key: randomness.
        num_samples: paths.

    Raises:
        ValueError: `context` leaves nothing to infer from or to predict, `num_samples` is below 1,
            or `xs` or `observed` is malformed.

    Reference: Zhao and Linderman (2023), section 4.3: frames 51 to 100 given 1 to 50.
    """
    xs, observed = prepare(model, xs, observed)
    if not 0 < context < len(xs):
        raise ValueError(f"context is {context}; expected from 1 to {len(xs) - 1}.")
    past, rest = (xs[:context], observed[:context]), (xs[context:], observed[context:])

    def path(path_key: Key[Array, ""]) -> Float[Array, ""]:
        infer_key, rest_key = jr.split(path_key)
        _, _, state = inferred(model, inference, *past, key=infer_key)

        def step(state: State, inputs: tuple) -> tuple[State, Float[Array, ""]]:
            draw_key, impute_key = jr.split(inputs[2])
            z = model.prior(state).sample(key=draw_key)
            likelihood = model.likelihood(state, z)
            filled = impute(likelihood, inputs[0], inputs[1], key=impute_key)
            return model.next(state, filled, z), likelihood.log_prob(inputs[0], inputs[1])

        keys = step_keys(len(rest[0]), key=rest_key)
        return jnp.sum(jax.lax.scan(step, state, (*rest, keys))[1])

    nats = jax.vmap(path)(jr.split(key, num_samples))
    return jax.nn.logsumexp(nats) - math.log(num_samples)


def inferred(
    model: AbstractModel,
    inference: AbstractInference,
    xs: Observations,
    observed: Observed,
    *,
    key: Key[Array, ""],
) -> tuple[Trace, State, State]:
    """A trace, the model's state before each of its steps, and the state after the last."""
    xs, observed = prepare(model, xs, observed)
    if inference.stepper is not None:
        return followed(model, inference.stepper, xs, observed, key=key)
    path_key, replay_key, last_key = jr.split(key, 3)
    trace = inference.infer(model, xs, observed, key=path_key)
    states = model.states(xs, observed, trace.z, key=replay_key)
    state = jax.tree.map(lambda leaf: leaf[-1], states)
    filled = impute(model.likelihood(state, trace.z[-1]), xs[-1], observed[-1], key=last_key)
    return trace, states, model.next(state, filled, trace.z[-1])


def followed(
    model: AbstractModel,
    method: AbstractStepwise,
    xs: Float[Array, "time obs"],
    observed: Bool[Array, "time obs"],
    *,
    key: Key[Array, ""],
) -> tuple[Trace, State, State]:
    """`infer`, with the states that the filter went through: they hold what it imputed."""

    def body(loop: tuple, inputs: tuple) -> tuple[tuple, tuple[Trace, State]]:
        x, seen, step_key = inputs
        after, trace = method.step(model, loop, x, seen, key=step_key)
        return after, (trace, loop[0])

    inputs = (xs, observed, step_keys(len(xs), key=key))
    (state, _), (trace, states) = jax.lax.scan(body, method.start(model), inputs)
    return trace, states, state
