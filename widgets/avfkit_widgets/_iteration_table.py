"""What the iteration explorer shows, as pure functions: reconstructions and energies over K."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

import avfkit

from ._figures import format_nats
from ._plot import LEFT, RIGHT, Scene, box, disc, nice_axis, ordinate, polyline, ruler, step_ticks
from ._plot import strip as energy_strip
from ._runs import FirstSamples, Run, check_sequence, evaluate_run, iteration_slider, stopped
from ._table import AbstractTable, Arrays, Slider, Values

SPAN = 600
"""Most entries in the upper panel; steps beside the chosen one fill it."""


class IterationTable(AbstractTable):
    """Filters that stop after K = 0, 1, ... iterations, their expectations from S samples.

    Each grid point filters the whole sequence, with the same key: `avfkit.one_step` and `infer` of
    an `IterativeFilter` with `stop_after=K`.
    """

    kind = "iteration"
    title = "Iteration explorer"
    description = (
        "Three panels. Above, the data at a step, its prediction and its reconstruction; then the "
        "free energy of each step; below, how the step's free energy changes over the iterations."
    )
    legend = (
        ("truth", "data"),
        ("prediction", "prediction (<i>K</i> = 0)"),
        ("reconstruction", "after <i>K</i> iterations"),
        ("mean-change", "mean of the steps"),
    )

    def __init__(
        self,
        model: avfkit.AbstractModel,
        inference: avfkit.IterativeFilter,
        xs: Float[np.ndarray, "time obs"],
        *,
        max_iterations: int,
        samples: Sequence[int],
        window: tuple[int, int] | None,
        key: Key[Array, ""],
    ) -> None:
        _check(inference, samples)
        xs = check_sequence("xs", xs, model.obs_size)
        first, length = _window(window, len(xs))
        self._first, self._given = first, (model, inference, xs[: first - 1 + length], key)
        self._max, self._most = max_iterations, math.lcm(*samples)
        data = self._given[2][first - 1 :]
        ks = iteration_slider(inference, max_iterations)
        self.sliders = (*ks, *_sliders(tuple(samples), first, length))
        self.constants = {"data": data}
        self.bits = dict(data=16, reconstruction=8, prediction=8, energy=16, iterations=16)
        axis = nice_axis(float(data.min()), float(data.max()))
        ends = (axis["low"], axis["high"])
        self.ranges = {"reconstruction": ends, "prediction": ends}
        span = min(length, max(1, SPAN // data.shape[1]))
        self.extras = {"signal_axis": axis, "span": span, "size": data.shape[1]}
        self.extras |= {"first": first, "max_iterations": max_iterations}
        self.extras |= self._energies(min(samples), length)

    def evaluate(self, values: Values) -> dict[str, np.ndarray]:
        """The arrays of one K and S."""
        found = self._run(values["iterations"], values["num_samples"])
        keep = slice(self._first - 1, None)
        return {
            "reconstruction": found.reconstruction[keep],
            "prediction": found.prediction[keep],
            "energy": found.free_energy[keep],
            "iterations": found.iterations[keep],
        }

    def scene(self, values: Values, arrays: Arrays, width: float) -> Scene:
        """The three panels."""
        k, t = values["iterations"], values["step"] - self._first
        signal = self._signal(t, arrays, width)
        lines = {"prior": arrays["iterations"][:, 0], "energy": arrays["energy"]}
        middle = energy_strip(self.extras, lines, t, width, 236)
        below = self._changes(k, t, arrays, width)
        parts = (signal, middle, below)
        paths = {name: d for part in parts for name, d in part.paths.items()}
        return Scene(paths, [text for part in parts for text in part.texts], [], below.height)

    def sentence(self, values: Values, arrays: Arrays) -> str:
        """What K iterations did to this step, and to the steps on average."""
        k, step, t = values["iterations"], values["step"], values["step"] - self._first
        here = format_nats(float(arrays["energy"][t]))
        count, mean = len(arrays["energy"]), format_nats(float(arrays["energy"].mean()))
        if k == 0:
            return (
                f"Without inference iterations the estimate is the prior prediction: step {step} "
                f"costs {here} nats, and the {count} steps shown cost {mean} nats each on average."
            )
        changes = arrays["iterations"][:, k] - arrays["iterations"][:, 0]
        return (
            f"After {k} iteration{'' if k == 1 else 's'} with {_samples(values['num_samples'])}, "
            f"step {step} costs {here} nats, {_less(float(changes[t]))} than its prior prediction; "
            f"the {count} steps shown cost {mean} nats each on average, "
            f"{_less(float(changes.mean()))}."
        )

    def _run(self, iterations: int, samples: int) -> Run:
        model, inference, xs, key = self._given
        estimate = FirstSamples(jnp.asarray(samples), self._most)
        sampled = avfkit.IterativeFilter(inference.update, self._max, estimate)
        return evaluate_run(model, stopped(sampled, self._max, iterations), xs, key=key)

    def _energies(self, samples: int, length: int) -> dict:
        """Axes that hold the runs with no and with all iterations."""
        point = dict(num_samples=samples)
        ends = [self.evaluate(point | dict(iterations=k)) for k in (0, self._max)]
        levels = np.stack([run["energy"] for run in ends] + [ends[1]["iterations"][:, 0]])
        changes = ends[1]["iterations"] - ends[1]["iterations"][:, :1]
        whole = np.concatenate([changes, np.broadcast_to(changes.mean(0), changes.shape)], 1)
        return {
            "energy_axis": nice_axis(float(levels.min()), float(levels.max()), 2),
            "energy_title": "step free energy, nats (dashed: prior)",
            "step_title": "time step",
            "step_ticks": step_ticks(self._first, length),
            "change_axes": [nice_axis(float(w.min()), float(w.max()), 2) for w in whole],
        }

    def _signal(self, t: int, arrays: Arrays, width: float) -> Scene:
        """The data around a step, above."""
        top, bottom = 26, 196
        size, span, axis = (self.extras[n] for n in ("size", "span", "signal_axis"))
        first = max(0, min(t - span // 2, len(arrays["data"]) - span))
        entry = (width - LEFT - RIGHT) / (span * size)
        xs = [LEFT + (i + 0.5) * entry for i in range(span * size)]
        sides = LEFT + (t - first) * size * entry, LEFT + (t - first + 1) * size * entry
        paths = {"here": box(*sides, top, bottom) if span > 1 else ""}
        paths["signal-grid"], texts = ruler(axis, width, top, bottom)
        marks = {"truth": "data", "prediction": "prediction", "reconstruction": "reconstruction"}
        for mark, name in marks.items():
            values = np.ravel(arrays[name][first : first + span])
            paths[mark] = polyline(xs, [ordinate(axis, v, top, bottom) for v in values])
        start, last = first + self._first, first + span - 1 + self._first
        words = f"x at step {start}" if span == 1 else f"x at steps {start} to {last}"
        return Scene(paths, [*texts, (LEFT, top - 10, "start", words)], [], bottom)

    def _changes(self, k: int, t: int, arrays: Arrays, width: float) -> Scene:
        """The free energy over the iterations, below."""
        top, bottom = 400, 490
        axis, count = self.extras["change_axes"][t], self._max + 1
        unit = (width - LEFT - RIGHT) / count
        xs = [LEFT + (i + 0.5) * unit for i in range(count)]
        changes = arrays["iterations"] - arrays["iterations"][:, :1]
        paths = {"iteration": box(LEFT + k * unit, LEFT + (k + 1) * unit, top, bottom)}
        paths["change-grid"], texts = ruler(axis, width, top, bottom)
        mean = [sum(float(v) for v in changes[:, i]) / len(changes) for i in range(k + 1)]
        for mark, line in (("mean-change", mean), ("change", changes[t, : k + 1])):
            ys = [ordinate(axis, v, top, bottom) for v in line]
            paths[mark] = polyline(xs[: k + 1], ys)
            dots = zip(xs[: k + 1], ys, strict=True)
            paths[f"{mark}-dots"] = "".join(disc(x, y, 2.6) for x, y in dots)
        texts += [(x, bottom + 18, "middle", str(i)) for i, x in enumerate(xs)]
        title = "change since the prior prediction, nats"
        texts.append((LEFT, top - 10, "start", title))
        texts.append(((LEFT + width - RIGHT) / 2, bottom + 36, "middle", "inference iteration"))
        return Scene(paths, texts, [], bottom + 44)


def _check(inference: object, samples: Sequence[int]) -> None:
    if not isinstance(inference, avfkit.IterativeFilter):
        raise TypeError(
            f"inference is a {type(inference).__name__}; expected an IterativeFilter, which can "
            "stop after K iterations."
        )
    if not samples or min(samples) < 1:
        raise ValueError(f"samples is {tuple(samples)}; expected numbers of at least 1.")


def _window(window: tuple[int, int] | None, length: int) -> tuple[int, int]:
    first, count = (1, min(length, 16)) if window is None else window
    if not (1 <= first and 1 <= count and first - 1 + count <= length):
        raise ValueError(
            f"window is {window}; expected the first step, counted from 1, and a number of steps, "
            f"within the {length} steps of xs."
        )
    return first, count


def _sliders(samples: tuple[int, ...], first: int, length: int) -> tuple[Slider, ...]:
    steps = tuple(range(first, first + length))
    return (
        Slider("num_samples", "Samples <i>S</i>", samples, tuple(map(_samples, samples))),
        Slider("step", "Step", steps, tuple(f"step {t}" for t in steps), tabulated=False),
    )


def _samples(count: int) -> str:
    return f"{count} sample{'' if count == 1 else 's'}"


def _less(change: float) -> str:
    return f"{format_nats(abs(change))} nats {'less' if change <= 0 else 'more'}"
