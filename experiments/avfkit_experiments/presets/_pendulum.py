"""The SVAE and its rivals on a noisy, filmed pendulum (Zhao and Linderman 2023, section 4.3)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

import avfkit
from avfkit import data
from avfkit.data import PendulumPaths, Splits
from avfkit.inference import learned_step, signed_log
from avfkit.nn import (
    BidirectionalRNN,
    Conditional,
    FrameDecoder,
    FrameEncoder,
    FullGaussianHead,
    StableDynamics,
    TemporalCNN,
)

from .._keys import key_of
from .._preset import Preset
from .._recipe import Recipe

_SIZE, _NOISE = 24, 0.1  # pixels a side; variance of the noise of each
_HIDDEN = 20
_GIVEN, _PATHS, _PREDICTED, _DRAWS = 50, 200, 20, 32


def pendulum(*, small: bool = False) -> Preset:
    """A latent chain behind 24 x 24 pixels; the twin has fewer channels."""
    widths = (8, 16, 8) if small else (32, 64, 32)
    return Preset(
        name="pendulum-small" if small else "pendulum",
        title=f"Pendulum{', small' if small else ''}",
        kind="video",
        model=partial(_model, widths=widths),
        own=partial(_own, widths=widths),
        load=lambda folder: data.pendulum()[0],
        recipe=_recipe(1_500 if small else 10_000),
        data="a filmed pendulum: 100/20/100 sequences of 100 frames, 24 x 24 pixels, noise of 0.1",
        differs="A stable by construction; angles unwrapped and an intercept in R^2"
        + ("; a quarter of the channels" if small else ""),
        update={"width": 64, "rule": learned_step, "normalise": signed_log, "gate_bias": -4.0},
        changes={name: {"mask_from": 1_000} for name in ("rnn-mf", "rnn-ar-l", "rnn-ar-nl")},
        iterations={"avf": 2, "vfem": 10},
        smoothers={name: partial(make, widths) for name, make in SMOOTHERS.items()},
        measure=_measure,
        latent=3,
        rate=50.0,
    )


def _recipe(steps: int) -> Recipe:
    return Recipe(
        steps=steps,
        batch_size=10,
        theta_rate=3e-3,
        phi_rate=3e-3,
        warmup=200,
        cosine=True,
        clip=1000.0,
        validate_every=250,
        patience=0,
        score_batch=10,
    )


def _model(*, widths: tuple[int, int, int], latent: int = 3, key: Key[Array, ""]) -> avfkit.LDS:
    dynamics_key, decoder_key = jr.split(key)
    decoder = FrameDecoder(latent, _SIZE, noise=_NOISE, widths=widths, key=decoder_key)
    dynamics = StableDynamics.rotation(latent, key=dynamics_key)
    return avfkit.LDS.create(dynamics, noise_var=0.1, emission=decoder)


def _own(
    model: avfkit.AbstractModel, *, widths: tuple[int, int, int], key: Key[Array, ""]
) -> avfkit.StructuredFilter:
    """The causal structured posterior."""
    net = _recognition(widths, model, key=key)
    return avfkit.StructuredFilter(potential=net)  # pyright: ignore[reportCallIssue] - a property


def _recognition(
    widths: tuple[int, int, int], model: avfkit.AbstractModel, *, key: Key[Array, ""]
) -> Any:
    """Convolutions, then a layer, then the Gaussian potential of a frame."""
    frame_key, head_key = jr.split(key)
    options = {"head": FullGaussianHead, "width": _HIDDEN, "depth": 2}
    head = Conditional(_HIDDEN, model.latent_size, **options, key=head_key)
    encoder = FrameEncoder(_SIZE, _HIDDEN, widths=widths, key=frame_key)
    return eqx.nn.Sequential([eqx.nn.Lambda(encoder), eqx.nn.Lambda(head)])


def _svae(
    widths: tuple[int, int, int], model: avfkit.AbstractModel, *, key: Key[Array, ""]
) -> avfkit.StructuredSmoother:
    return avfkit.StructuredSmoother(_recognition(widths, model, key=key))


def _rival(trunk: Any, head: Any) -> Any:
    def make(
        widths: tuple[int, int, int], model: avfkit.AbstractModel, *, key: Key[Array, ""]
    ) -> avfkit.AmortizedSmoother:
        frame_key, trunk_key, head_key = jr.split(key, 3)
        encoder = FrameEncoder(_SIZE, _HIDDEN, widths=widths, key=frame_key)
        reader = trunk(_SIZE**2, _HIDDEN, embed=encoder, key=trunk_key)
        return avfkit.AmortizedSmoother(
            reader, head(reader.out_size, model.latent_size, key=head_key)
        )

    return make


SMOOTHERS: Mapping[str, Any] = {
    "svae": _svae,
    "rnn-mf": _rival(BidirectionalRNN, avfkit.FactorisedHead),
    "rnn-ar-l": _rival(BidirectionalRNN, avfkit.LinearHead),
    "rnn-ar-nl": _rival(BidirectionalRNN, partial(avfkit.NonlinearHead, hidden_size=_HIDDEN)),
    "cnn-ar-l": _rival(TemporalCNN, avfkit.LinearHead),
}
"""The methods of the paper, each with the same network before it that reads a frame."""


def _measure(tree: tuple, splits: Splits, test: Mapping[str, Any]) -> dict[str, Any]:
    """How well a linear read-out of the latents knows the truth, and how well it predicts.

    Returns:
        `r2`: of `angle` (radians, unwrapped) and `velocity` (radians per second), by least squares
        with an intercept from posterior means, fitted on the training part; `elbo` and
        `prediction`: nats per pixel of the bound on all frames, and of frames 51 to 100 given the
        first 50 by Monte Carlo with 200 paths, of the first 20 sequences.
    """
    truth = data.pendulum()[1]
    features = [_means(tree, part) for part in (splits.train, splits.test)]
    wanted = {"angle": "angles", "velocity": "velocities"}
    r2 = {
        name: _r2(*features, *(_column(part, field) for part in (truth.train, truth.test)))
        for name, field in wanted.items()
    }
    bound = -test["free_energy_per_step"]["all_steps"] / _SIZE**2
    return {"r2": r2, "elbo": bound, "prediction": _prediction(tree, splits.test)}


def _column(part: PendulumPaths, field: str) -> np.ndarray:
    return np.asarray(getattr(part, field)).reshape(-1)


def _means(tree: tuple, part: data.Dataset) -> np.ndarray:
    """The mean of z over draws from the posterior, at all steps of all sequences in a row."""
    model, inference = tree
    keys = jr.split(key_of("test"), _DRAWS)

    @jax.jit
    def mean(xs: Array) -> Array:
        return jnp.mean(jax.vmap(lambda key: inference.infer(model, xs, key=key).z)(keys), axis=0)

    return np.concatenate([np.asarray(mean(jnp.asarray(xs))) for xs in part.sequences])


def _r2(known: np.ndarray, new: np.ndarray, target: np.ndarray, truth: np.ndarray) -> float:
    """Of a linear read-out fitted on (known, target), on (new, truth)."""
    known, new = (np.column_stack([np.ones(len(z)), z]) for z in (known, new))
    weights = np.linalg.lstsq(known, target, rcond=None)[0]
    return float(1.0 - np.mean((truth - new @ weights) ** 2) / np.var(truth))


def _prediction(tree: tuple, part: data.Dataset) -> float:
    model, inference = tree

    @jax.jit
    def nats(xs: Array) -> Array:
        options: dict[str, Any] = {"key": key_of("test"), "num_samples": _PATHS}
        return avfkit.predictive_log_likelihood(model, inference, xs, _GIVEN, **options)

    found = [float(nats(jnp.asarray(xs))) for xs in part.sequences[:_PREDICTED]]
    steps = len(part.sequences[0]) - _GIVEN
    return float(np.mean(found)) / (steps * _SIZE**2)
