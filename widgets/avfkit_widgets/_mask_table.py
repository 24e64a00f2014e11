"""What the mask explorer shows, as pure functions: a film of which a window is hidden."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

import avfkit

from ._masked_run import (
    Readout,
    check_film,
    hidden_steps,
    infer_masked,
    mask_extras,
    window_sliders,
)
from ._plot import (
    LEFT,
    RIGHT,
    Axis,
    Scene,
    Text,
    box,
    clamp,
    disc,
    grey,
    name,
    ordinate,
    polyline,
    ruler,
)
from ._runs import check_sequence
from ._table import AbstractTable, Arrays, Values

PATHS, FRAMES = 5, 10  # in phase space, and in the strip


class MaskTable(AbstractTable):
    """A smoother that does not see a window of a film: read-out, phase space, frames.

    Each grid point infers the film with the window missing, with the same keys, and reads two
    numbers off every latent.
    """

    kind = "mask"
    title = "Mask explorer"
    legend = (
        ("truth", "truth"),
        ("reconstruction", "posterior mean"),
        ("band", "90 % band"),
        ("phase-draws", "sampled paths"),
        ("hidden", "hidden from inference"),
    )

    def __init__(
        self,
        model: avfkit.AbstractMarkovModel,
        inference: avfkit.AbstractInference,
        film: Float[np.ndarray, "time pixels"],
        truth: Float[np.ndarray, "time 2"],
        readout: Readout,
        *,
        shape: tuple[int, int],
        clean: Float[np.ndarray, "time pixels"],
        windows: tuple[Sequence[int], Sequence[int]],
        names: tuple[tuple[str, str], tuple[str, str]],
        key: Key[Array, ""],
    ) -> None:
        film = check_sequence("film", film, model.obs_size)
        check_film(model, shape, (film, clean), truth, readout)
        self._given = (model, inference, film, readout, key)
        self.sliders = window_sliders(windows, len(film))
        count = min(FRAMES, len(film))
        self._places = np.floor((np.arange(count) + 0.5) * len(film) / count).astype(int)
        pictures = {"clean": clean[self._places], "data": film[self._places]}
        self.constants = {"truth": truth, **pictures}
        self.bits = dict(truth=16, clean=8, data=8, mean=16, low=16, high=16, paths=8, frames=8)
        self.ranges = {kind: (0.0, 1.0) for kind in ("clean", "data", "frames")}
        (what, _), (other, _) = names
        self.description = (
            f"Above, the {what} over the steps of a film, with the truth and a band; then {other} "
            f"against {what}; below, frames: the truth, the data, and what the model makes of them."
        )
        self.extras = mask_extras(truth, self._places, shape, names)

    def evaluate(self, values: Values) -> dict[str, np.ndarray]:
        """The arrays of one window."""
        model, inference, film, readout, key = self._given
        hidden = hidden_steps(values, len(film))
        arrays = map(jnp.asarray, (film, ~hidden, self._places))
        found = infer_masked(model, inference, *arrays, readout=readout, key=key)
        draws, frames = (np.asarray(array) for array in found)
        low, high = np.quantile(draws[..., 0], (0.05, 0.95), axis=0)
        paths = np.where(hidden[:, None], draws[:PATHS], 0.0)
        return {"mean": draws.mean(0), "low": low, "high": high, "paths": paths, "frames": frames}

    def scene(self, values: Values, arrays: Arrays, width: float) -> Scene:
        """Three panels, one below the other."""
        hidden = hidden_steps(values, self.extras["length"])
        parts = (
            self._line(hidden, arrays, width),
            self._phase(hidden, arrays, width),
            self._strip(hidden, arrays, width),
        )
        paths = {mark: d for part in parts for mark, d in part.paths.items()}
        texts = [text for part in parts for text in part.texts]
        return Scene(paths, texts, parts[2].images, parts[2].height)

    def sentence(self, values: Values, arrays: Arrays) -> str:
        """How far off the read-out is, and whether its band holds."""
        hidden = hidden_steps(values, self.extras["length"])
        what, unit = self.extras["what"], self.extras["unit"]
        truth, steps = arrays["truth"][:, 0], hidden if hidden.any() else ~hidden
        square = (arrays["mean"][:, 0] - truth) ** 2
        holds = (arrays["low"] <= truth) & (truth <= arrays["high"])
        wide = _mean((arrays["high"] - arrays["low"])[steps])
        share = math.floor(100 * _mean(holds[steps]) + 0.5)
        first, last = np.flatnonzero(steps)[[0, -1]] + 1
        opening = f"Steps {first} to {last} are hidden" if hidden.any() else "Nothing is hidden"
        words = (
            f"{opening}: the {what} is off by {math.sqrt(_mean(square[steps])):.2f} {unit} in root "
            f"mean square, and its 90 % band, {wide:.2f} {unit} wide on average, holds it at "
            f"{share} % of {'these' if hidden.any() else 'the'} steps"
        )
        if not hidden.any():
            return f"{words}."
        return f"{words}; elsewhere it is off by {math.sqrt(_mean(square[~hidden])):.2f} {unit}."

    def _line(self, hidden: np.ndarray, arrays: Arrays, width: float) -> Scene:
        """The read-out over time."""
        top, bottom, axis = 26, 166, self.extras["axes"][0]
        step = (width - LEFT - RIGHT) / len(hidden)
        xs = [LEFT + (t + 0.5) * step for t in range(len(hidden))]
        lines, texts = ruler(axis, width, top, bottom)

        def line(values: np.ndarray) -> list[float]:
            return [ordinate(axis, v, top, bottom) for v in values]

        edges = line(arrays["high"]), line(arrays["low"])
        band = polyline(xs + xs[::-1], edges[0] + edges[1][::-1]) + "Z"
        sides = [LEFT + t * step for t in _sides(hidden)]
        paths = {
            "hidden": box(*sides, top, bottom) if hidden.any() else "",
            "angle-grid": lines,
            "band": band,
            "truth": polyline(xs, line(arrays["truth"][:, 0])),
            "reconstruction": polyline(xs, line(arrays["mean"][:, 0])),
        }
        texts += [(xs[t], bottom + 18, "middle", w) for t, w in self.extras["step_ticks"]]
        texts.append((LEFT, top - 10, "start", self.extras["titles"][0]))
        texts.append(((LEFT + width - RIGHT) / 2, bottom + 36, "middle", "step"))
        return Scene(paths, texts, [], bottom)

    def _phase(self, hidden: np.ndarray, arrays: Arrays, width: float) -> Scene:
        """The second number against the first."""
        top, bottom = 236, 416
        across, up = self.extras["axes"]
        lines, texts = ruler(up, width, top, bottom)

        def line(values: np.ndarray) -> str:
            xs = [_abscissa(across, v, width) for v in values[:, 0]]
            return polyline(xs, [ordinate(up, v, top, bottom) for v in values[:, 1]])

        begin, end = _sides(hidden)
        inside = [line(path[begin:end]) for path in arrays["paths"]] if end > begin else []
        shown = arrays["mean"][begin:end] if end > begin else arrays["mean"]
        first = shown[0]
        paths = {
            "phase-grid": lines,
            "phase-draws": "".join(inside),
            "phase-truth": line(arrays["truth"]),
            "phase-mean": line(shown),
            "phase-start": disc(
                _abscissa(across, first[0], width), ordinate(up, first[1], top, bottom), 3.5
            ),
        }
        ticks: list[Text] = [
            (_abscissa(across, value, width), bottom + 18, "middle", words)
            for value, words in across["ticks"]
        ]
        what, other = self.extras["titles"]
        texts += [*ticks, (LEFT, top - 10, "start", other)]
        texts.append(((LEFT + width - RIGHT) / 2, bottom + 36, "middle", what))
        return Scene(paths, texts, [], bottom)

    def _strip(self, hidden: np.ndarray, arrays: Arrays, width: float) -> Scene:
        """Frames along the film."""
        top, (height, across) = 476, self.extras["shape"]
        places = self.extras["places"]
        side = (width - LEFT - RIGHT) / len(places)
        tall = side * height / across
        images, frames, texts, covered = [], "", [], ""
        for row, kind in enumerate(("clean", "data", "frames")):
            above = top + row * (tall + 4)
            texts.append((LEFT - 8, above + tall / 2 + 4, "end", _ROWS[kind]))
            for i, t in enumerate(places):
                sides = (LEFT + i * side, LEFT + (i + 1) * side - 3, above, above + tall - 3)
                if kind == "data" and hidden[t]:
                    covered += box(*sides)
                    continue
                frames += box(*sides)
                picture = arrays[kind][i].reshape(height, across)
                images.append((sides[0], above, side - 3, tall - 3, grey(picture)))
        below = top + 3 * (tall + 4)
        texts += [
            (LEFT + (i + 0.5) * side - 1.5, below + 14, "middle", name(t + 1))
            for i, t in enumerate(places)
        ]
        return Scene({"covered": covered, "frame": frames}, texts, images, below + 22)


_ROWS = {"clean": "truth", "data": "data", "frames": "model"}


def _sides(hidden: Bool[np.ndarray, " time"]) -> tuple[int, int]:
    """The window as a slice."""
    places = np.flatnonzero(hidden)
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)


def _abscissa(axis: Axis, value: float, width: float) -> float:
    low, high = axis["low"], axis["high"]
    return LEFT + (clamp(value, low, high) - low) / (high - low) * (width - LEFT - RIGHT)


def _mean(values: Float[np.ndarray, " steps"]) -> float:
    """Summed from the left, as the page does."""
    return sum(float(value) for value in values) / len(values)
