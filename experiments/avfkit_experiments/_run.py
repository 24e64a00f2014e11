"""One training run of any (model, inference) on any data: train, score, write down."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from avfkit import train as training
from avfkit.data import Splits

from ._clock import Clock
from ._cluster import is_first
from ._crops import crops
from ._keys import key_of
from ._loss import learner, trained
from ._precision import as_here, possible, products
from ._preset import Baseline, Measure
from ._provenance import checksum, commit, provenance, write_json
from ._recipe import Recipe
from ._scores import baseline_scores, diagnosis, report, score, strict, whole_report


class Outcome(NamedTuple):
    """What a run gave: `result.json` as a dict, and the trained (model, inference)."""

    result: dict[str, Any]
    tree: tuple


def run(
    tree: tuple,
    splits: Splits,
    recipe: Recipe,
    *,
    folder: str | Path,
    seed: int,
    name: str = "run",
    command: str = "",
    hyperparameters: Mapping[str, Any] | None = None,
    paths: int = 1,
    baselines: Mapping[str, Baseline] | None = None,
    measure: Measure | None = None,
    progress: training.AbstractProgress = training.NoProgress(),  # noqa: B008 - immutable
) -> Outcome:
    """Trains, stops early by the validation part, scores the whole test part, writes the result.

    The folder gets `checkpoint.avfkit` and `metrics.jsonl` as the run goes on, and at the end
    `weights.avfkit` and `result.json`. The same call made again resumes, and ends the same. Of
    several processes, which all make this call, only the first writes.

    Args:
        tree: (model, inference), untrained.
        splits: the data.
        recipe: how to train.
        folder: where the run lives; one that belongs to another run is refused.
        seed: of the order of the data, the crops and the sampled paths.
        name: for tables of results.
        command: what one types to do it again.
        hyperparameters: what one needs to build the tree again; kept with the weights.
        paths: sampled paths of each sequence in a training step.
        baselines: trivial models to score beside.
        measure: adds to the report of the test part.
        progress: how to show the run.

    Raises:
        CheckpointError: the folder belongs to another run.
        FloatingPointError: the training diverged.
        ValueError: this device has no products of the recipe's precision.
    """
    commit()  # of the code that runs now, whatever lies there when it ends
    folder, facts = Path(folder), _facts(splits)
    known = dict(hyperparameters or {})
    identity = {**known, "paths": paths, "seed": seed, "data": facts["sha256"]}
    clock = Clock()
    fit = _fit(tree, splits, recipe, identity, clock, folder=folder, progress=progress)
    best = trained(fit.tree)
    _keep(folder / "weights.avfkit", best, known)
    began = time.perf_counter()
    result = {"name": name, **known, **_test(best, splits, recipe, baselines or {}, measure)}
    seconds = {"training": fit.history[-1]["seconds"], "evaluation": time.perf_counter() - began}
    result |= _training(fit, recipe, clock)
    result["provenance"] = provenance(command, seed, seconds) | {"data": facts}
    write_json(folder / "result.json", result)
    return Outcome(result, best)


def _keep(path: Path, tree: tuple, known: Mapping[str, Any]) -> None:
    if is_first():
        training.save(path, tree, hyperparameters=known)


def _fit(
    tree: tuple,
    splits: Splits,
    recipe: Recipe,
    identity: Mapping[str, Any],
    clock: Clock,
    **options: Any,
) -> training.Fit:
    (carried, loss), outside = learner(tree, recipe, identity["paths"]), as_here()

    def validate(current: Any) -> tuple[float, dict[str, Any]]:
        options = {"key": key_of("validation"), "batch_size": recipe.score_batch}
        with outside():
            found = score(trained(current), splits.valid, **options)
        return found.all_steps, diagnosis(found)

    with products(possible(recipe.precision)):
        return training.fit(
            carried,
            loss,
            crops(splits.train, recipe, identity["seed"]),
            optimizer=recipe.optimizer(),
            num_steps=recipe.steps,
            key=key_of("training", identity["seed"]),
            hyperparameters={**identity, "recipe": _settings(recipe)},
            validate=clock.around(validate),
            validate_every=recipe.validate_every,
            patience=recipe.patience or None,
            checkpoint_every=recipe.validate_every,
            log_every=min(20, recipe.validate_every),
            **options,
        )


def _settings(recipe: Recipe) -> dict[str, Any]:
    # By constant rates the first steps do not know how many will follow.
    return {k: v for k, v in recipe.record().items() if recipe.cosine or k != "steps"}


def _test(
    tree: tuple,
    splits: Splits,
    recipe: Recipe,
    baselines: Mapping[str, Baseline],
    measure: Measure | None,
) -> dict[str, Any]:
    options = {"key": key_of("test"), "batch_size": recipe.score_batch}
    test = whole_report(tree, splits.test, **options)
    more = {} if measure is None else strict(measure(tree, splits, test))
    return {
        "test": {**test, **more},
        "valid": report(score(tree, splits.valid, **options), None),
        "baselines": baseline_scores(baselines, splits),
    }


def _training(fitted: training.Fit, recipe: Recipe, clock: Clock) -> dict[str, Any]:
    return {
        "recipe": recipe.record(),
        "steps_done": fitted.step,
        "compile_seconds": round(fitted.compile_seconds, 2),
        "processor_seconds_per_step": clock.seconds_per_step(recipe.validate_every),
    }


def _facts(splits: Splits) -> dict[str, Any]:
    parts = {"train": splits.train, "valid": splits.valid, "test": splits.test}
    return {
        "name": splits.train.name,
        "sequences": {name: len(part) for name, part in parts.items()},
        "steps": {name: part.num_steps for name, part in parts.items()},
        "sha256": checksum(splits),
    }
