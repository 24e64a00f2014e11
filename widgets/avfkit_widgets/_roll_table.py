"""What the roll explorer shows, as pure functions: a piano roll, what is hidden, what is filled in.

Each grid point filters the whole roll, with the same key: `avfkit.one_step` and `infer`, the mask
being a value. The probabilities are those of the likelihood at the mean of q_t.
"""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float, Key

import avfkit

from ._figures import format_nats
from ._plot import LEFT, RIGHT, Scene, box, nice_axis, step_ticks, strip
from ._runs import check_sequence, evaluate_run, iteration_slider, stopped
from ._table import AbstractTable, Arrays, Slider, Values

TOP, BOTTOM = 26, 266
LEVELS = (0.05, 0.2, 0.4, 0.6, 0.8)
"""From which probability on a cell takes each of the five shades."""
PITCHES = ("C", "C\u266f", "D", "D\u266f", "E", "F", "F\u266f", "G", "G\u266f", "A", "A\u266f", "B")


class RollTable(AbstractTable):
    """A filtered piano roll of which a part is hidden."""

    kind = "roll"
    title = "Roll explorer"
    description = (
        "A piano roll, time across and pitch up, with the hidden part shaded by the model's "
        "probabilities; below, the free energy of what was heard at each step."
    )
    legend = (
        ("heard", "heard note"),
        ("missed", "hidden note"),
        ("chance-2", "probability filled in"),
        ("hidden", "hidden"),
    )

    def __init__(
        self,
        model: avfkit.AbstractModel,
        inference: avfkit.AbstractInference,
        roll: Float[np.ndarray, "time keys"],
        *,
        max_iterations: int | None,
        hidden: Mapping[str, Bool[np.ndarray, "time keys"]] | None,
        lowest: int,
        key: Key[Array, ""],
    ) -> None:
        roll = check_sequence("roll", roll, model.obs_size)
        if not np.isin(roll, (0, 1)).all() or not roll.any():
            raise ValueError("roll must hold zeros, ones, and at least one note.")
        self._masks = roll_masks(roll) if hidden is None else dict(hidden)
        _check_masks(self._masks, roll.shape)
        ks, names = iteration_slider(inference, max_iterations), tuple(self._masks)
        self._most, self._given = ks[0].choices[-1] if ks else 0, (model, inference, roll, key)
        keys = np.flatnonzero(roll.any(0))
        self._keys = slice(max(0, int(keys[0]) - 2), int(keys[-1]) + 3)
        spoken = tuple(f"{name} hidden" for name in names)
        self.sliders = (*ks, Slider("hidden", "Hidden", names, spoken))
        self.constants = {"roll": roll[:, self._keys]}
        self.bits = dict(roll=8, chance=8, hidden=8, energy=16)
        self.ranges = {name: (0.0, 1.0) for name in ("roll", "chance", "hidden")}
        shown = np.arange(roll.shape[1])[self._keys]
        self.extras = {"iterates": bool(ks), "keys": [pitch_name(lowest + int(k)) for k in shown]}
        self.extras |= self._energies(names[0], len(roll))

    def _energies(self, name: str, length: int) -> dict[str, Any]:
        """An axis that holds the runs with no and with all iterations."""
        ends = [self.evaluate(dict(iterations=k, hidden=name)) for k in {0, self._most}]
        energies = np.stack([run["energy"] for run in ends])
        return {
            "energy_axis": nice_axis(min(0.0, float(energies.min())), float(energies.max()), 2),
            "energy_title": "free energy of what was heard, nats",
            "step_title": "time step",
            "step_ticks": step_ticks(1, length),
        }

    def evaluate(self, values: Values) -> dict[str, np.ndarray]:
        """The arrays of one mask and one K; keys beyond the shown ones are hidden or heard too."""
        model, inference, roll, key = self._given
        hidden = np.asarray(self._masks[values["hidden"]])
        method = stopped(inference, self._most, values.get("iterations", 0))
        found = evaluate_run(model, method, roll, ~hidden, key=key)
        return {
            "chance": found.reconstruction[:, self._keys],
            "hidden": hidden[:, self._keys].astype(float),
            "energy": found.free_energy,
        }

    def scene(self, values: Values, arrays: Arrays, width: float) -> Scene:
        """The roll, and the energies below it."""
        steps, keys = arrays["roll"].shape
        end, tall = width - RIGHT, (BOTTOM - TOP) / keys
        places = [k for k, name in enumerate(self.extras["keys"]) if name in _CS]
        edges = [*(BOTTOM - k * tall for k in places), TOP, BOTTOM]
        hidden, notes, chance = arrays["hidden"] > 0.5, arrays["roll"] > 0.5, arrays["chance"]
        shades = {
            f"chance-{i}": hidden & (chance >= low) & (chance < high)
            for i, (low, high) in enumerate(itertools.pairwise((*LEVELS, 2.0)))
        }
        masks = {"hidden": hidden, **shades, "heard": notes & ~hidden, "missed": notes & hidden}
        paths = {name: _cells(mask, (end - LEFT) / steps, tall) for name, mask in masks.items()}
        paths["roll-grid"] = "".join(box(LEFT, end, y, y) for y in edges)
        texts = [
            (LEFT - 8, BOTTOM - (k + 0.5) * tall + 4, "end", self.extras["keys"][k]) for k in places
        ]
        texts.append((LEFT, TOP - 10, "start", "notes: what was heard, and what was filled in"))
        below = strip(self.extras, {"energy": arrays["energy"]}, None, width, BOTTOM + 34)
        return Scene({**paths, **below.paths}, [*texts, *below.texts], [], below.height)

    def sentence(self, values: Values, arrays: Arrays) -> str:
        """How many of the hidden notes the model found, and what the rest costs."""
        mean = format_nats(sum(float(v) for v in arrays["energy"]) / len(arrays["energy"]))
        after = ""
        if self.extras["iterates"]:
            k = values["iterations"]
            after = f" after {k} iteration{'' if k == 1 else 's'}"
        hidden, notes = arrays["hidden"] > 0.5, arrays["roll"] > 0.5
        if not hidden.any():
            return f"Nothing is hidden: the roll costs {mean} nats per step{after}."
        likely, lost, rests = arrays["chance"] > 0.5, hidden & notes, hidden & ~notes
        found, count = int((likely & lost).sum()), int(lost.sum())
        share = f" ({100 * found / count:.0f} %)" if count else ""
        return (
            f"With {values['hidden']} hidden, the model gives {found} of {count} hidden notes"
            f"{share} a probability above one half{after}, and {int((likely & rests).sum())} of "
            f"{int(rests.sum())} hidden rests; what was heard costs {mean} nats per step."
        )


