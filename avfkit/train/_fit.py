"""`fit`: any pytree, any loss, any optimizer. The trainer knows no model."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np
import optax
from jaxtyping import Array, Key, PyTree

from avfkit.train._checkpoint import as_json
from avfkit.train._folder import Folder
from avfkit.train._mesh import all_devices
from avfkit.train._metrics import Metrics
from avfkit.train._processes import here, is_first, shared_by
from avfkit.train._progress import AbstractProgress, NoProgress, Record
from avfkit.train._run import Plan, Run
from avfkit.train._step import Best, Loss, State, initial_best, initial_state, make_step


class Fit(eqx.Module):
    """What a run has reached.

    Attributes:
        tree: the tree of the best validation; without validation the last one.
        last: the tree after the last step.
        step: the number of steps done; less than `num_steps` after an early stop.
        best_score: the score of the best validation; infinite if there was none.
        history: all records, as in `metrics.jsonl` (of several processes, those but the first have
            the records of this call only): dicts of `kind` ("train" or "validation"),
            `step` (steps done), `seconds` (training time so far) and what was logged: numbers,
            vectors as lists, words; `None` stands for a number that is not finite. Training
            records hold `loss`, its metrics, `gradient_norm` and, as `gradient_norm[0]` or
            `gradient_norm.name`, the norm of each part of the tree.
        seconds: the wall time of this call.
        compile_seconds: the wall time of its first step, which compiles.
    """

    tree: PyTree
    last: PyTree
    step: int
    best_score: float
    history: list[Record]
    seconds: float
    compile_seconds: float


def fit(
    tree: PyTree,
    loss: Loss,
    data: Callable[[int], PyTree],
    *,
    optimizer: optax.GradientTransformation,
    num_steps: int,
    key: Key[Array, ""],
    folder: str | Path | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    validate: Callable[[PyTree], Any] | None = None,
    validate_every: int = 500,
    patience: int | None = None,
    checkpoint_every: int = 500,
    progress: AbstractProgress = NoProgress(),  # noqa: B008 - immutable
    log_every: int = 50,
) -> Fit:
    """Minimises a loss over the floating-point arrays of a pytree.

    One step is compiled once: batches are placed on all devices, the key of a step is
    `fold_in(key, step)`, and `loss` gets the step as an array, so that a weight may change with
    it. With a folder the run keeps metrics and checkpoints there, and resumes from them: the same
    call, made again after an interruption, ends with the same bits as an uninterrupted run.

    In several processes (call `jax.distributed.initialize` first) all make the same call, with
    the whole of every batch, and a batch is divided among the devices of all. Only process 0 reads
    and writes the folder and shows progress; each gets the same trees, on its own first device, and
    validates by itself, but the score of process 0 counts. A folder may be resumed on another
    number of devices, then equal up to rounding.

    Args:
        tree: what to train, usually (model, inference). Its arrays are copied, never consumed.
        loss: `loss(tree, batch, *, key, step)` -> (scalar, dict of scalars and vectors to log). See
            `batch_loss`. A third value is a tree that takes the place of the current one before
            the update is added: for a loss that itself learns, such as `online_e_step_loss`.
        data: `data(step)` -> batch, a pytree of NumPy arrays; a pure function of the step, counted
            from 0. Each shape of batch compiles once.
        optimizer: any optax optimizer; `optax.multi_transform` gives two learning rates.
        num_steps: the number of steps of the whole run; may be raised when resuming. The run then
            has one more validation, at its former end, unless one was due there.
        key: a typed key.
        folder: where to keep `checkpoint.avfkit` and `metrics.jsonl`; by default nowhere. One run
            at a time may use it. A run resumes only if what `fit` can compare is the same: key,
            initial tree, intervals. It cannot compare the optimizer, the loss and the data, so
            what defines them (learning rate, weights, batch size, seed, ...) belongs in
            `hyperparameters`.
        hyperparameters: what one needs to build the tree again, and what defines optimizer, loss
            and data, as JSON can hold it; kept in the checkpoint. A folder with other
            hyperparameters is refused.
        validate: `validate(tree)` -> score, lower is better; or (score, dict of numbers, vectors
            and words to log). Under the name `warning` words are shown as a warning.
        validate_every: steps between validations; there is one at the end too.
        patience: stop after this many validations in a row without a better score.
        checkpoint_every: steps between checkpoints; there is one at the end too.
        progress: how to show the records.
        log_every: steps between records of the loss, each of one batch.

    Returns:
        The trees and the history of the run.

    Raises:
        ValueError: if an argument is out of range, `loss` returns no scalar, or processes differ in
            what they ask for or in their first batch.
        CheckpointError: if the folder belongs to another run or is in use by one, or its checkpoint
            is damaged.
        FloatingPointError: if a loss, an update or a score is not finite; the message names the
            first such step, and which metrics of the loss, and the gradients of which parameters,
            were not finite there. The checkpoint in the folder is then the last good one.
        OSError: if the folder cannot be written, or the disk is full. What is in the folder is then
            as good as before.
        RuntimeError: in the other processes, if the folder stops process 0.

    Warns:
        UserWarning: if the devices cannot share a batch evenly; each then computes all of it.
    """
    began = time.perf_counter()
    plan = Plan(
        data, key, num_steps, log_every, checkpoint_every, validate_every, validate, patience
    )
    state, best = initial_state(tree, optimizer), initial_best(tree, validates=validate is not None)
    identity, facts = plan.identity(tree), as_json("hyperparameters", hyperparameters or {})
    plan.check_processes({**identity, "hyperparameters": facts})
    with Folder(folder if is_first() else None, facts, identity) as home:
        state, best, metrics = shared_by(lambda: _started(home, plan, (state, best), folder))
        with (progress if is_first() else NoProgress()).open(int(state.step), num_steps) as report:
            run = Run(plan, make_step(loss, optimizer, all_devices()), home, metrics, report)
            state, best, compile_seconds = run.to_the_end(state, best)
    return _fit(here(state), best, metrics.records, time.perf_counter() - began, compile_seconds)


def _started(
    home: Folder, plan: Plan, carry: tuple[State, Best], folder: object
) -> tuple[State, Best, Metrics]:
    state, best = home.resume(carry)
    plan.check_start(int(state.step), folder)
    return state, best, Metrics(home.metrics, int(state.step))


def _fit(
    state: State, best: Best, history: list[Record], seconds: float, compile_seconds: float
) -> Fit:
    score = float(best.score)
    tree = best.tree if np.isfinite(score) else state.tree
    return Fit(tree, state.tree, int(state.step), score, history, seconds, compile_seconds)
