"""What a preset is: a model, its own filter, an update network, data, and a recipe."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import optax

from avfkit import AbstractFilter, AbstractInference, AbstractModel
from avfkit.data import Dataset, Score, Splits

from ._recipe import Recipe

Kind: TypeAlias = Literal["speech", "music", "video", "series"]
Baseline: TypeAlias = Callable[[Dataset, Dataset], Score]
Measure: TypeAlias = Callable[[tuple, Splits, Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Preset:
    """An experiment without its inference method, seed and place.

    Attributes:
        name: as the command line knows it.
        title: model and data, for tables.
        kind: of the data, which decides in what format samples are written.
        model: `model(key=key)` makes the model.
        own: `own(model, key=key)` makes the model's own filter.
        load: `load(folder)` gives the data; `None` stands for the loader's usual places.
        recipe: how it is trained.
        data: what the data are, in words.
        differs: in what it differs from the paper.
        update: settings of AVF's `LearnedUpdate`.
        changes: for each inference ("own", "avf", "vfem"), settings of the recipe that differ.
        iterations: K of "avf" and "vfem", unless told otherwise.
        e_step: the optimizer of variational filtering EM's E-step.
        smoothers: `smoother(model, key=key)` makes a method that sees the whole sequence, by name;
            and the causal structured posterior, "svae-filter".
        baselines: trivial models of the data, by name.
        measure: `measure(tree, splits, test)` adds what this experiment is about to the report of
            the test part; the tree is the trained (model, inference).
        latent: entries of the latent by default, where `--latent` may choose others.
        window: of the data set: what the likelihood, which gives probabilities, integrates over.
        rate: samples of a wave, or frames of a film, per second, as the data set has them; `None`
            for music.
        prepare: `prepare((model, inference), train)` sets initial weights from the training part.
    """

    name: str
    title: str
    kind: Kind
    model: Callable[..., AbstractModel]
    own: Callable[..., AbstractFilter]
    load: Callable[[str | Path | None], Splits]
    recipe: Recipe
    data: str
    differs: str
    update: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    iterations: Mapping[str, int] = field(default_factory=lambda: {"avf": 1, "vfem": 10})
    e_step: optax.GradientTransformation = field(default_factory=partial(optax.adam, 0.1))
    smoothers: Mapping[str, Callable[..., AbstractInference]] = field(default_factory=dict)
    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    measure: Measure | None = None
    latent: int | None = None
    window: float | None = None
    rate: float | None = None
    prepare: Callable[[tuple, Dataset], tuple] | None = None

    def recipe_for(self, inference: str) -> Recipe:
        """The recipe with what this inference method changes in it."""
        return replace(self.recipe, **self.changes.get(inference, {}))
