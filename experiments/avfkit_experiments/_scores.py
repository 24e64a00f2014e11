"""Whole test sets: in batches of similar length, with the numbers that papers report."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Array, Key

import avfkit
from avfkit import Evaluation
from avfkit.data import Dataset, Splits, evaluation_batches

from ._preset import Baseline

ENERGY = ("all_steps", "mean_of_sequences", "per_iteration", "standard_error")


def score(
    tree: tuple,
    dataset: Dataset,
    *,
    key: Key[Array, ""],
    batch_size: int = 32,
    context: int = 0,
    bounds: int | None = None,
) -> Evaluation:
    """`avfkit.evaluate` over whole sequences, a batch of similar lengths at a time.

    Args:
        tree: (model, inference).
        dataset: the sequences; nothing is cut, whatever their lengths.
        key: randomness.
        batch_size: sequences side by side.
        context: first steps that condition and are not scored.
        bounds: samples of the IWAE and FIVO bounds; by default these are not computed.
    """
    model, inference = tree
    batches = evaluation_batches(dataset, batch_size)
    options = {"context": context, "num_samples": bounds}
    return avfkit.evaluate(model, inference, batches, key=key, **options)


def report(evaluation: Evaluation, published: Evaluation | None) -> dict[str, Any]:
    """An evaluation as `result.json` shows it: nats per step, and bits where they apply.

    Args:
        evaluation: of all steps.
        published: the same with the first step as context, the AVF authors' convention.
    """
    values = {k: v for k, v in evaluation._asdict().items() if v is not None}
    record: dict[str, Any] = {
        "free_energy_per_step": {name: values.pop(name) for name in ENERGY},
        **values,
    }
    if published is not None:
        record["context_1"] = {name: published._asdict()[name] for name in ENERGY}
    record["active_units"] = evaluation.active_units
    if evaluation.collapse:
        record["warning"] = evaluation.collapse
    record["bound"] = "free energy along one sampled path of each whole sequence, nats per step"
    return strict(record)


def whole_report(
    tree: tuple, dataset: Dataset, *, bounds: int | None = None, **options: Any
) -> dict[str, Any]:
    """The report of all sequences, with the AVF authors' convention beside.

    Args:
        tree: (model, inference).
        dataset: the sequences.
        bounds: samples of the IWAE and FIVO bounds, of all steps; by default not computed.
        options: key and batch size of `score`.
    """
    published = None
    if dataset.lengths.max() > 1:
        published = score(tree, dataset, context=1, **options)
    return report(score(tree, dataset, bounds=bounds, **options), published)


def diagnosis(evaluation: Evaluation) -> dict[str, Any]:
    """What the metrics of a run tell of its latent, with a warning if that has collapsed."""
    names = ("reconstruction", "kl", "kl_per_dimension", "active_units")
    found = {name: getattr(evaluation, name) for name in names}
    return found | ({"warning": evaluation.collapse} if evaluation.collapse else {})


def baseline_scores(baselines: Mapping[str, Baseline], splits: Splits) -> dict[str, Any]:
    """What trivial models of the same data reach, fitted on the training part."""
    scores = {name: baseline(splits.train, splits.test) for name, baseline in baselines.items()}
    return {
        name: strict({"all_steps": score[0], "mean_of_sequences": score[1]})
        for name, score in scores.items()
    }


def strict(value: Any) -> Any:
    """Plain numbers that strict JSON can hold: `None` where not finite."""
    if isinstance(value, Mapping):
        return {name: strict(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [strict(entry) for entry in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
