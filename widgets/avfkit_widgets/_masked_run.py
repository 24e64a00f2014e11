"""Behind the mask explorer: posterior paths of a film of which a window is missing."""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Key

import avfkit

from ._table import Slider, Values

DRAWS, PICTURED = 200, 32  # paths behind the band, and behind a mean frame


@eqx.filter_jit
def infer_masked(
    model: avfkit.AbstractMarkovModel,
    inference: avfkit.AbstractInference,
    film: Float[Array, "time pixels"],
    seen: Bool[Array, " time"],
    places: tuple[Float[Array, "parameters 2"], Array],
    *,
    key: Key[Array, ""],
) -> tuple[Float[Array, "draws time 2"], Float[Array, "frames pixels"]]:
    """Draw paths from the posterior of a film of which steps are missing; a mask compiles nothing.

    Args:
        model: the model.
        inference: how its latents are inferred.
        film: the data.
        seen: which steps inference sees.
        places: weights of the read-out, and the steps whose frames are wanted.
        key: randomness of the paths.

    Returns:
        Read-outs of all paths, and the mean over some of them of the frames.
    """
    readout, shown = places
    keys = jr.split(key, DRAWS)
    zs = jax.vmap(lambda one: inference.infer(model, film, seen, key=one).z)(keys)
    frames = jax.vmap(jax.vmap(lambda z: model.emission(z).mean))(zs[:PICTURED, shown])
    return readout[0] + zs @ readout[1:], jnp.mean(frames, axis=0)


def check_film(
    model: avfkit.AbstractModel,
    shape: tuple[int, int],
    films: tuple[ArrayLike, ArrayLike],
    truth: ArrayLike,
    readout: ArrayLike,
) -> None:
    """Check that model, film, truth and read-out belong together.

    Args:
        model: the model.
        shape: height and width of a frame.
        films: the data, and the film without noise.
        truth: the two numbers that are read out.
        readout: weights of the read-out.

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
    wanted = {
        "clean": (films[1], (length, model.obs_size)),
        "truth": (truth, (length, 2)),
        "readout": (readout, (model.latent_size + 1, 2)),
    }
    for word, (array, expected) in wanted.items():
        if np.shape(array) != expected:
            raise ValueError(f"{word} has shape {np.shape(array)}; expected {expected}.")


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
