"""Presets that train in a second: real commands on data made here."""

from functools import partial

import numpy as np
from click.testing import CliRunner

import avfkit
from avfkit import data
from avfkit.data import Dataset, Splits
from avfkit.nn import BernoulliHead, DiscretisedGaussianHead
from avfkit_experiments import Preset, Recipe
from avfkit_experiments._commands import avfkit as command

WIDTHS = {"music": 88, "speech": 10, "video": 16}
RATES = {"music": None, "speech": 8000.0, "video": 5.0}
HEADS = {
    "music": BernoulliHead,
    "speech": partial(DiscretisedGaussianHead, window=1 / 16),
    "video": partial(DiscretisedGaussianHead, window=1 / 256),
}
RECIPE = Recipe(steps=6, batch_size=2, length=4, validate_every=2, patience=0, score_batch=8)


def _sequences(kind, seed):
    random = np.random.default_rng(seed)
    shapes = [(length, WIDTHS[kind]) for length in (5, 7, 6)]
    if kind == "music":
        return tuple(random.uniform(size=shape) < 0.1 for shape in shapes)
    return tuple(np.round(random.uniform(size=shape) * 16) / 16 for shape in shapes)


def _load(kind, folder):
    if folder is not None:
        raise FileNotFoundError(f"folder {folder.name!r} holds no tiny {kind}.")
    parts = enumerate(("train", "valid", "test"))
    return Splits(*(Dataset(f"tiny {kind}, {part}", _sequences(kind, i)) for i, part in parts))


def _model(kind, *, key):
    return avfkit.VRNN(WIDTHS[kind], 3, hidden_size=6, width=5, head=HEADS[kind], key=key)


def _own(model, *, key):
    return avfkit.DirectFilter.create(model, width=5, depth=1, key=key)


def _preset(kind):
    return Preset(
        name=f"tiny-{kind}",
        title=f"VRNN, tiny {kind}",
        kind=kind,
        model=partial(_model, kind),
        own=_own,
        load=partial(_load, kind),
        recipe=RECIPE,
        data="random",
        differs="everything",
        update={"width": 4},
        changes={"avf": {"theta_rate": 1e-4}},
        iterations={"avf": 2, "vfem": 3},
        rate=RATES[kind],
        baselines={"bernoulli": data.bernoulli_baseline} if kind == "music" else {},
    )


PRESETS = {f"tiny-{kind}": _preset(kind) for kind in WIDTHS}


def invoke(*words, known=PRESETS):
    """What the command says of these words: its result, with exit_code and output."""
    return CliRunner().invoke(command, [str(word) for word in words], obj=known)


def train(folder, *words, preset="tiny-music"):
    """Trains a tiny preset without a bar."""
    return invoke("train", preset, "--out", folder, "--no-progress", *words)
