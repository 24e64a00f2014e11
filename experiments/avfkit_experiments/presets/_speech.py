"""VRNN and SRNN on speech waves (Marino et al. 2018, appendix B.1-B.2 and Table 1)."""

import math
from dataclasses import replace
from functools import partial
from typing import Any, cast

import optax
from jaxtyping import Array, Key

import avfkit
from avfkit import data
from avfkit.inference import learned_step, natural_gradient
from avfkit.nn import DiscretisedGaussianHead, clipped_leaky_relu

from .._preset import Preset
from .._recipe import Recipe
from ._copies import own_copy

_SAMPLES = 200  # of the wave, in one step: 12.5 ms
_RATE = 16_000.0  # samples per second
_BATCH, _LENGTH = 64, 40

# One level of 16 bits over the standard deviation of the training waves, in the same levels. The
# first is the constant of the AVF authors' code.
_WINDOW = {"timit": 0.0018190742, "sample": 1 / 551.8575, "commands": 1 / 2590.609}

# With 1/64 of the gradient, as the authors' batch mean has it, a gate of one half is one of 1/128.
_GATE_BIAS = -4.8
_LEARNED_STEP = {"rule": learned_step, "normalise_mean": True, "gate_bias": _GATE_BIAS}

# Gradients of one sample are noisy, so the rate is low: rates of 0.2 and more gave worse bounds.
_E_STEP = natural_gradient(0.1)

_TIMIT = "TIMIT, your own copy: 4,389/231/1,680 utterances, 200 samples a step"
_TIMIT_SAMPLE = "TIMIT's open sample: 120/20/20 utterances, 200 samples a step"
_COMMANDS = "Speech Commands, a part: 727/110/65 words of one second, 200 samples a step"


def vrnn_timit(*, small: bool = False) -> Preset:
    """VRNN on TIMIT; AVF with two iterations."""
    return _vrnn("timit", "TIMIT", small, data=_TIMIT, load=_timit, window="timit")


def vrnn_timit_sample(*, small: bool = False) -> Preset:
    """The same on TIMIT's open sample of 160 utterances."""
    where = {"data": _TIMIT_SAMPLE, "load": _timit_sample, "window": "sample"}
    return _vrnn("timit-sample", "TIMIT sample", small, **where)


def vrnn_speech_commands(*, small: bool = False) -> Preset:
    """The same on words of Speech Commands, whose audio may be published."""
    where = {"data": _COMMANDS, "load": _speech_commands, "window": "commands"}
    return _vrnn("speech-commands", "Speech Commands", small, **where)


def srnn_timit(*, small: bool = False) -> Preset:
    """SRNN on TIMIT; AVF with one iteration."""
    return _srnn("timit", "TIMIT", small, data=_TIMIT, load=_timit, window="timit", epoch=69)


def srnn_timit_sample(*, small: bool = False) -> Preset:
    """The same on TIMIT's open sample of 160 utterances."""
    where = {"data": _TIMIT_SAMPLE, "load": _timit_sample, "window": "sample"}
    return _srnn("timit-sample", "TIMIT sample", small, **where, epoch=2)


def _vrnn(name: str, title: str, small: bool, *, window: str, **where: Any) -> Preset:
    sizes = _VRNN_SMALL if small else _VRNN_PAPER
    own = {"width": 256, "depth": 1} if small else {"width": 500, "depth": 4}
    head = partial(DiscretisedGaussianHead, window=_WINDOW[window], centred=False)
    return Preset(
        name=f"vrnn-{name}{'-small' if small else ''}",
        title=f"VRNN{', small' if small else ''}, {title}",
        kind="speech",
        model=partial(_vrnn_model, **sizes, head=head),
        own=partial(_own, **own),
        differs=_differs("", small, window),
        recipe=_SMALL_RECIPE if small else _recipe(1e-3),
        changes=_VRNN_SMALL_CHANGES if small else _avf_rates(),
        update={"width": 256 if small else 1024, "depth": 2, **_LEARNED_STEP},
        iterations={"avf": 2, "vfem": 10},
        e_step=_E_STEP if small else optax.adam(0.1),
        baselines={"linear prediction": _linear_prediction},
        window=_WINDOW[window],
        rate=_RATE,
        **where,
    )


