"""Where the two papers meet: filters and smoothers of one chain behind a neural decoder.

The latents turn and fade, the observations are a nonlinear map of them under noise, and the model
is of the family that made the data: a linear-Gaussian chain, a network, Gaussian noise. Own filter,
AVF, variational filtering EM and the causal structured posterior filter it; the structured
posterior and its rivals smooth it. There is no exact log-likelihood, but the true model is known,
and a particle filter with a thousand particles bounds it closely.

One recipe serves all methods but CNN-AR-L, whose networks learn at a third of the rate. The chain
starts with little noise, so all A_t of a rival hurry from 0 towards its turn. A unit of the
convolutions has 320 inputs, and a step of Adam moves the weights of all: at the full rate A_t
passes 1 within 30 steps, at most places of a sequence, before a gradient has said so, and products
of 100 of them overflow.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

import avfkit
from avfkit.data import Dataset, Splits
from avfkit.inference import learned_step, natural_gradient, signed_log
from avfkit.nn import FreeDynamics

from .._keys import key_of
from .._preset import Preset
from .._recipe import Recipe
from ._methods import methods, stacked, standardise

_LATENT, _OBS, _LENGTH, _PARTS = 3, 10, 100, (100, 50, 100)
_RADIUS, _UNITS, _NOISE = 0.97, 32, 0.1  # of the true system; the last, each entry's variance
_HIDDEN, _PARTICLES, _DRAWS, _WIDE = 20, 1000, 32, 1e6


class Decoder(eqx.Module):
    """Gaussian observations: a network of the latent is their mean; each has a variance of its own.

    Attributes:
        net: one layer of tanh units.
        log_var: of the noise.
    """

    net: eqx.nn.MLP
    log_var: Float[Array, " obs"]

    @classmethod
    def create(cls, *, key: Key[Array, ""]) -> "Decoder":
        """Of this experiment's sizes, with unit variances."""
        options = {"width_size": _UNITS, "depth": 1, "activation": jnp.tanh}
        return cls(eqx.nn.MLP(_LATENT, _OBS, **options, key=key), jnp.zeros(_OBS))

    def __call__(self, z: Float[Array, " latent"]) -> avfkit.DiagonalGaussian:
        """The distribution of the observation at this latent."""
        return avfkit.DiagonalGaussian(self.net(z), self.log_var)


def lds_mlp() -> Preset:
    """A chain of three latents behind a network, by every inference method."""
    return Preset(
        name="lds-mlp",
        title="LDS behind a network",
        kind="series",
        model=_model,
        own=_own,
        load=lambda folder: world().splits,
        recipe=_recipe(),
        data="a turning chain of 3 latents behind a network: 100/50/100 sequences of 100 steps of "
        "10 entries",
        differs="an experiment of neither paper; CNN-AR-L learns at a third of the others' rate",
        changes={"cnn-ar-l": {"phi_rate": 1e-3}},
        update={"width": 64, "rule": learned_step, "normalise": signed_log, "gate_bias": -4.0},
        iterations={"avf": 2, "vfem": 10},
        e_step=natural_gradient(0.3),
        smoothers=methods(_HIDDEN, depth=2),
        measure=_measure,
        prepare=_start,
    )


def _recipe() -> Recipe:
    return Recipe(
        steps=1_000,
        batch_size=10,
        theta_rate=1e-2,
        phi_rate=3e-3,
        warmup=100,
        cosine=True,
        clip=100.0,
        validate_every=200,
        patience=0,
        score_batch=50,
    )


def _model(*, key: Key[Array, ""]) -> avfkit.LDS:
    dynamics_key, decoder_key = jr.split(key)
    dynamics = FreeDynamics.rotation(_LATENT, key=dynamics_key)
    return avfkit.LDS.create(dynamics, noise_var=0.1, emission=Decoder.create(key=decoder_key))


def _own(model: avfkit.AbstractModel, *, key: Key[Array, ""]) -> avfkit.DirectFilter:
    return avfkit.DirectFilter.create(model, width=_HIDDEN, depth=2, key=key)


def _start(tree: tuple, train: Dataset) -> tuple:
    """The decoder's mean at that of the observations; networks read standardised observations."""
    model, inference = tree
    mean = jnp.asarray(stacked(train).mean((0, 1)), float)
    model = eqx.tree_at(lambda m: m.emission.net.layers[-1].bias, model, mean)
    return model, standardise(inference, train)


class World(NamedTuple):
    """The data, the latents of each of its parts, and the model that made them."""

    splits: Splits
    latents: tuple[np.ndarray, ...]
    truth: avfkit.LDS


