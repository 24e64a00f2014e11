"""What the filter explorer shows, as a pure function of its five values.

One latent number moves as z_t = a z_{t-1} + N(0, 1 - a^2), a stationary chain of variance 1, and is
seen as x_t = z_t + N(0, r). The signal-to-noise ratio is the latent's variance over the noise's:
SNR = 1 / r. The draws behind z and the noise are stored, x_t = z_t + e_t / sqrt(SNR), so moving the
SNR re-scales the noise smoothly.

The exact filter is Kalman's. The approximate one is variational filtering EM (Marino, Cvitkovic
and Yue 2018, Algorithm 1): at each step q starts at the prediction from its own past and takes k
gradient steps on F_t. The steps are plain and clipped, and the latent is measured in units of its
exact posterior standard deviation, in which the free energy has the same curvature at every SNR.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Float, Int

import avfkit

STEPS = 60
COEFFICIENT = 0.95
STATE_NOISE = 1 - COEFFICIENT**2
STEP_SIZE = 0.3
CLIP = 5.0
SNR_LIMITS = (0.01, 100.0)
MAX_ITERATIONS = 30


class ExplorerState(NamedTuple):
    """Everything a reader can move. Steps are counted from 1, as in the text.

    Attributes:
        snr: variance of the latent over variance of the observation noise.
        mask_start: the first hidden step.
        mask_length: how many steps are hidden; what lies beyond the last step does not count.
        iterations: gradient steps of the approximate filter at each time step.
        show_latent: whether the latent that made the data is drawn.
    """

    snr: float = 2.0
    mask_start: int = 25
    mask_length: int = 10
    iterations: int = 2
    show_latent: bool = False


class ExplorerArrays(NamedTuple):
    """The numbers of the picture, one per step; energies in nats.

    `gap` is F_t(q_k) + log p(x_t | x_<t), zero where the step is hidden. Its sum over the steps is
    never negative on average over data; a single step can be, when the approximate filter's own
    prediction happens to be the luckier one.
    """

    observation: Float[Array, " time"]
    observed: Float[Array, " time"]
    exact_mean: Float[Array, " time"]
    exact_var: Float[Array, " time"]
    approximate_mean: Float[Array, " time"]
    approximate_var: Float[Array, " time"]
    free_energy: Float[Array, " time"]
    log_evidence: Float[Array, " time"]
    gap: Float[Array, " time"]


def explorer_draws() -> tuple[Float[np.ndarray, " time"], Float[np.ndarray, " time"]]:
    """The stored latent path z and the standard normal noise e, rounded to three decimals.

    The legacy generator is used because its stream is frozen: every build shows the same data.
    """
    generator = np.random.RandomState(3)
    drift, noise = generator.randn(STEPS), generator.randn(STEPS)
    latent = np.empty(STEPS)
    latent[0] = drift[0]
    for step in range(1, STEPS):
        latent[step] = COEFFICIENT * latent[step - 1] + np.sqrt(STATE_NOISE) * drift[step]
    return np.round(latent, 3), np.round(noise, 3)


def explorer_arrays(
    snr: Float[Array, ""],
    mask_start: Int[Array, ""],
    mask_length: Int[Array, ""],
    iterations: Int[Array, ""],
) -> ExplorerArrays:
    """Run the exact and the approximate filter; all four arguments are traced values.

    Args:
        snr: signal-to-noise ratio, positive.
        mask_start: first hidden step, counted from 1.
        mask_length: number of hidden steps.
        iterations: gradient steps per time step.

    Returns:
        `ExplorerArrays` in the dtype of `snr`.

    References:
        Marino, Cvitkovic and Yue (2018), Algorithm 1 and Eq. 9.
    """
    latent, noise = (jnp.asarray(draw, snr.dtype) for draw in explorer_draws())
    observation = latent + noise / jnp.sqrt(snr)
    time = jnp.arange(1, STEPS + 1, dtype=mask_start.dtype)
    observed = (time < mask_start) | (time >= mask_start + mask_length)
    unit = jnp.sqrt(steady_variance(snr))
    model, key = _model(snr, unit), jr.key(0)  # the key only draws paths, which are not shown
    approximate, exact = (
        avfkit.MarginalFilter(method).infer(model, observation[:, None], observed, key=key)
        for method in (_descent(iterations), avfkit.KalmanFilter())
    )
    variances = jax.vmap(lambda belief: belief.variance[0] * unit**2)
    return ExplorerArrays(
        observation=observation,
        observed=observed.astype(snr.dtype),
        exact_mean=exact.posterior.mean[:, 0] * unit,
        exact_var=variances(exact.posterior),
        approximate_mean=approximate.posterior.mean[:, 0] * unit,
        approximate_var=variances(approximate.posterior),
        free_energy=approximate.free_energy,
        log_evidence=-exact.free_energy,
        gap=approximate.free_energy - exact.free_energy,
    )


def steady_variance(snr: Float[Array, ""]) -> Float[Array, ""]:
    """Variance V of the exact posterior after many observed steps.

    The positive root of a^2 V^2 + (q + r - a^2 r) V - q r = 0, which is V = S r / (S + r) with the
    prediction's variance S = a^2 V + q.
    """
    noise, square = 1 / snr, COEFFICIENT**2
    linear = STATE_NOISE + noise * (1 - square)
    root = jnp.sqrt(linear**2 + 4 * square * STATE_NOISE * noise)
    return 2 * STATE_NOISE * noise / (linear + root)


def _model(snr: Float[Array, ""], unit: Float[Array, ""]) -> avfkit.LDS:
    """The chain with its latent measured in `unit`: z = unit * latent."""
    one = jnp.ones((1, 1), snr.dtype)
    emission = avfkit.nn.LinearGaussian(unit * one, 0 * one[0], -jnp.log(snr) * one[0])
    first = avfkit.FullGaussian.from_covariance(0 * one[0], one / unit**2)
    drift = avfkit.FullGaussian.from_covariance(0 * one[0], STATE_NOISE * one / unit**2)
    return avfkit.LDS(
        first=first,
        dynamics=avfkit.nn.FreeDynamics(COEFFICIENT * one),
        noise=drift,
        emission=emission,
        obs_size=1,
        latent_size=1,
    )


def _descent(iterations: Int[Array, ""]) -> avfkit.IterativeFilter:
    """Variational filtering EM by clipped gradient descent, stopped after some iterations."""
    optimizer = optax.chain(optax.clip(CLIP), optax.sgd(STEP_SIZE))
    update = avfkit.GradientUpdate(optimizer, family=avfkit.DiagonalGaussian)
    return avfkit.IterativeFilter(update, MAX_ITERATIONS, avfkit.Cubature(), stop_after=iterations)


_jitted_arrays = jax.jit(explorer_arrays)


def evaluate(state: ExplorerState) -> ExplorerArrays:
    """The arrays of one state, by one compiled function that every state shares.

    Args:
        state: the five values; `show_latent` does not matter here.

    Returns:
        `ExplorerArrays` of NumPy arrays, in double precision where JAX is set to it.
    """
    counts = (state.mask_start, state.mask_length, state.iterations)
    arrays = _jitted_arrays(
        jnp.asarray(state.snr, jnp.result_type(float)),
        *(jnp.asarray(count, jnp.result_type(int)) for count in counts),
    )
    return ExplorerArrays(*(np.asarray(array) for array in arrays))


def summary(state: ExplorerState, arrays: ExplorerArrays) -> str:
    """The one-sentence description under the picture, the same in Python and in the page.

    Args:
        state: the five values.
        arrays: their `evaluate`.

    Returns:
        A sentence with the gap per observed step and in all, in nats.
    """
    observed = int(np.sum(np.asarray(arrays.observed) > 0.5))
    if observed == 0:
        return "Every step is hidden: both filters only predict, and there is no gap."
    total = float(np.sum(np.asarray(arrays.gap, np.float64)))
    count = "1 iteration per step leaves"
    if state.iterations != 1:
        count = f"{state.iterations} iterations per step leave"
    return (
        f"At SNR {state.snr:.3g}, {count} the approximate filter "
        f"{format_nats(total / observed)} nats per observed step behind the "
        f"exact one ({format_nats(total)} nats in all); {_hidden(state)}."
    )


def _hidden(state: ExplorerState) -> str:
    last = min(state.mask_start + state.mask_length - 1, STEPS)
    if last < state.mask_start:
        return "no step is hidden"
    if last == state.mask_start:
        return f"step {last} is hidden"
    return f"steps {state.mask_start} to {last} are hidden"


def format_nats(value: float) -> str:
    """Write nats with three decimals below 1, two below 10, else one; never minus zero."""
    decimals = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text