def _srnn(name: str, title: str, small: bool, *, window: str, epoch: int, **where: Any) -> Preset:
    sizes = _SRNN_SMALL if small else _SRNN_PAPER
    wide = {"width": 128, "depth": 2} if small else {"width": 512, "depth": 2}
    floor = (-10.0, math.inf)
    head = partial(
        DiscretisedGaussianHead, window=_WINDOW[window], centred=False, log_var_range=floor
    )
    note = f"SRNN as the AVF authors coded it; the update network {_READS[small]}"
    changes = {"own": {"anneal": 20 * epoch}, **_avf_rates(anneal=50 * epoch)}
    update = {"encode_observation": True, **_LEARNED_STEP} if small else {}
    return Preset(
        name=f"srnn-{name}{'-small' if small else ''}",
        title=f"SRNN{', small' if small else ''}, {title}",
        kind="speech",
        model=partial(_srnn_model, **sizes, **wide, head=head),
        own=partial(_own, **wide, activation=clipped_leaky_relu),
        differs=_differs(note, small, window),
        recipe=_SRNN_SMALL_RECIPE if small else _recipe(1e-3, clip=1000.0),
        changes=_SRNN_SMALL_CHANGES if small else changes,
        update={"width": 256 if small else 1024, "depth": 2, **update},
        iterations={"avf": 1, "vfem": 10},
        e_step=_E_STEP if small else optax.adam(0.1),
        baselines={"linear prediction": _linear_prediction},
        window=_WINDOW[window],
        rate=_RATE,
        **where,
    )


_READS = {
    True: "reads x_t, as the paper says, and takes VRNN's learned step",
    False: "does not read x_t",
}
_VRNN_PAPER = {"latent": 200, "hidden_size": 2000, "width": 500, "obs_width": 600, "depth": 4}
_VRNN_SMALL = {"latent": 128, "hidden_size": 256, "width": 256, "obs_width": 400, "depth": 1}
_SRNN_PAPER = {"latent": 256, "hidden_size": 1024}
_SRNN_SMALL = {"latent": 32, "hidden_size": 256}


def _recipe(rate: float, **options: Any) -> Recipe:
    return Recipe(
        steps=100_000,
        batch_size=_BATCH,
        length=_LENGTH,
        theta_rate=rate,
        phi_rate=rate,
        validate_every=500,
        score_batch=16,
        **options,
    )


def _avf_rates(**options: Any) -> dict[str, dict[str, Any]]:
    rates = {"theta_rate": 1e-4, "phi_rate": 1e-4, **options}
    return {"avf": rates, "vfem": rates}


_SMALL_RECIPE = Recipe(
    steps=2_400,
    batch_size=16,
    length=_LENGTH,
    theta_rate=3e-3,
    phi_rate=3e-3,
    cosine=True,
    clip=100.0,
    validate_every=100,
    patience=5,
    score_batch=20,
)
# Half the batch and more steps of it; the E-step's are dearer, so there are fewer.
_SRNN_SMALL_RECIPE = replace(_SMALL_RECIPE, steps=3_000, batch_size=8, clip=10.0, patience=10)
_GENTLE = {"theta_rate": 1e-3, "warmup": 100, "clip": 10.0}
# Few steps: a model that is taught longer becomes so precise that its noisy E-step loses its way.
_VRNN_SMALL_CHANGES = {"vfem": {**_GENTLE, "steps": 300}}
_SRNN_SMALL_CHANGES = {
    "avf": {"steps": 2_000, "warmup": 50},
    "vfem": {**_GENTLE, "steps": 400},
}


def _differs(note: str, small: bool, window: str) -> str:
    notes = [note] if note else []
    notes += ["open data instead of TIMIT"] if window != "timit" else []
    notes += ["smaller nets, Adam's rate falls along a cosine"] if small else []
    return "; ".join(notes) or "nothing but what all presets share"


def _vrnn_model(*, latent: int, key: Key[Array, ""], **options: Any) -> avfkit.VRNN:
    return avfkit.VRNN(_SAMPLES, latent, **options, key=key)


def _srnn_model(*, latent: int, key: Key[Array, ""], **options: Any) -> avfkit.SRNN:
    shape = {"embed_depth": 0, "latent_context": False}
    return avfkit.SRNN(_SAMPLES, latent, **options, **shape, key=key)


def _own(
    model: avfkit.AbstractModel, *, key: Key[Array, ""], **options: Any
) -> avfkit.DirectFilter:
    return avfkit.DirectFilter.create(model, **options, key=key)


def _timit(folder: Any) -> data.Splits:
    return data.timit(own_copy(folder, "TIMIT"))


def _timit_sample(folder: Any) -> data.Splits:
    return data.timit_sample(folder, download=folder is None)


def _speech_commands(folder: Any) -> data.Splits:
    """The subset or all of the words, in the subset's unit: the model knows the levels in one."""
    scale = 1.0 / _WINDOW["commands"]

    def in_units(part: data.Dataset) -> data.Dataset:
        levels = tuple(replace(cast(data.Levels, x), scale=scale) for x in part.sequences)
        return replace(part, sequences=levels, scale=scale, window=1.0 / scale)

    words = data.speech_commands(folder)
    return data.Splits(*map(in_units, (words.train, words.valid, words.test)))


def _linear_prediction(train: data.Dataset, test: data.Dataset) -> data.Score:
    return data.linear_prediction_baseline(train, test)
