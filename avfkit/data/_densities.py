"""Two trivial models of levels, of sound and of pictures: what any real model has to beat.

Samples and pixels are integers. A density is therefore integrated over the level that was observed,
`[x - window / 2, x + window / 2]`, which makes log-probabilities of it: at most 0, and the same in
whatever unit. No floor is put under them.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from jaxtyping import Float

from .._checked import checked
from ._baselines import Score, score_of
from ._dataset import Dataset
from ._levels import Levels

_BLOCK = 256  # steps of a long recording that are in memory at once


@checked
def linear_prediction_baseline(
    train: Dataset,
    test: Dataset,
    order: int = 16,
    noise: Literal["laplace", "gaussian"] = "laplace",
) -> Score:
    """Linear prediction of each sample from those before it, with noise of one constant size.

    The coefficients are those of least squares over the training utterances; the scale of the noise
    is the mean absolute (Laplace) or root mean square (Gaussian) residual. Before an utterance
    begins there is silence, which is the mean. Order 0 with Gaussian noise is white noise. On the
    TIMIT sample, in nats per 200 samples: white 1,490, order 16 with Gaussian noise 1,288, with
    Laplace noise 1,188; on the subset of Speech Commands 1,873, 1,567 and 1,364.

    Args:
        train: frames of sound, such as `timit_sample().train`.
        test: frames of the same size and window.
        order: how many samples before each one are known.
        noise: the density of what is not predicted.

    Returns:
        Nats per step, that is per frame.

    Raises:
        ValueError: if the sets do not belong together, entries are missing, values are no levels,
            or an argument is out of range.
    """
    window = _check(train, test)
    if order < 0:
        raise ValueError(f"order is {order}, expected 0 or more.")
    if noise not in _LOG_PROBABILITY:
        raise ValueError(f"noise is {noise!r}, expected one of {list(_LOG_PROBABILITY)}.")
    whitening = np.append(-_prediction(train, order), 1)
    size = _size(_residuals(train, whitening), noise, window)
    log_probability = _LOG_PROBABILITY[noise]

    def nats(sequence: np.ndarray | Levels) -> np.ndarray:
        pieces = _pieces(sequence, order)
        each = [-log_probability(np.correlate(p, whitening, "valid"), size, window) for p in pieces]
        return np.concatenate(each).reshape(-1, test.obs_size).sum(1)

    return score_of([nats(sequence) for sequence in test.sequences])


def pixel_baseline(train: Dataset, test: Dataset) -> Score:
    """Independent Gaussian pixels, each with its mean and variance over the training frames.

    To the frames of each pixel one is added that deviates from its mean by as much as pixels do on
    average, so that a pixel that never changed keeps a little variance, at least `window**2`. On
    the CMU films: 11,673 nats per frame over all frames.

    Args:
        train: films, such as `films().train`.
        test: films of the same size and window.

    Returns:
        Nats per step, that is per frame.

    Raises:
        ValueError: if the sets do not belong together, entries are missing, or values are no
            levels.
    """
    window = _check(train, test)
    mean = sum(np.asarray(s).sum(0, dtype=float) for s in train.sequences) / train.num_steps
    squares = sum(((np.asarray(s) - mean) ** 2).sum(0) for s in train.sequences)
    average = np.mean(squares) / train.num_steps
    variance = np.maximum((squares + average) / (train.num_steps + 1), window**2)
    nats = (-_gaussian(np.asarray(s) - mean, np.sqrt(variance), window) for s in test.sequences)
    return score_of([n.sum(1) for n in nats])


def _gaussian(
    r: Float[np.ndarray, "..."], size: float | np.ndarray, window: float
) -> Float[np.ndarray, "..."]:
    """Log-probability of a level at distance r from the mean, both ends in the lower tail."""
    from scipy.special import log_ndtr  # JAX brings scipy

    far, near = (log_ndtr((edge - np.abs(r)) / size) for edge in (-window / 2, window / 2))
    return near + np.log(-np.expm1(far - near))


def _laplace(
    r: Float[np.ndarray, "..."], size: float | np.ndarray, window: float
) -> Float[np.ndarray, "..."]:
    """Log-probability of a level at distance r from the median, which may lie in the level."""
    r, half = np.abs(r) / size, window / 2 / size
    outside = half - r + np.log(-np.expm1(-2 * half)) - np.log(2)
    inside = np.minimum(r, half)
    mass = -(np.expm1(inside - half) + np.expm1(-inside - half)) / 2
    return np.where(r > half, outside, np.log(mass))


_LOG_PROBABILITY = {"laplace": _laplace, "gaussian": _gaussian}


def _prediction(train: Dataset, order: int) -> Float[np.ndarray, " order"]:
    """The coefficients of least squares, that of the sample just before last."""
    products = np.zeros((order + 1, order + 1))
    for piece in (p for sequence in train.sequences for p in _pieces(sequence, order)):
        shifted = np.stack([piece[i : len(piece) - order + i] for i in range(order + 1)])
        products += shifted @ shifted.T
    return np.linalg.lstsq(products[:-1, :-1], products[:-1, -1])[0]


def _residuals(
    data: Dataset, whitening: Float[np.ndarray, " taps"]
) -> Iterator[Float[np.ndarray, " samples"]]:
    for sequence in data.sequences:
        for piece in _pieces(sequence, len(whitening) - 1):
            yield np.correlate(piece, whitening, "valid")


def _pieces(sequence: np.ndarray | Levels, order: int) -> Iterator[Float[np.ndarray, " samples"]]:
    """The samples of an utterance, a block at a time, each after the `order` samples before it."""
    before = np.zeros(order)
    for start in range(0, len(sequence), _BLOCK):
        block = np.asarray(sequence[start : start + _BLOCK], float).ravel()
        piece = np.concatenate([before, block])
        before = piece[len(piece) - order :]
        yield piece


def _size(residuals: Iterator[np.ndarray], noise: str, window: float) -> float:
    """The size of the noise, at least that of rounding to levels."""
    power, least = (1, window / 4) if noise == "laplace" else (2, window / 12**0.5)
    total, count = 0.0, 0
    for r in residuals:
        total, count = total + float((np.abs(r) ** power).sum()), count + len(r)
    return max((total / count) ** (1 / power), least)


def _check(train: Dataset, test: Dataset) -> float:
    """The window of both sets."""
    if train.obs_size != test.obs_size:
        raise ValueError(
            f"test has {test.obs_size} columns, expected {train.obs_size} as in train."
        )
    for argument, data in (("train", train), ("test", test)):
        missing = data.observed is not None and not all(m.all() for m in data.observed)
        floats = (s for s in data.sequences if not isinstance(s, Levels))
        if missing or any(np.isnan(s).any() for s in floats):
            raise ValueError(f"{argument} ({data.name}) must have no missing entries.")
    if train.window is None or test.window != train.window:
        raise ValueError(
            f"test has the window {test.window}, train {train.window}; expected the same number."
        )
    return train.window
