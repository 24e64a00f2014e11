"""What the scan explorer shows, as pure functions: all prefixes of a chain, by two schedules.

The elements, their combinations and the filter are those of `avfkit.kalman`: an element's `bias`
is the mean of its last latent given the steps it covers (and zero before them), so a finished
prefix holds the filter's mean.
"""

import jax
import numpy as np
from jaxtyping import Array, Float

from avfkit import kalman

from ._figures import format_nats
from ._plot import LEFT, RIGHT, Scene, box, disc, nice_axis, ordinate, polyline, ruler, step_ticks
from ._scene import fixed
from ._schedules import Schedule, by_a_tree, one_by_one, tree_levels
from ._table import AbstractTable, Arrays, Slider, Values

LENGTHS, WORKERS, LATENCIES = (8, 16, 32, 64), (1, 2, 4, 8, 16, 32), (0, 1, 10, 100)
TOP, GAP, SIDE = 26, 24, 270
NAMES = ("one by one", "by a tree")


class ScanTable(AbstractTable):
    """Two ways to all prefixes, after some rounds."""

    kind = "scan"
    title = "Scan explorer"
    description = (
        "Two squares, one by one and by a tree: a row for each position, as long as the steps it "
        "has gathered. Below, the latent's mean that each position of the tree holds beside the "
        "filter's, and how much time both ways take."
    )
    legend = (
        ("scan-done", "finished prefix"),
        ("scan-open", "steps gathered so far"),
        ("scan-fresh", "combined in this round"),
        ("scan-filter", "filter's mean"),
    )

    def __init__(self, chain: kalman.Markov, potentials: kalman.Potentials, *, entry: int) -> None:
        count, size = potentials.linear.shape
        if count < LENGTHS[0]:
            raise ValueError(f"potentials has {count} steps; expected at least {LENGTHS[0]}.")
        if not 0 <= entry < size:
            raise ValueError(f"entry is {entry}; expected 0 to {size - 1}, an entry of the latent.")
        lengths = tuple(n for n in LENGTHS if n <= count)
        self._entry, self._most = entry, lengths[-1]
        steps = kalman.unrolled(chain, count)
        self._given = jax.tree.map(lambda leaf: leaf[: self._most], (steps, potentials))
        last = max(last_round(self._most, workers) for workers in WORKERS)
        self.sliders = _sliders(lengths, last)
        self.constants = {}
        self.bits = dict(held=16, prefix=16, filter=16)
        self.ranges = {}
        found = self.evaluate({})
        values = np.concatenate([np.ravel(array) for array in found.values()])
        self.extras = {
            "mean_axis": nice_axis(float(values.min()), float(values.max()), 2),
            "step_ticks": {str(n): step_ticks(1, n) for n in lengths},
        }

    def evaluate(self, values: Values) -> dict[str, np.ndarray]:
        """What a position holds of its last 2^level steps, of all steps, and the filter's mean."""
        del values
        steps, potentials = self._given
        elements, filtered = _walked(steps, potentials)
        single = [jax.tree.map(lambda leaf, t=t: leaf[t], elements) for t in range(self._most)]
        held = [self._means(single)]
        for pairs in tree_levels(self._most):
            new = [(j, _combine(single[i], single[j])) for i, j in pairs]
            for j, element in new:
                single[j] = element
            held.append(self._means(single))
        levels = self._most.bit_length()
        return {
            "held": np.stack(held[:levels]),
            "prefix": held[-1],
            "filter": np.asarray(filtered)[:, self._entry],
        }

    def scene(self, values: Values, arrays: Arrays, width: float) -> Scene:
        """The squares, the workers, the means and the times."""
        side = min(SIDE, (width - LEFT - RIGHT - GAP) / 2)
        parts = [_square(values, 0, LEFT, side), _square(values, 1, LEFT + side + GAP, side)]
        below = TOP + side
        parts.append(_workers(values, width, below + 46))
        parts.append(self._curve(values, arrays, width, below + 96))
        parts.append(_times(values, width, below + 274))
        paths = dict.fromkeys(("scan-grid", "scan-filter"), "")  # these lie below the rest
        for part in parts:
            for name, d in part.paths.items():
                paths[name] = paths.get(name, "") + d
        return Scene(paths, [text for part in parts for text in part.texts], [], parts[-1].height)

    def sentence(self, values: Values, arrays: Arrays) -> str:
        """How far both ways are, and how long they take in all."""
        length, workers, latency = (values[n] for n in ("length", "workers", "latency"))
        both = schedules(values)
        starts = [schedule.starts(values["round"], length) for schedule in both]
        done = [sum(start == 0 for start in first) for first in starts]
        rounds = [len(schedule.rounds) for schedule in both]
        times = [schedule.time(n, latency) for schedule, n in zip(both, rounds, strict=True)]
        gap = np.abs(_held(starts[1], arrays) - arrays["filter"][:length]).max()
        k = min(values["round"], max(rounds))
        hands = f"{workers} worker{'' if workers == 1 else 's'}"
        return (
            f"After {k} round{'' if k == 1 else 's'} one by one has finished {done[0]} of {length} "
            f"prefixes and the tree, with {hands}, {done[1]}; its means are off by up to "
            f"{format_nats(float(gap))}. To the end the one needs {rounds[0]} rounds and the other "
            f"{rounds[1]}; with a pause of {latency} before each level that is {times[0]} and "
            f"{times[1]} combinations' time, {_compared(*times)}."
        )

    def tree_rounds(self, values: Values) -> int:
        """After how many rounds the tree is done."""
        return len(schedules(values)[1].rounds)

    def _means(self, elements: list[kalman.Element]) -> Float[np.ndarray, " time"]:
        return np.array([float(element.bias[self._entry]) for element in elements])

    def _curve(self, values: Values, arrays: Arrays, width: float, top: float) -> Scene:
        """The means that the tree holds, beside the filter's."""
        length, bottom = values["length"], top + 110
        axis, ticks = self.extras["mean_axis"], self.extras["step_ticks"][str(length)]
        step = (width - LEFT - RIGHT) / length
        xs = [LEFT + (t + 0.5) * step for t in range(length)]
        lines, texts = ruler(axis, width, top, bottom)
        first = schedules(values)[1].starts(values["round"], length)
        exact = [ordinate(axis, v, top, bottom) for v in arrays["filter"][:length]]
        held = [ordinate(axis, v, top, bottom) for v in _held(first, arrays)]
        dots = list(zip(xs, held, first, strict=True))
        paths = {
            "scan-grid": lines,
            "scan-filter": polyline(xs, exact),
            "scan-open": "".join(disc(x, y, 2.6) for x, y, start in dots if start > 0),
            "scan-done": "".join(disc(x, y, 2.6) for x, y, start in dots if start == 0),
        }
        texts += [(xs[t], bottom + 18, "middle", words) for t, words in ticks]
        texts.append((LEFT, top - 10, "start", "mean of the latent that the tree holds"))
        texts.append(((LEFT + width - RIGHT) / 2, bottom + 36, "middle", "position"))
        return Scene(paths, texts, [], bottom + 44)


