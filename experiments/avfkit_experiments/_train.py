"""Train a preset, and come back to it: evaluate trained weights again."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import avfkit
from avfkit import train as training
from avfkit.data import Splits

from ._inference import ITERATIVE, make_tree
from ._keys import key_of
from ._preset import Preset
from ._provenance import provenance, write_json
from ._recipe import Recipe
from ._run import Outcome, run
from ._scores import whole_report

_TOLERANCE = 1e-3  # of the width of a level: 0.2 nats in a step of 200 samples
_WORDS = {
    **{"own": "own filter", "avf": "AVF", "vfem": "VF-EM"},
    **{"svae": "structured posterior", "svae-filter": "causal structured posterior"},
    **{"kalman": "exact posterior"},
}


@dataclass(frozen=True)
class Choice:
    """What one chooses about a run of a preset.

    Attributes:
        inference: "own", "avf", "vfem" or one of the smoothers of the preset.
        iterations: K of "avf" and "vfem"; by default the preset's.
        samples: for "avf" and "vfem" those of the E-step's expectation; for the others sampled
            paths of each sequence in a training step.
        seed: of everything random.
        detached: train "own" in AVF's detached EM scheme instead of end to end.
        latent: entries of the latent, of a preset that lets one choose.
        steps: training steps; by default the recipe's.
        settings: changes of the recipe, such as `"weight_decay=0.1"`.
    """

    inference: str = "own"
    iterations: int | None = None
    samples: int = 1
    seed: int = 0
    detached: bool = False
    latent: int | None = None
    steps: int | None = None
    settings: tuple[str, ...] = ()

    def of(self, preset: Preset) -> dict[str, Any]:
        """What one needs to build the pair again, JSON of the weights' header.

        Raises:
            ValueError: iterations of what does not iterate, "detached" of anything but an own
                filter, or a number below 1.
        """
        iterations, iterates = self.iterations, self.inference in ITERATIVE
        if not iterates and iterations:
            name = _WORDS.get(self.inference, self.inference)
            raise ValueError(f"iterations is {iterations}; the {name} does not iterate.")
        if self.inference != "own" and self.detached:
            always = "always is" if iterates else "cannot be"
            raise ValueError(f"detached is for the own filter; {self.inference} {always}.")
        if iterations is None or not iterates:
            iterations = preset.iterations[self.inference] if iterates else 0
        for name, number in (("iterations", iterations), ("samples", self.samples)):
            if number < 1 and (iterates or name == "samples"):
                raise ValueError(f"{name} is {number}; expected at least 1.")
        if self.latent is not None and (preset.latent is None or self.latent < 1):
            expected = "at least 1" if preset.latent else f"none: that of {preset.name} is fixed"
            raise ValueError(f"latent is {self.latent}; expected {expected}.")
        return {
            "preset": preset.name,
            "inference": self.inference,
            "iterations": iterations,
            "samples": self.samples,
            "detached": self.detached,
            "seed": self.seed,
            **({"latent": self.latent or preset.latent} if preset.latent else {}),
        }

    def command(self, preset: Preset) -> str:
        """What one types to do it again."""
        known = self.of(preset)
        names = ["inference", *(["iterations"] if self.inference in ITERATIVE else []), "samples"]
        words = [f"--{name} {known[name]}" for name in [*names, "seed"]]
        words += [f"--latent {self.latent}"] if self.latent else []
        words += ["--detached"] if self.detached else []
        words += [f"--steps {self.steps}"] if self.steps else []
        words += [f"--set {text}".replace("--set mask=", "--mask ") for text in self.settings]
        return " ".join(["avfkit train", preset.name, *words])


def train(
    preset: Preset,
    choice: Choice,
    *,
    folder: str | Path,
    data: str | Path | None = None,
    progress: training.AbstractProgress = training.NoProgress(),  # noqa: B008 - immutable
) -> Outcome:
    """Trains a preset, or goes on with it, scores the test set and writes `result.json`.

    Args:
        preset: what to train.
        choice: how to infer, and which seed.
        folder: where the run lives.
        data: the folder of the data; by default the loader's usual places.
        progress: how to show the run.

    Raises:
        CheckpointError: the folder belongs to another run.
        FileNotFoundError: the data are not there; the message says what to do.
        ValueError: a choice that cannot be.
    """
    known = choice.of(preset)
    recipe = _recipe(preset, choice)
    tree = build(preset, known)
    splits = _checked(preset, tree[0], preset.load(data))
    if preset.prepare is not None:
        tree = preset.prepare(tree, splits.train)
    return run(
        tree,
        splits,
        recipe,
        folder=folder,
        seed=choice.seed,
        name=f"{preset.title}, {_words(known)}" + (", windows hidden" if recipe.mask else ""),
        command=choice.command(preset),
        hyperparameters=known,
        paths=1 if choice.inference in ITERATIVE else choice.samples,
        baselines=preset.baselines,
        measure=preset.measure,
        progress=progress,
    )


def _recipe(preset: Preset, choice: Choice) -> Recipe:
    recipe = preset.recipe_for(choice.inference).changed(choice.settings)
    return recipe if choice.steps is None else replace(recipe, steps=choice.steps)


def build(preset: Preset, known: Mapping[str, Any]) -> tuple:
    """The untrained (model, inference) that a header of weights describes."""
    names = ("iterations", "samples", "detached", "latent")
    options = {name: known[name] for name in names if name in known}
    return make_tree(preset, known["inference"], **options, key=key_of("weights", known["seed"]))


def restore(
    folder: str | Path, presets: Mapping[str, Preset]
) -> tuple[Preset, dict[str, Any], tuple]:
    """The preset, the choices and the trained (model, inference) of a run's folder.

    Raises:
        FileNotFoundError: the folder holds no weights.
        ValueError: the weights are of no known preset.
        CheckpointError: the weights are damaged, or of another version of their preset.
    """
    path = Path(folder) / "weights.avfkit"
    if not path.exists():
        raise FileNotFoundError(f"{folder} holds no weights.avfkit; expected a run that ended.")
    known = training.read_header(path)["hyperparameters"]
    if known.get("preset") not in presets:
        raise ValueError(f"{path} is of the preset {known.get('preset')!r}, which is not known.")
    preset = presets[known["preset"]]
    return preset, known, training.load(path, build(preset, known))


def evaluate(
    folder: str | Path,
    presets: Mapping[str, Preset],
    *,
    data: str | Path | None = None,
    iterations: int | None = None,
    samples: int | None = None,
    bounds: int | None = None,
) -> dict[str, Any]:
    """Scores trained weights on the whole test set again, and writes `evaluation-*.json` beside.

    Args:
        folder: of a run that ended.
        presets: the known ones, by name.
        data: the folder of the data.
        iterations: another K, of a learned or gradient update.
        samples: another number of samples in the E-step.
        bounds: samples of the IWAE and FIVO bounds.

    Raises:
        ValueError: another K or number of samples for an own filter.
    """
    began = time.perf_counter()
    preset, known, (model, inference) = restore(folder, presets)
    changes = {"iterations": iterations, "samples": samples}
    changes = {name: value for name, value in changes.items() if value is not None}
    tree = (model, _changed(inference, changes))
    size = preset.recipe_for(known["inference"]).score_batch
    test = _checked(preset, model, preset.load(data)).test
    found = whole_report(tree, test, bounds=bounds, key=key_of("test"), batch_size=size)
    known = {**known, **changes}
    bounded = "" if bounds is None else f" --bounds {bounds}"
    words = "".join(f" --{name} {value}" for name, value in changes.items())
    seconds = {"evaluation": time.perf_counter() - began}
    result = {
        "name": f"{preset.title}, {_words(known)}",
        **known,
        "test": found,
        "provenance": provenance(f"avfkit evaluate RUN{words}{bounded}", known["seed"], seconds),
    }
    marks = f"k{known['iterations']}-s{known['samples']}" + (f"-b{bounds}" if bounds else "")
    write_json(Path(folder) / f"evaluation-{marks}.json", result)
    return result


def _checked(preset: Preset, model: Any, splits: Splits) -> Splits:
    """Data of the model's width, and of the levels whose probability the likelihood gives."""
    train = splits.train
    if train.obs_size != model.obs_size:
        found, expected = train.obs_size, model.obs_size
        raise ValueError(f"{train.name} has {found} columns; {preset.name} expects {expected}.")
    if preset.window and train.window and abs(train.window / preset.window - 1.0) > _TOLERANCE:
        raise ValueError(
            f"{train.name} has levels of {train.window:.7g}; {preset.name} expects "
            f"{preset.window:.7g}: its nats would not be those of this data."
        )
    return splits


def _changed(inference: Any, changes: Mapping[str, int]) -> Any:
    if changes and not isinstance(inference, avfkit.IterativeFilter):
        name = type(inference).__name__
        raise ValueError(f"{next(iter(changes))} cannot change: {name} does not iterate.")
    if "iterations" in changes:
        inference = replace(inference, num_iterations=changes["iterations"])
    if "samples" in changes:
        inference = replace(inference, expectation=avfkit.MonteCarlo(changes["samples"]))
    return inference


def _words(known: Mapping[str, Any]) -> str:
    name = str(known["inference"])
    words = _WORDS.get(name, name.upper()) + (", detached" if known["detached"] else "")
    if known["inference"] in ITERATIVE:
        words += f", {known['iterations']} iteration{'s' * (known['iterations'] > 1)}"
    return words + (f", {known['samples']} samples" if known["samples"] > 1 else "")