@cache
def world() -> World:
    """The data and their truth, from a seed.

    z_1 ~ N(0, I) and z_t = A z_{t-1} + noise that keeps it so; A turns by pi/10 in the first two
    directions and fades by 3 % a step. The network's weights are standard normal, and so are the
    biases of its units, which the latents saturate; the last layer divides by the root of 32.
    """
    random = np.random.default_rng((0, 0))
    first, bias = random.standard_normal((_UNITS, _LATENT)), random.standard_normal(_UNITS)
    last = random.standard_normal((_OBS, _UNITS)) / np.sqrt(_UNITS)
    latents = tuple(_paths(number, code) for code, number in enumerate(_PARTS))
    names = zip(("training", "validation", "test"), latents, strict=True)
    parts = []
    for code, (name, z) in enumerate(names):
        noise = np.random.default_rng((0, 2, code)).standard_normal((*z.shape[:2], _OBS))
        x = np.tanh(z @ first.T + bias) @ last.T + np.sqrt(_NOISE) * noise
        about: dict[str, Any] = {
            "source": "generated by avfkit_experiments",
            "licence": "MIT",
            "step": "1",
        }
        parts.append(Dataset(f"LDS behind a network (seed=0), {name}", tuple(x), **about))
    decoder = Decoder.create(key=key_of("weights"))
    layers = ((first, bias), (last, np.zeros(_OBS)))
    for number, layer in enumerate(layers):
        where = lambda d, n=number: (d.net.layers[n].weight, d.net.layers[n].bias)  # noqa: E731
        decoder = eqx.tree_at(where, decoder, tuple(jnp.asarray(a, float) for a in layer))
    decoder = eqx.tree_at(lambda d: d.log_var, decoder, jnp.full(_OBS, np.log(_NOISE)))
    return World(Splits(*parts), latents, _chain(decoder))


def _turn() -> np.ndarray:
    cosine, sine = np.cos(np.pi / 10), np.sin(np.pi / 10)
    return _RADIUS * np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def _paths(number: int, code: int) -> Float[np.ndarray, "sequences time latent"]:
    z = np.random.default_rng((0, 1, code)).standard_normal((_LENGTH, number, _LATENT))
    for t in range(1, _LENGTH):
        z[t] = z[t - 1] @ _turn().T + np.sqrt(1.0 - _RADIUS**2) * z[t]
    return z.swapaxes(0, 1)


def _chain(decoder: Decoder) -> avfkit.LDS:
    zero, eye = np.zeros(_LATENT), np.eye(_LATENT)
    cov = (1.0 - _RADIUS**2) * eye
    return avfkit.LDS.from_parameters(zero, eye, _turn(), zero, cov, emission=decoder)


def reference(part: Dataset) -> float:
    """-log p of a part of the data under the model that made it, in nats per step, from above.

    The bound of a particle filter that proposes from the dynamics: a structured filter whose
    potential says nothing.
    """
    truth = world().truth
    blind = avfkit.DiagonalGaussian(jnp.zeros(_LATENT), jnp.full(_LATENT, np.log(_WIDE)))
    proposal = avfkit.StructuredFilter(potential=lambda x: blind)  # pyright: ignore[reportCallIssue] - a property

    @jax.jit
    def nats(xs: Array) -> Array:
        return avfkit.fivo(truth, proposal, xs, key=key_of("test"), num_samples=_PARTICLES)

    return float(np.mean([nats(jnp.asarray(xs)) for xs in part.sequences]) / _LENGTH)


def _measure(tree: tuple, splits: Splits, test: Mapping[str, Any]) -> dict[str, Any]:
    """The bound of the true model, and how well a linear read-out of the latents knows the truth.

    Returns:
        `reference`: of the true model, in nats per step; `r2`: of all true latents together, by
        least squares with an intercept from posterior means, fitted on the training part.
    """
    del test
    known, new = (_means(tree, part) for part in (splits.train, splits.test))
    target, truth = (z.reshape(-1, _LATENT) for z in world().latents[::2])
    weights = np.linalg.lstsq(_with_one(known), target, rcond=None)[0]
    error = np.mean((truth - _with_one(new) @ weights) ** 2)
    r2 = 1.0 - error / np.mean((truth - truth.mean(0)) ** 2)
    return {"reference": reference(splits.test), "r2": float(r2)}


def _with_one(z: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(z)), z])


def _means(tree: tuple, part: Dataset) -> np.ndarray:
    """The mean of z over draws from the posterior, at all steps of all sequences in a row."""
    model, inference = tree
    keys = jr.split(key_of("test"), _DRAWS)

    @jax.jit
    def mean(xs: Array) -> Array:
        return jnp.mean(jax.vmap(lambda key: inference.infer(model, xs, key=key).z)(keys), axis=0)

    return np.concatenate([np.asarray(mean(jnp.asarray(xs))) for xs in part.sequences])
