"""A search over the settings of a recipe, by optuna: many workers, one store.

Every worker makes the same call and takes the next trial from the store, a file that all can reach
or the URL of a data base. A worker that is killed loses its trial, which never ends and so does not
count, and nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax

from ._preset import Preset
from ._recipe import Recipe
from ._train import Choice, train


class Range(NamedTuple):
    """What a setting may be: one of some values, or a number between two.

    Attributes:
        name: of the setting.
        values: the values, or the least and the largest number.
        kind: "one of", "between" or "log", which is between on a logarithmic scale.
    """

    name: str
    values: tuple[Any, ...]
    kind: str

    def suggested(self, trial: Any) -> Any:
        """The value in an optuna trial."""
        if self.kind == "one of":
            return trial.suggest_categorical(self.name, self.values)
        whole = isinstance(self.values[0], int)
        suggest = trial.suggest_int if whole else trial.suggest_float
        return suggest(self.name, *self.values, log=self.kind == "log")


def read_range(text: str, recipe: Recipe) -> Range:
    """A range from a text: `"clip=0,1,10"`, `"dropout=0:0.5"` or `"phi_rate=1e-4:1e-2:log"`.

    Raises:
        ValueError: it is none of these, or the recipe has no such setting or cannot take a value.
    """
    name, _, right = text.partition("=")
    words, kind = right.split(":"), "between"
    if len(words) == 3 and words[2] == "log":
        words, kind = words[:2], "log"
    if len(words) == 1:
        words, kind = right.split(","), "one of"
    values = tuple(getattr(recipe.changed([f"{name}={word}"]), name) for word in words)
    numbers = not any(isinstance(value, bool | str | None) for value in values)
    between = len(values) == 2 and numbers and (values[0] > 0 if kind == "log" else True)
    if kind != "one of" and not (between and values[0] < values[1]):
        raise ValueError(
            f"found the range {text!r}; expected NAME=A,B,..., NAME=LOW:HIGH, or NAME=LOW:HIGH:log "
            "with LOW above 0."
        )
    return Range(name, values, kind)


def sweep(
    preset: Preset,
    choice: Choice,
    texts: Sequence[str],
    *,
    folder: Path,
    store: str,
    trials: int,
    data: Path | None = None,
) -> dict[str, Any]:
    """Searches a recipe for the least free energy of the validation part, in nats per step.

    Args:
        preset: what to train.
        choice: what all trials have in common.
        texts: the ranges, as `read_range` reads them.
        folder: gets a folder for each trial of this worker, `trial-0`, `trial-1`, ...
        store: as of `search`.
        trials: as of `search`.
        data: the folder of the data.

    Returns:
        The best trial, as of `search`.
    """
    recipe = preset.recipe_for(choice.inference).changed(choice.settings)
    ranges = [read_range(text, recipe) for text in texts]
    facts = {**choice.of(preset), "steps": choice.steps, "settings": choice.settings}

    def objective(number: int, settings: tuple[str, ...]) -> float:
        tried = replace(choice, settings=(*choice.settings, *settings))
        found = train(preset, tried, folder=folder / f"trial-{number}", data=data).result
        jax.clear_caches()  # of what no other trial runs again
        return found["valid"]["free_energy_per_step"]["all_steps"]

    return search(objective, ranges, facts, store=store, trials=trials)


def search(
    objective: Callable[[int, tuple[str, ...]], float],
    ranges: Sequence[Range],
    facts: Mapping[str, Any],
    *,
    store: str,
    trials: int,
) -> dict[str, Any]:
    """Takes trials until the store has so many, those of other workers included.

    Args:
        objective: `objective(number, settings)` -> score of a trial, lower is better. A trial that
            raises a `FloatingPointError` has failed, and counts.
        ranges: what is searched.
        facts: what else all trials have in common, as JSON can hold it.
        store: a file, or the URL of a data base as SQLAlchemy spells it.
        trials: number of trials, of all workers.

    Returns:
        `number`, `score` and `settings` of the best trial, and how many have ended (`trials`).

    Raises:
        ImportError: optuna is not installed.
        ValueError: the store holds another search, or no trial of it has a score.
    """
    optuna = _optuna()
    study = optuna.create_study(storage=_storage(store), study_name="avfkit", load_if_exists=True)
    _claim(study, store, {**facts, "ranges": [list(each) for each in ranges]})
    ended = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL)

    def run(trial: Any) -> float:
        settings = tuple(f"{each.name}={each.suggested(trial)}" for each in ranges)
        trial.set_user_attr("settings", settings)
        return objective(trial.number, settings)

    while len(study.get_trials(deepcopy=False, states=ended)) < trials:
        study.optimize(run, n_trials=1, catch=(FloatingPointError,))
    scored = study.get_trials(deepcopy=False, states=ended[:1])
    if not scored:
        raise ValueError(f"no trial in {store} has a score: all {trials} have failed.")
    best, count = study.best_trial, len(study.get_trials(deepcopy=False, states=ended))
    settings = list(best.user_attrs["settings"])
    return {"number": best.number, "score": best.value, "settings": settings, "trials": count}


def _claim(study: Any, store: str, facts: dict[str, Any]) -> None:
    facts = {name: _plain(fact) for name, fact in facts.items()}
    there = study.user_attrs.get("search")
    if there is None:
        study.set_user_attr("search", facts)
        return
    for name in sorted(there.keys() | facts.keys()):
        found, expected = there.get(name, "not given"), facts.get(name, "not given")
        if found != expected:
            raise ValueError(
                f"{store} holds another search: {name} is {found!r} there, expected {expected!r}."
            )


def _plain(value: Any) -> Any:
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def _storage(store: str) -> Any:
    optuna = _optuna()
    if "://" in store:
        return optuna.storages.RDBStorage(store)
    Path(store).parent.mkdir(parents=True, exist_ok=True)
    journal = optuna.storages.journal
    return optuna.storages.JournalStorage(journal.JournalFileBackend(store))


def _optuna() -> Any:
    try:
        import optuna  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(
            "avfkit sweep needs optuna, which is not installed: run `pip install 'avfkit[sweep]'`."
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
