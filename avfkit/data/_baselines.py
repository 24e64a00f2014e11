"""Two trivial models of piano rolls: what any real model has to beat."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ._dataset import Dataset


class Score(NamedTuple):
    """Negative log-likelihood in nats per step, averaged in the two ways the literature uses.

    Attributes:
        all_steps: mean over all steps of all songs.
        mean_of_songs: mean over songs of the mean over their steps.
    """

    all_steps: float
    mean_of_songs: float


def bernoulli_frequencies(train: Dataset) -> Float[np.ndarray, " keys"]:
    """How often each key sounds: (count + 1) / (steps + 2).

    So a key that is never heard keeps a little probability. A model whose output starts at these
    frequencies starts at `bernoulli_baseline`.

    Raises:
        ValueError: if the set holds anything but zeros and ones.
    """
    _check_binary("train", train)
    count = sum(song.sum(0, dtype=float) for song in _songs(train))
    return _smooth(np.asarray(count), np.asarray(float(train.num_steps)))


def bernoulli_baseline(train: Dataset, test: Dataset) -> Score:
    """Independent keys, each sounding with its frequency in the training songs.

    The frequencies are those of `bernoulli_frequencies`. On JSB Chorales: 11.06 nats over all
    steps, 11.00 as mean of songs.

    Raises:
        ValueError: if the two sets differ in width or hold anything but zeros and ones.

    References:
        Boulanger-Lewandowski et al. (2012), Table 1, "Note 1-gram".
    """
    _check(train, test)
    frequency = bernoulli_frequencies(train)
    return score_of([_nats(s, np.broadcast_to(frequency, s.shape)) for s in _songs(test)])


def markov_baseline(train: Dataset, test: Dataset) -> Score:
    """Independent keys, each a Markov chain: its probability depends on whether it sounded before.

    Both transition frequencies are smoothed as in `bernoulli_baseline`, which also scores the first
    step. On JSB Chorales: 10.47 nats in both averages.

    Raises:
        ValueError: if the two sets differ in width or hold anything but zeros and ones.
    """
    _check(train, test)
    before = np.concatenate([song[:-1] for song in _songs(train)]).astype(float)
    after = np.concatenate([song[1:] for song in _songs(train)]).astype(float)
    kept = _smooth((after * before).sum(0), before.sum(0))
    begun = _smooth((after * (1 - before)).sum(0), (1 - before).sum(0))
    first = bernoulli_frequencies(train)[None]
    predicted = (np.concatenate([first, np.where(s[:-1] > 0, kept, begun)]) for s in _songs(test))
    return score_of([_nats(s, p) for s, p in zip(_songs(test), predicted, strict=True)])


def _songs(data: Dataset) -> Iterator[np.ndarray]:
    return (np.asarray(song) for song in data.sequences)


def _smooth(count: np.ndarray, total: np.ndarray) -> np.ndarray:
    return (count + 1) / (total + 2)


def _nats(
    song: Float[np.ndarray, "time keys"], probability: Float[np.ndarray, "time keys"]
) -> Float[np.ndarray, " time"]:
    return -np.where(song > 0, np.log(probability), np.log1p(-probability)).sum(1)


def score_of(nats: list[np.ndarray]) -> Score:
    """The averages of the nats of each step of each song."""
    means = [float(song.mean()) for song in nats]
    return Score(float(np.concatenate(nats).mean()), float(np.mean(means)))


def _check(train: Dataset, test: Dataset) -> None:
    if train.obs_size != test.obs_size:
        raise ValueError(
            f"test has {test.obs_size} columns, expected {train.obs_size} as in train."
        )
    _check_binary("train", train)
    _check_binary("test", test)


def _check_binary(argument: str, data: Dataset) -> None:
    if any(not np.isin(song, (0, 1)).all() for song in _songs(data)):
        raise ValueError(f"{argument} ({data.name}) must hold zeros and ones only.")
