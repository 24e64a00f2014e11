"""SRNN and VRNN on polyphonic music (Marino et al. 2018, appendix B.2 and Table 3)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

import avfkit
from avfkit import data
from avfkit.data import Dataset
from avfkit.inference import learned_step
from avfkit.nn import clipped_leaky_relu

from .._preset import Preset
from .._recipe import Recipe

_KEYS = 88
_BASELINES = {"bernoulli": data.bernoulli_baseline, "markov": data.markov_baseline}
_BATCH, _EPOCHS_ANNEALED = 16, 50

# With 1/16 of the gradient, as the authors' batch mean has it, a gate of one half is one of 1/32.
_GATE_BIAS = -3.4
_LEARNED_STEP = {"rule": learned_step, "normalise_mean": True, "gate_bias": _GATE_BIAS}
_READING = {"rule": learned_step, "encode_observation": True}


def srnn_jsb(*, small: bool = False) -> Preset:
    """SRNN on the JSB Chorales; AVF with five iterations."""
    return _srnn("jsb", "JSB Chorales", 229, small, update=_LEARNED_STEP, iterations=5)


def srnn_nottingham(*, small: bool = False) -> Preset:
    """SRNN on Nottingham."""
    return _srnn("nottingham", "Nottingham", 694, small)


def srnn_musedata(*, small: bool = False) -> Preset:
    """SRNN on MuseData."""
    return _srnn("musedata", "MuseData", 524, small, update=_READING if small else None)


def srnn_piano_midi(*, small: bool = False) -> Preset:
    """SRNN on Piano-midi.de."""
    update = _READING if small else _LEARNED_STEP
    return _srnn("piano-midi", "Piano-midi.de", 87, small, update=update)


def vrnn_jsb(*, small: bool = False) -> Preset:
    """VRNN on the JSB Chorales: not in the paper, and the quickest real experiment there is."""
    width, latent = (100, 16) if small else (200, 24)
    return Preset(
        name="vrnn-jsb-small" if small else "vrnn-jsb",
        title=f"VRNN{', small' if small else ''}, JSB Chorales",
        kind="music",
        model=partial(_vrnn_model, width=width, latent=latent),
        own=partial(_own, width=width),
        load=data.jsb,
        data="JSB Chorales: 229/76/77 chorales, quarter notes, 88 keys",
        differs="not in the paper; AVF also reads x_t; dropout, weight decay and averaged weights",
        recipe=_regularised(800 if small else 1_400),
        changes={"avf": {"steps": 1_200 if small else 1_800}},
        update={"width": 256, "rule": learned_step, "encode_observation": True},
        baselines=_BASELINES,
        prepare=_output_bias,
    )


def _regularised(steps: int, **options: Any) -> Recipe:
    """What keeps a model of some hundred songs from learning them by heart."""
    return Recipe(
        steps=steps,
        batch_size=32,
        length=40,
        theta_rate=2e-3,
        phi_rate=2e-3,
        cosine=True,
        clip=5.0,
        weight_decay=0.3,
        average=0.99,
        dropout=0.4,
        patience=5,
        score_batch=26,
        **options,
    )


def _srnn(
    name: str,
    title: str,
    songs: int,
    small: bool,
    *,
    update: Mapping[str, Any] | None = None,
    iterations: int = 1,
) -> Preset:
    """The AVF authors' form: no embedding of x, no z_{t-1} in q, one trunk for both parameters."""
    hidden, latent, width = (100, 32, 100) if small else (300, 100, 500)
    shrunk = "; 100 hidden units, 32 latents and an update network of 256 units" if small else ""
    reads = "; it reads x_t, as the paper says" if (update or {}).get("encode_observation") else ""
    return Preset(
        name=f"srnn-{name}{'-small' if small else ''}",
        title=f"SRNN{', small' if small else ''}, {title}",
        kind="music",
        model=partial(_srnn_model, hidden_size=hidden, latent=latent, width=width),
        own=partial(_own, width=width, activation=clipped_leaky_relu),
        load=partial(data.polyphonic, name.replace("-", "_")),
        data=f"{title}: {songs} songs to train on, 88 keys",
        differs="SRNN as the AVF authors coded it, not as Fraccaro et al. did" + shrunk + reads,
        recipe=_regularised(1_000) if small else _srnn_recipe(songs),
        update={"width": 256 if small else 1024, "depth": 2, **(update or {})},
        iterations={"avf": iterations, "vfem": 10},
        baselines=_BASELINES,
        prepare=_output_bias if small else None,
    )


def _srnn_recipe(songs: int) -> Recipe:
    epoch = -(-songs // _BATCH)
    return Recipe(
        steps=40_000,
        batch_size=_BATCH,
        length=25,
        theta_rate=1e-4,
        phi_rate=1e-4,
        anneal=_EPOCHS_ANNEALED * epoch,
        validate_every=500,
        patience=10,
        score_batch=16,
    )


def _srnn_model(*, hidden_size: int, latent: int, width: int, key: Key[Array, ""]) -> avfkit.SRNN:
    return avfkit.SRNN(
        _KEYS,
        latent,
        hidden_size=hidden_size,
        width=width,
        depth=1,
        likelihood_depth=2,
        embed_depth=0,
        latent_context=False,
        key=key,
    )


def _vrnn_model(*, width: int, latent: int, key: Key[Array, ""]) -> avfkit.VRNN:
    return avfkit.VRNN(_KEYS, latent, hidden_size=width, width=width, depth=1, key=key)


def _own(
    model: avfkit.AbstractModel, *, width: int, key: Key[Array, ""], **options: Any
) -> avfkit.DirectFilter:
    return avfkit.DirectFilter.create(model, width=width, depth=1, **options, key=key)


def _output_bias(tree: tuple, train: Dataset) -> tuple:
    """The likelihood's output biased to the frequencies of the keys."""
    frequency = data.bernoulli_frequencies(train)
    logits = np.log(frequency / (1.0 - frequency))
    return eqx.tree_at(
        lambda pair: pair[0].likelihood_net.head.linear.bias,
        tree,
        replace_fn=lambda bias: jnp.asarray(logits, bias.dtype),
    )