def roll_masks(roll: Float[np.ndarray, "time keys"]) -> dict[str, Bool[np.ndarray, "time keys"]]:
    """What can be hidden of a roll, by name; `True` is hidden.

    The lowest and the highest notes are the bands of keys that hold about a quarter of all notes
    each, the middle notes lie between them: bass, soprano and the inner voices of a chorale.

    Args:
        roll: zeros and ones.

    Returns:
        Masks of the roll's shape.
    """
    steps, keys = roll.shape
    played = np.repeat(np.arange(keys), roll.sum(0).astype(int))
    low, high = np.quantile(played, (0.25, 0.75), method="nearest")
    nothing = np.zeros(roll.shape, bool)
    key, step = np.arange(keys) + nothing, np.arange(steps)[:, None] + nothing
    return {
        "nothing": nothing,
        "the lowest notes": key <= low,
        "the middle notes": (key > low) & (key < high),
        "the highest notes": key >= high,
        "half of all keys": np.random.RandomState(0).rand(*roll.shape) < 0.5,
        "every second step": step % 2 == 1,
        "the second half": step >= steps // 2,
    }


def pitch_name(midi: int) -> str:
    """The name of a MIDI note; 60 is C4."""
    return f"{PITCHES[midi % 12]}{midi // 12 - 1}"


def runs(chosen: Bool[np.ndarray, " time"]) -> Iterator[tuple[int, int]]:
    """Where stretches of `True` begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(int)))
    return zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


_CS = {f"C{octave}" for octave in range(-1, 10)}


def _cells(chosen: Bool[np.ndarray, "time keys"], step: float, tall: float) -> str:
    """Cells of the roll, those in a row as one."""
    return "".join(
        box(LEFT + a * step, LEFT + b * step, BOTTOM - (k + 1) * tall, BOTTOM - k * tall)
        for k in range(chosen.shape[1])
        for a, b in runs(chosen[:, k])
    )


def _check_masks(masks: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> None:
    if not masks:
        raise ValueError("hidden has no choices; expected at least one mask.")
    for name, mask in masks.items():
        mask = np.asarray(mask)
        if mask.shape != shape or mask.dtype != bool:
            raise ValueError(
                f"hidden[{name!r}] has shape {mask.shape} and dtype {mask.dtype}; expected "
                f"{shape} and bool, True where an entry is hidden."
            )