_combine = jax.jit(kalman.combine)


@jax.jit
def _walked(
    steps: kalman.Conditionals, potentials: kalman.Potentials
) -> tuple[kalman.Element, Float[Array, "time latent"]]:
    """The element of each step, and the filter's means, walked step by step."""
    elements = jax.vmap(kalman.element)(steps, potentials)
    return elements, kalman.filter(steps, potentials, method="sequential").mean


def schedules(values: Values) -> tuple[Schedule, Schedule]:
    """One by one, and by a tree with the chosen workers."""
    return one_by_one(values["length"]), by_a_tree(values["length"], values["workers"])


def last_round(length: int, workers: int) -> int:
    """After which round both ways are done."""
    return max(length - 1, len(by_a_tree(length, workers).rounds))


def _sliders(lengths: tuple[int, ...], last: int) -> tuple[Slider, ...]:
    def slider(name: str, label: str, choices: tuple[int, ...], words: str) -> Slider:
        spoken = tuple(words.format(n).replace("1 workers", "1 worker") for n in choices)
        return Slider(name, label, choices, spoken, tabulated=False)

    return (
        slider("length", "Length <i>T</i>", lengths, "{} steps"),
        slider("workers", "Workers", WORKERS, "{} workers"),
        slider("latency", "Pause before a level", LATENCIES, "a pause of {} combinations"),
        slider("round", "Rounds done", tuple(range(last + 1)), "{} rounds done"),
    )


