"""The SVAE and its rivals on a noisy, filmed pendulum (Zhao and Linderman 2023, section 4.3)."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

import avfkit
from avfkit import data
from avfkit.data import Dataset
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

from .._preset import Preset
from .._recipe import Recipe
from ._swings import measure

_SIZE, _NOISE = 24, 0.1  # pixels a side; variance of the noise of each
_HIDDEN, _DENSE = 20, 56  # units of the authors' heads; of the small twin's layers
_TURN = 0.09  # radians in a frame: of a swing, small ones 0.11 and wide ones less
_MASK_FROM = 300  # steps before the first window of the rivals, which it hinders early on


def pendulum(*, small: bool = False) -> Preset:
    """A latent chain behind 24 x 24 pixels; the twin has dense layers instead of convolutions."""
    nets = _dense() if small else _convolutions()
    return Preset(
        name="pendulum-small" if small else "pendulum",
        title=f"Pendulum{', small' if small else ''}",
        kind="video",
        model=partial(_model, nets),
        own=partial(_own, nets),
        load=lambda folder: data.pendulum()[0],
        recipe=_recipe(10 if small else 5),
        data="a filmed pendulum: 100/20/100 sequences of 100 frames, 24 x 24 pixels, noise of 0.1",
        differs="A stable by construction; angles unwrapped and an intercept in R^2; structured "
        "posteriors start from a quieter chain, which learns later, and rivals from a noisier one; "
        + ("dense layers instead of convolutions" if small else "fewer and smaller batches"),
        update={"width": 64, "rule": learned_step, "normalise": signed_log, "gate_bias": -4.0},
        changes=_changes(small),
        iterations={"avf": 2, "vfem": 10},
        smoothers={name: partial(make, nets) for name, make in SMOOTHERS.items()},
        measure=measure,
        prepare=partial(_quieter, 0.02 if small else 0.0003),
        latent=3,
        rate=50.0,
    )


def _recipe(batch_size: int) -> Recipe:
    return Recipe(
        steps=1_500,
        batch_size=batch_size,
        theta_rate=1e-2,
        phi_rate=1e-2,
        warmup=200,
        cosine=True,
        clip=1000.0,
        average=0.99,
        validate_every=250,
        patience=0,
        score_batch=10,
    )


class _Networks(NamedTuple):
    """What makes pixels of a latent, a potential of pixels, and features of pixels."""

    emission: Callable[..., Any]
    potential: Callable[..., Any]
    features: Callable[..., Any]


def _convolutions() -> _Networks:
    """The authors'."""

    def emission(latent: int, *, key: Key[Array, ""]) -> FrameDecoder:
        return FrameDecoder(latent, _SIZE, noise=_NOISE, key=key)

    def potential(latent: int, *, key: Key[Array, ""]) -> eqx.nn.Sequential:
        frame_key, head_key = jr.split(key)
        options = {"head": FullGaussianHead, "width": _HIDDEN, "depth": 2}
        layers = features(key=frame_key), Conditional(_HIDDEN, latent, **options, key=head_key)
        return eqx.nn.Sequential([eqx.nn.Lambda(layer) for layer in layers])

    def features(*, key: Key[Array, ""]) -> FrameEncoder:
        return FrameEncoder(_SIZE, _HIDDEN, key=key)

    return _Networks(emission, potential, features)


def _dense() -> _Networks:
    """Two hidden layers each: a training step takes a tenth of the time."""
    options: dict[str, Any] = {"width": _DENSE, "depth": 2}

    def emission(latent: int, *, key: Key[Array, ""]) -> Conditional:
        return Conditional(latent, _SIZE**2, head=_KnownNoise, **options, key=key)

    def potential(latent: int, *, key: Key[Array, ""]) -> Conditional:
        return Conditional(_SIZE**2, latent, head=FullGaussianHead, **options, key=key)

    def features(*, key: Key[Array, ""]) -> eqx.nn.MLP:
        return eqx.nn.MLP(_SIZE**2, _HIDDEN, _DENSE, 2, key=key)

    return _Networks(emission, potential, features)


class _KnownNoise(eqx.Module):
    """A linear map to the mean of each pixel, whose variance is known."""

    linear: eqx.nn.Linear

    def __init__(self, in_size: int, out_size: int, *, key: Key[Array, ""]) -> None:
        self.linear = eqx.nn.Linear(in_size, out_size, key=key)

    def __call__(self, hidden: Array) -> avfkit.DiagonalGaussian:
        mean = self.linear(hidden)
        return avfkit.DiagonalGaussian(mean, jnp.full_like(mean, np.log(_NOISE)))


def _model(nets: _Networks, *, latent: int = 3, key: Key[Array, ""]) -> avfkit.LDS:
    dynamics_key, emission_key = jr.split(key)
    dynamics = StableDynamics.rotation(latent, angle=_TURN, key=dynamics_key)
    emission = nets.emission(latent, key=emission_key)
    return avfkit.LDS.create(dynamics, noise_var=0.1, emission=emission)


def _quieter(noise_var: float, tree: tuple, train: Dataset) -> tuple:
    """Structured posteriors start from a chain with little noise; rivals give up before it.

    Convolutions ask for less of it than dense layers: they are quick to keep pictures in the
    latents, and with much noise the chain has no say in what those are.
    """
    del train
    model, inference = tree
    if isinstance(inference, avfkit.StructuredSmoother | avfkit.StructuredFilter):
        model = avfkit.LDS.create(model.dynamics, noise_var=noise_var, emission=model.emission)
    return model, inference


def _own(
    nets: _Networks, model: avfkit.AbstractModel, *, key: Key[Array, ""]
) -> avfkit.StructuredFilter:
    """The causal structured posterior."""
    net = nets.potential(model.latent_size, key=key)
    return avfkit.StructuredFilter(potential=net)  # pyright: ignore[reportCallIssue] - a property


def _svae(
    nets: _Networks, model: avfkit.AbstractModel, *, key: Key[Array, ""]
) -> avfkit.StructuredSmoother:
    return avfkit.StructuredSmoother(nets.potential(model.latent_size, key=key))


def _rival(trunk: Any, head: Any) -> Any:
    def make(
        nets: _Networks, model: avfkit.AbstractModel, *, key: Key[Array, ""]
    ) -> avfkit.AmortizedSmoother:
        frame_key, trunk_key, head_key = jr.split(key, 3)
        reader = trunk(_SIZE**2, _HIDDEN, embed=nets.features(key=frame_key), key=trunk_key)
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


def _changes(small: bool) -> dict[str, dict[str, int]]:
    """What each method has of its own.

    The prior of a structured posterior learns later than the networks, as the authors' may, and
    convolutions need longer. One that learns at once may settle at twice the frequency, at which
    the rod's height swings: velocities, which tell left from right, are then in no latent.
    """
    later = {name: {"prior_from": 400 if small else 1_000} for name in ("svae", "own")}
    return {name: {"mask_from": _MASK_FROM} for name in SMOOTHERS if name != "svae"} | later
