"""The calibration of a model's latents, on data drawn from it, and of what it predicts.

Latents of recorded data are not known, so beliefs about them can only be judged on data drawn from
the model itself. Predictions can be judged on any data.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from .._arrays import as_array
from .._checked import AtLeastTwo, Size, checked
from .._distributions import AbstractDistribution
from .._inference import AbstractInference, AbstractStepwise, stepwise
from .._model import AbstractModel, prepare
from .._prediction import followed
from .._sample import sample
from .._types import Observations, Observed, State
from ._calibration import Calibration, calibration, placed
from ._pit import edges
from ._scores import crps

Quantity = Callable[[Float[Array, "time latent"]], Float[Array, "*shape"]]


@checked
def simulated_calibration(
    model: AbstractModel,
    inference: AbstractInference,
    length: Size,
    observed: Observed = None,
    *,
    key: Key[Array, ""],
    num_problems: Size,
    num_samples: AtLeastTwo,
    quantity: Quantity | None = None,
) -> Calibration:
    """Draw latents and data from the model, infer, and see where the true latents fall.

    The right posterior is calibrated at every step and entry: a smoother's against all data, that
    of `MarginalFilter` against the past. A filter that draws a path never looks back at it, so its
    draws are those of neither, however exact its steps.

    Every draw is an inference of its own: ranks need no thinning. Passing is necessary and not
    sufficient: who ignores the data and returns the prior passes too. Among the calibrated the
    right posterior has the lowest `crps`.

    Args:
        model: the generative model.
        inference: the method to be judged.
        length: steps of each sequence.
        observed: which steps `[time]` or entries `[time, obs]` are shown to inference.
        key: randomness.
        num_problems: sequences, the cases of the result.
        num_samples: draws from the posterior of each, at least 2.
        quantity: a function of a path to judge instead of each z_t, as its length or a difference
            of neighbours.

    Returns:
        The calibration, `[problems, time, latent]`, or `[problems, ...]` of the quantity.

    Raises:
        TypeError: a quantity is asked for, and the method draws no joint path.
        ValueError: `num_problems` is below 1, or `num_samples` below 2.

    Reference: Talts et al. (2018), Algorithm 1; Modrák et al. (2023) for quantities of many
    variables.
    """
    if quantity is not None and not inference.joint:
        raise TypeError(
            f"quantity needs a method that draws a joint path; {type(inference).__name__} draws "
            "from each step's belief on its own. Use a smoother, or no quantity."
        )
    observed = None if observed is None else as_array("observed", observed)
    sizes = (length, num_problems, num_samples)
    return _simulated((model, inference), sizes, observed, quantity or _itself, key=key)


@eqx.filter_jit
def _simulated(
    pair: tuple[AbstractModel, AbstractInference],
    sizes: tuple[int, int, int],
    observed: Observed,
    quantity: Quantity,
    *,
    key: Key[Array, ""],
) -> Calibration:
    (model, inference), (length, num_problems, num_samples) = pair, sizes
    problem_key, place_key = jr.split(key)

    def problem(key: Key[Array, ""]) -> tuple[Array, Array]:
        data_key, infer_key = jr.split(key)
        xs, zs = sample(model, length, key=data_key)

        def draw(key: Key[Array, ""]) -> Array:
            return quantity(inference.infer(model, xs, observed, key=key).z)

        return jax.vmap(draw)(jr.split(infer_key, num_samples)), quantity(zs)

    draws, truth = jax.vmap(problem, out_axes=(1, 0))(jr.split(problem_key, num_problems))
    return calibration(draws, truth, key=place_key)


@checked
def predictive_calibration(
    model: AbstractModel,
    inference: AbstractInference,
    xs: Observations,
    observed: Observed = None,
    *,
    key: Key[Array, ""],
    num_samples: AtLeastTwo,
) -> Calibration:
    """Where each observation falls among draws from what was expected before it was seen.

    Draws of p(x_t | x_<t): the past is inferred, z_t comes from the prior, x_t from the likelihood.
    If the predictions are right, the steps of one entry are independent and uniform. Entries of one
    step are judged on their own. Of a `DiscretisedGaussian` the bins are judged; its score is that
    of the signal before rounding.

    Args:
        model: the generative model.
        inference: a filter, or `MarginalFilter`.
        xs: one sequence; NaN means missing.
        observed: which steps or entries were observed; all if `None`.
        key: randomness.
        num_samples: draws for each step, each after a path of its own; at least 2.

    Returns:
        The calibration, `[time, obs]`; NaN where nothing was observed.

    Raises:
        TypeError: the method sees the future.
        ValueError: `num_samples` is below 2, or `xs` or `observed` is malformed.

    **Example**

    ```python
    found = avfkit.predictive_calibration(model, avf, xs, key=key, num_samples=99)
    found.coverage([0.5, 0.9]), found.spread
    ```

    Reference: Dawid (1984), "Statistical theory: the prequential approach"; Gneiting, Balabdaoui
    and Raftery (2007).
    """
    method = stepwise(inference)
    if method is None:
        raise TypeError(
            "predictive_calibration needs a method that sees the past only (a filter, or "
            f"MarginalFilter); {type(inference).__name__} is not one. Use simulated_calibration."
        )
    xs, observed = prepare(model, xs, observed)
    return _predictive((model, method), xs, observed, num_samples, key=key)


@eqx.filter_jit
def _predictive(
    pair: tuple[AbstractModel, AbstractStepwise],
    xs: Float[Array, "time obs"],
    observed: Bool[Array, "time obs"],
    num_samples: int,
    *,
    key: Key[Array, ""],
) -> Calibration:
    model, method = pair
    draw_key, place_key = jr.split(key)

    def predict(state: State, prior: AbstractDistribution, x: Array, key: Array) -> tuple:
        z_key, x_key = jr.split(key)
        likelihood = model.likelihood(state, prior.sample(key=z_key))
        draw, (low, high) = likelihood.sample(key=x_key), edges(likelihood, x)
        return draw, draw < low, (low <= draw) & ((draw < high) | (draw == low))

    def path(key: Key[Array, ""]) -> tuple[Array, Array, Array]:
        path_key, predict_key = jr.split(key)
        trace, states, _ = followed(model, method, xs, observed, key=path_key)
        return jax.vmap(predict)(states, trace.prior, xs, jr.split(predict_key, len(xs)))

    draws, below, ties = jax.vmap(path)(jr.split(draw_key, num_samples))
    found = Calibration(placed(below, ties, key=place_key), crps(draws, xs))
    return jax.tree.map(lambda values: jnp.where(observed, values, jnp.nan), found)


def _itself(zs: Float[Array, "time latent"]) -> Float[Array, "time latent"]:
    return zs