def _held(first: list[int], arrays: Arrays) -> Float[np.ndarray, " time"]:
    """The mean that each position holds, by the first step that it has gathered."""
    held, prefix = arrays["held"], arrays["prefix"]
    return np.array(
        [
            prefix[t] if start == 0 else held[(t - start + 1).bit_length() - 1, t]
            for t, start in enumerate(first)
        ]
    )


def _square(values: Values, way: int, left: float, side: float) -> Scene:
    """A row for each position: the steps that it has gathered."""
    length, done = values["length"], values["round"]
    schedule = schedules(values)[way]
    first, cell = schedule.starts(done, length), side / values["length"]
    now = schedule.rounds[done - 1] if 0 < done <= len(schedule.rounds) else []
    rows = [
        box(left + a * cell, left + (t + 1) * cell, TOP + t * cell, TOP + (t + 1) * cell)
        for t, a in enumerate(first)
    ]
    paths = {
        "scan-grid": box(left, left + side, TOP, TOP + side),
        "scan-open": "".join(row for row, a in zip(rows, first, strict=True) if a > 0),
        "scan-done": "".join(row for row, a in zip(rows, first, strict=True) if a == 0),
        "scan-fresh": "".join(rows[j] for _, j in now),
    }
    texts = [(left, TOP - 10, "start", NAMES[way])]
    texts += [(left + 0.5 * cell, TOP + side + 16, "middle", "1")]
    texts += [(left + side - 0.5 * cell, TOP + side + 16, "middle", str(length))]
    if way == 0:
        texts += [(left - 8, TOP + 10, "end", "1"), (left - 8, TOP + side, "end", str(length))]
    return Scene(paths, texts, [], TOP + side)


def _workers(values: Values, width: float, top: float) -> Scene:
    """A dot for each worker of the tree; those that combined in this round are filled."""
    rounds, done, count = schedules(values)[1].rounds, values["round"], values["workers"]
    busy = len(rounds[done - 1]) if 0 < done <= len(rounds) else 0
    step = min(16.0, (width - LEFT - RIGHT) / count)
    dots = [disc(LEFT + (i + 0.5) * step, top + 12, 0.38 * step) for i in range(count)]
    words = f"the tree's workers: {busy} of {count} busy"
    paths = {"scan-busy": "".join(dots[:busy]), "scan-idle": "".join(dots[busy:])}
    return Scene(paths, [(LEFT, top, "start", words)], [], top + 24)


def _times(values: Values, width: float, top: float) -> Scene:
    """A bar for each way, filled as far as it has come; darker where something was combined."""
    both, latency = schedules(values), values["latency"]
    whole = [schedule.time(len(schedule.rounds), latency) for schedule in both]
    unit, texts = (width - LEFT - RIGHT) / max(whole), []
    paths = {"scan-bar": "", "scan-spent": "", "scan-work": ""}
    for way, (name, schedule) in enumerate(zip(NAMES, both, strict=True)):
        y, done = top + 34 * way, min(values["round"], len(schedule.rounds))
        ends = [schedule.time(k, latency) for k in range(done + 1)]
        spans = {"scan-bar": [(0, whole[way])], "scan-spent": [(0, ends[-1])]}
        spans["scan-work"] = [(end - 1, end) for end in ends[1:]]
        for mark, parts in spans.items():
            parts = [(LEFT + a * unit, LEFT + b * unit) for a, b in parts]
            paths[mark] += "".join(box(*part, y + 6, y + 16) for part in parts)
        words = f"{name}: {ends[-1]} of {whole[way]} combinations' time"
        texts.append((LEFT, y, "start", words))
    return Scene(paths, texts, [], top + 58)


def _compared(one: int, tree: int) -> str:
    if one == tree:
        return "the same for both"
    faster, factor = ("the tree", one / tree) if tree < one else ("one by one", tree / one)
    return f"{faster} being {fixed(factor)} times as fast"
