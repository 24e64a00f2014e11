"""The loop of a run: step, and now and then log, validate, checkpoint."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key, PyTree

from avfkit.train._checkpoint import digest
from avfkit.train._folder import Folder
from avfkit.train._leaves import copied
from avfkit.train._mesh import all_devices, shard, spread
from avfkit.train._metrics import Metrics
from avfkit.train._processes import check_alike, here, shared
from avfkit.train._progress import Report
from avfkit.train._sentinel import check_finite
from avfkit.train._step import Advance, Best, State


class Plan(eqx.Module):
    """What a run does, and when; intervals in steps."""

    data: Callable[[int], PyTree]
    key: Key[Array, ""]
    num_steps: int
    log_every: int
    checkpoint_every: int
    validate_every: int
    validate: Callable[[PyTree], Any] | None
    patience: int | None

    def __check_init__(self) -> None:
        """Refuses what could not be meant."""
        names = ["num_steps", "log_every", "checkpoint_every", "validate_every"]
        for name in [*names, *(["patience"] if self.patience is not None else [])]:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1.")
        if self.validate is None and self.patience is not None:
            raise ValueError(f"patience is {self.patience}, but there is no validate to wait for.")
        if not jnp.issubdtype(self.key.dtype, jax.dtypes.prng_key):
            raise ValueError(f"key has dtype {self.key.dtype}, expected a typed key: jr.key(seed).")

    def identity(self, tree: PyTree) -> dict[str, Any]:
        """What must be the same for a run to resume as if nothing had happened."""
        return {
            "key": f"{jr.key_impl(self.key)} {np.asarray(jr.key_data(self.key)).tolist()}",
            "initial tree": digest(tree),
            "log_every": self.log_every,
            "validate_every": None if self.validate is None else self.validate_every,
        }

    def check_processes(self, facts: Mapping[str, Any]) -> None:
        """Refuses processes that would not go the same way."""
        stops = {"num_steps": self.num_steps, "patience": self.patience}
        check_alike(lambda: {**facts, **stops})

    def check_start(self, start: int, folder: object) -> None:
        """Refuses to go back: a folder may have done more steps than are wanted now."""
        if start > self.num_steps:
            raise ValueError(
                f"num_steps is {self.num_steps}, expected at least {start}: so many steps are done "
                f"already in {folder}."
            )


class Run(eqx.Module):
    """A plan at work."""

    plan: Plan
    advance: Advance
    folder: Folder
    metrics: Metrics
    report: Report

    def to_the_end(self, state: State, best: Best) -> tuple[State, Best, float]:
        """Goes on until `num_steps` or an early stop; returns the compile time in seconds too."""
        plan, devices = self.plan, all_devices()
        state, key = spread((state, shared(plan.key)), devices)
        start, began, compile_seconds = int(state.step), time.perf_counter(), 0.0
        values: dict[str, Any] = {}
        for done in range(start + 1, plan.num_steps + 1):
            if plan.patience is not None and best.num_worse >= plan.patience:
                break
            batch = plan.data(done - 1)
            if done == start + 1:
                check_alike(partial(_first_batch, start, batch))
            state, values = self.advance((shard(batch, devices), key), state)
            if done == start + 1:
                jax.block_until_ready(values)
                compile_seconds = time.perf_counter() - began
            if done % plan.log_every == 0:
                self._check(state, values)
                self.report(self.metrics.add("train", done, values))
            due = done % plan.validate_every == 0 or done == plan.num_steps
            if plan.validate is not None and due:
                self._check(state, values)
                best = self._validated(plan.validate, state, best)
            if done % plan.checkpoint_every == 0:
                self._save(state, best, values)
        self._save(state, best, values)
        return state, best, compile_seconds

    def _validated(self, validate: Callable[[PyTree], Any], state: State, best: Best) -> Best:
        tree, step = copied(here(state.tree)), int(state.step)  # the next step consumes state.tree
        found = validate(tree)
        score, metrics = found if isinstance(found, tuple) else (found, {})
        score = float(shared(np.array(float(score))))
        if not np.isfinite(score):
            raise FloatingPointError(
                f"validate returned {score} after {step} steps.{self.folder.kept}"
            )
        best = best.challenged(tree, score)
        values = {"score": score, "best_score": float(best.score), **metrics}
        self.report(self.metrics.add("validation", step, values))
        return best

    def _check(self, state: State, values: dict[str, Any]) -> None:
        check_finite(state.fault, state.tree, [*values], self.folder.kept)

    def _save(self, state: State, best: Best, values: dict[str, Any]) -> None:
        self._check(state, values)
        self.metrics.sync()
        self.folder.save(here((state, best)))


def _first_batch(step: int, batch: PyTree) -> dict[str, str]:
    return {f"data({step})": digest(batch)}
