"""Behind the mask explorer: posterior paths of a film of which a window is missing."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Key

import avfkit

from ._plot import nice_axis, step_ticks
from ._table import Slider, Values

Readout = Callable[[Float[Array, " latent"]], Float[Array, " 2"]]
DRAWS, PICTURED = 200, 32  # paths behind the band, and behind a mean frame


@eqx.filter_jit
def infer_masked(
    model: avfkit.AbstractMarkovModel,
    inference: avfkit.AbstractInference,
    film: Float[Array, "time pixels"],
    seen: Bool[Array, " time"],
    places: Int[Array, " frames"],
    *,
    readout: Readout,
    key: Key[Array, ""],
) -> tuple[Float[Array, "draws time 2"], Float[Array, "frames pixels"]]:
    """Draw paths from the posterior of a film of which steps are missing; a mask compiles nothing.

    Args:
        model: the model.
        inference: how its latents are inferred.
        film: the data.
        seen: which steps inference sees.
        places: the steps whose frames are wanted.
        readout: two numbers of a latent.
        key: randomness of the paths.

    Returns:
        Read-outs of all paths, and the mean over some of them of the frames.
    """
    keys = jr.split(key, DRAWS)
    zs = jax.vmap(lambda one: inference.infer(model, film, seen, key=one).z)(keys)
    frames = jax.vmap(jax.vmap(lambda z: model.emission(z).mean))(zs[:PICTURED, places])
    return jax.vmap(jax.vmap(readout))(zs), jnp.mean(frames, axis=0)


def check_film(
    model: avfkit.AbstractModel,
    shape: tuple[int, int],
    films: tuple[ArrayLike, ArrayLike],
    truth: ArrayLike,
    readout: Readout,
) -> None:
    """Check that model, film, truth and read-out belong together.

    Args:
        model: the model.
        shape: height and width of a frame.
        films: the data, and the film without noise.
        truth: the two numbers that are read out.
        readout: two numbers of a latent.

    Raises:
        TypeError: if frames depend on more than the latent.
        ValueError: if a shape does not fit.
    """
    if not isinstance(model, avfkit.AbstractMarkovModel):
        raise TypeError(
            f"model is a {type(model).__name__}; expected one whose likelihood is a function of "
            "z_t alone, a subclass of AbstractMarkovModel."
        )
    if math.prod(shape) != model.obs_size:
        raise ValueError(f"shape is {shape}; expected {model.obs_size} pixels, model's obs_size.")
    length = len(np.asarray(films[0]))
    read = jax.eval_shape(readout, jnp.zeros(model.latent_size))
    wanted = {
        "clean": (np.shape(films[1]), (length, model.obs_size)),
        "truth": (np.shape(truth), (length, 2)),
        "readout(z)": (jnp.shape(read), (2,)),
    }
    for word, (found, expected) in wanted.items():
        if found != expected:
            raise ValueError(f"{word} has shape {found}; expected {expected}.")


def hidden_steps(values: Values, length: int) -> Bool[np.ndarray, " time"]:
    """Which steps a window hides; what lies beyond the end does not count.

    Args:
        values: `start`, counted from 1, and `length`.
        length: of the film.

    Returns:
        True at each hidden step.
    """
    steps, first = np.arange(1, length + 1), values["start"]
    return (steps >= first) & (steps < first + values["length"])


def window_sliders(windows: tuple[Sequence[int], Sequence[int]], length: int) -> tuple[Slider, ...]:
    """The two sliders of a window.

    Args:
        windows: choices of the first hidden step and of the number of hidden steps.
        length: of the film.

    Returns:
        `start` and `length`.

    Raises:
        ValueError: if a window would not begin within the film, or hide all of it.
    """
    starts, lengths = map(tuple, windows)
    if not (starts and lengths and min(starts) >= 1 and max(starts) <= length):
        raise ValueError(f"starts is {starts}; expected steps from 1 to {length}.")
    if min(lengths) < 0 or max(lengths) >= length:
        raise ValueError(f"lengths is {lengths}; expected from 0 to {length - 1} hidden steps.")
    from_step = tuple(f"from step {start}" for start in starts)
    hidden = tuple(f"{count} step{'' if count == 1 else 's'} hidden" for count in lengths)
    return (
        Slider("start", "Window starts", starts, from_step),
        Slider("length", "Steps hidden", lengths, hidden),
    )


def mask_extras(
    truth: Float[np.ndarray, "time 2"],
    places: Int[np.ndarray, " frames"],
    shape: tuple[int, int],
    names: tuple[tuple[str, str], tuple[str, str]],
) -> dict[str, Any]:
    """Sizes, axes and words of the picture.

    Args:
        truth: the two numbers that are read out.
        places: the steps whose frames are shown.
        shape: height and width of a frame.
        names: name and unit of each number.

    Returns:
        What JSON can hold.
    """
    length, (what, unit) = len(truth), names[0]
    return {
        "shape": list(shape),
        "places": places.tolist(),
        "length": length,
        "what": what,
        "unit": unit,
        "titles": [", ".join(pair) for pair in names],
        "axes": [nice_axis(*_ends(truth[:, i]), 4) for i in range(2)],
        "step_ticks": step_ticks(1, length),
    }


def _ends(values: Float[np.ndarray, " time"]) -> tuple[float, float]:
    """The range of the truth and a fifth beyond it."""
    low, high = float(values.min()), float(values.max())
    return low - 0.2 * (high - low), high + 0.2 * (high - low)
