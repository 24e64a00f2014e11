"""What a model that has learned a pendulum knows of it: the tests of section 4.3 and more.

Reference: Zhao and Linderman (2023), section 4.3, Figs. 4 to 6 and Table 2.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array

import avfkit
from avfkit import data
from avfkit.data import PendulumPaths, Splits

from .._keys import key_of

_SIZE = 24
_GIVEN, _PATHS, _DRAWS = 50, 200, 32
_FIRST = 20  # sequences that are forecast and filled
_HIDDEN = slice(40, 60)  # frames of the window that is hidden at test time
_LEVELS = (0.5, 0.8, 0.95)
_TARGETS = {"angle": "angles", "velocity": "velocities"}


def measure(tree: tuple, splits: Splits, test: Mapping[str, Any]) -> dict[str, Any]:
    """How well a linear read-out of the latents knows the truth, and how well it predicts.

    Returns:
        `r2`: of `angle` (radians, unwrapped) and `velocity` (radians per second), by least squares
        with an intercept from posterior means, fitted on the training part; `elbo` and
        `prediction`: nats per pixel of the bound on all frames, and of frames 51 to 100 given the
        first 50 by Monte Carlo with 200 paths, of the first 20 sequences, which also serve for
        `imputation` (of frames 41 to 60: nats per pixel, and `r2`) and `forecast` (see below).
    """
    truth = data.pendulum()[1]
    known, new = (_means(tree, part.sequences) for part in (splits.train, splits.test))
    first = splits.test.sequences[:_FIRST]
    seen = np.ones(len(first[0]), bool)
    seen[_HIDDEN] = False
    filled = _means(tree, first, seen)[:, _HIDDEN]

    def r2(features: np.ndarray, frames: slice) -> dict[str, float]:
        found = {}
        for name, field in _TARGETS.items():
            train, target = (getattr(part, field) for part in (truth.train, truth.test))
            found[name] = read_out(known, features, train, target[: len(features), frames])
        return found

    bound = -test["free_energy_per_step"]["all_steps"] / _SIZE**2
    return {
        "r2": r2(new, slice(None)),
        "elbo": bound,
        "prediction": _prediction(tree, first),
        "imputation": {"nats": _imputed(tree, first, seen), "r2": r2(filled, _HIDDEN)},
        **_forecasts(tree, first, truth.test),
    }


def read_out(known: np.ndarray, new: np.ndarray, target: np.ndarray, truth: np.ndarray) -> float:
    """R^2 of a linear read-out fitted on (known, target), on (new, truth)."""
    size = known.shape[-1]
    known, new = (
        np.column_stack([np.ones(z.size // size), z.reshape(-1, size)]) for z in (known, new)
    )
    weights = np.linalg.lstsq(known, target.ravel(), rcond=None)[0]
    return float(1.0 - np.mean((truth.ravel() - new @ weights) ** 2) / np.var(truth))


def pictured_angle(frames: Array) -> Array:
    """The angle, in radians, of what pictures show: the direction of their centre of light."""
    places = jnp.linspace(-0.5, 0.5, _SIZE)
    pictures = frames.reshape(*frames.shape[:-1], _SIZE, _SIZE)
    right, down = pictures.sum(-2) @ places, pictures.sum(-1) @ places
    return jnp.arctan2(right, down)


def _means(tree: tuple, sequences: Any, seen: np.ndarray | None = None) -> np.ndarray:
    """The mean of z over draws from the posterior, `[sequences, time, latent]`."""
    model, inference = tree
    keys = jr.split(key_of("test"), _DRAWS)

    @jax.jit
    def mean(xs: Array) -> Array:
        def draw(key: Array) -> Array:
            return inference.infer(
                model, xs, None if seen is None else jnp.asarray(seen), key=key
            ).z

        return jnp.mean(jax.vmap(draw)(keys), axis=0)

    return np.stack([np.asarray(mean(jnp.asarray(xs))) for xs in sequences])


def _prediction(tree: tuple, sequences: Any) -> float:
    model, inference = tree

    @jax.jit
    def nats(xs: Array) -> Array:
        options: dict[str, Any] = {"key": key_of("test"), "num_samples": _PATHS}
        return avfkit.predictive_log_likelihood(model, inference, xs, _GIVEN, **options)

    found = [float(nats(jnp.asarray(xs))) for xs in sequences]
    return float(np.mean(found)) / ((len(sequences[0]) - _GIVEN) * _SIZE**2)


def _imputed(tree: tuple, sequences: Any, seen: np.ndarray) -> float:
    (model, inference), observed = tree, jnp.asarray(seen)

    @jax.jit
    def nats(xs: Array) -> Array:
        options: dict[str, Any] = {"key": key_of("test"), "num_samples": _PATHS}
        return avfkit.imputation(model, inference, xs, observed, **options).log_likelihood

    return float(np.mean([float(nats(jnp.asarray(xs))) for xs in sequences]))


def _forecasts(tree: tuple, sequences: Any, truth: PendulumPaths) -> dict[str, Any]:
    """Of frames 51 to 100 given the first 50, by 200 paths: pictures without noise, and angles.

    Returns:
        `forecast`: squared errors per pixel of the `mean` of the paths and of the `best` path, and
        their `spread` (variance) about that mean; `angle_error`: the median over frames of the
        distance, in radians, between the angle that a path shows and the true one. `coverage`: the
        share of true angles inside central intervals of the paths' angles, by level.
    """
    model, inference = tree
    keys = jr.split(key_of("test"), _PATHS)
    steps = len(sequences[0]) - _GIVEN

    @jax.jit
    def judge(xs: Array, frames: Array, angles: Array) -> dict[str, Array]:
        def path(key: Array) -> Array:
            _, zs = avfkit.continuation(model, inference, xs, steps, key=key)
            return jax.vmap(model.emission)(zs).mean

        shown = jax.vmap(path)(keys)
        mean, off = shown.mean(0), pictured_angle(shown) - angles
        off = (off + jnp.pi) % (2.0 * jnp.pi) - jnp.pi
        return {
            "mean": jnp.mean((mean - frames) ** 2),
            "best": jnp.mean((shown - frames) ** 2, axis=(1, 2)).min(),
            "spread": jnp.mean(shown.var(0)),
            "angle_error": jnp.median(jnp.abs(off)),
            "coverage": avfkit.coverage(off, jnp.zeros_like(angles), _LEVELS),
        }

    given = zip(sequences, truth.frames, truth.angles, strict=False)
    found = [
        judge(xs[:_GIVEN], frames[_GIVEN:], angles[_GIVEN:])
        for xs, frames, angles in jax.tree.map(jnp.asarray, list(given))
    ]
    average = jax.tree.map(lambda *scores: np.mean(scores, axis=0).tolist(), *found)
    shares = average.pop("coverage")
    return {
        "forecast": average,
        "coverage": {f"{level:g}": share for level, share in zip(_LEVELS, shares, strict=True)},
    }
