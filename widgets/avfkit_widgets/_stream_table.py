"""What the stream explorer shows, as pure functions: a stream up to a step, and what it expects."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Key

import avfkit

from ._figures import format_nats
from ._plot import (
    LEFT,
    RIGHT,
    Axis,
    Scene,
    box,
    disc,
    nice_axis,
    ordinate,
    polyline,
    ruler,
    step_ticks,
    strip,
)
from ._runs import check_sequence
from ._table import AbstractTable, Arrays, Slider, Values

UPPER, MIDDLE, LOWER = (26, 176), (216, 296), 336
SAMPLES, LEVEL, WIDE = 200, 0.9, 1.6449
Pairs = Float[np.ndarray, "steps 2"]


class Followed(NamedTuple):
    """A stream, filtered step by step; `forecast[t]` is drawn from what is known after t steps."""

    forecast: Float[np.ndarray, "starts horizon 2"]
    posterior: Float[np.ndarray, "time 2"]
    energy: Float[np.ndarray, " time"]


class StreamTable(AbstractTable):
    """A stream at step t: all that a filter has seen, what it believes, what it expects next.

    Each grid point is one pattern of gaps, filtered by `avfkit.OnlineFilter` step by step.
    """

    kind = "stream"
    title = "Stream explorer"
    description = (
        "Three panels that fill from left to right. Above, what came, and the interval in which it "
        "was expected just before, and where the next values are expected; then what the filter "
        "believes of a latent; below, the free energy of each step."
    )
    legend = (
        ("heard", "seen"),
        ("missed", "hidden from the filter"),
        ("band", "90 % expected one step ahead"),
        ("future", "90 % forecast from here"),
    )

    def __init__(
        self,
        online: avfkit.OnlineFilter,
        xs: Float[np.ndarray, "time obs"],
        gaps: Mapping[str, Bool[np.ndarray, "time obs"]],
        *,
        horizon: int,
        key: Key[Array, ""],
    ) -> None:
        xs = check_sequence("xs", xs, online.model.obs_size)
        _check(xs, gaps, horizon)
        self._given, self._gaps = (online, xs), dict(gaps)
        self._ahead = {"horizon": horizon, "key": key}
        steps, names = tuple(range(1, len(xs) + 1)), tuple(gaps)
        self.sliders = (
            Slider("gap", "Hidden", names, names),
            Slider("step", "Step", steps, tuple(f"step {t}" for t in steps), tabulated=False),
        )
        self.constants = {"data": xs[:, 0]}
        self.bits = dict(data=16, seen=8, forecast=16, posterior=16, energy=16)
        self.ranges = {"seen": (0.0, 1.0)}
        self.extras = {"plays": "step", "horizon": horizon, **self._axes(names)}

    def _axes(self, names: Sequence[str]) -> dict[str, Any]:
        """Axes that hold the stream under every pattern of gaps."""
        runs = [self.arrays((name,)) for name in names]
        shown = {name: np.concatenate([np.ravel(run[name]) for run in runs]) for name in runs[0]}
        data = self.constants["data"]
        return {
            "signal_axis": nice_axis(*_ends(np.append(shown["forecast"], data))),
            "signal_title": "what is observed",
            "latent_axis": nice_axis(*_ends(shown["posterior"]), 2),
            "latent_title": "first latent: mean and 90 % interval",
            "energy_axis": nice_axis(*_ends(shown["energy"]), 2),
            "energy_title": "free energy of each step, nats",
            "step_title": "step",
            "step_ticks": step_ticks(1, len(data)),
        }

    def evaluate(self, values: Values) -> dict[str, np.ndarray]:
        """The stream under one pattern of gaps."""
        seen = self._gaps[values["gap"]]
        return {"seen": seen[:, 0].astype(float)} | follow(
            *self._given, seen, **self._ahead
        )._asdict()

    def scene(self, values: Values, arrays: Arrays, width: float) -> Scene:
        """The three panels, up to the step."""
        step = values["step"]
        unit = (width - LEFT - RIGHT) / len(arrays["data"])
        xs = [LEFT + (t + 0.5) * unit for t in range(len(arrays["data"]))]
        below = strip(self.extras, {"energy": arrays["energy"]}, step - 1, width, LOWER)
        energies = [
            ordinate(self.extras["energy_axis"], e, LOWER, LOWER + 90)
            for e in arrays["energy"][:step]
        ]
        paths = self._panels(step, arrays, xs, unit) | below.paths
        paths["energy"] = polyline(xs[:step], energies)
        dots = (disc(x, y, 2) for x, y in zip(xs[:step], energies, strict=True))
        paths["energy-dots"] = "".join(dots)
        texts, titles = [], []
        for name, (top, bottom) in (("signal", UPPER), ("latent", MIDDLE)):
            paths[f"{name}-grid"], ticks = ruler(self.extras[f"{name}_axis"], width, top, bottom)
            texts += ticks
            titles.append((LEFT, top - 10, "start", self.extras[f"{name}_title"]))
        return Scene(paths, [*texts, *titles, *below.texts], [], below.height)

    def _panels(
        self, step: int, arrays: Arrays, xs: Sequence[float], unit: float
    ) -> dict[str, str]:
        """Signal and latent; the grids have their place here, in painting order."""
        past, axis = xs[:step], self.extras["signal_axis"]
        before, ahead = expected(arrays, step)
        there = arrays["seen"][:step] > 0.5
        ys = [ordinate(axis, x, *UPPER) for x in arrays["data"][:step]]
        beliefs = arrays["posterior"][:step]
        middle = [
            ordinate(self.extras["latent_axis"], m, *MIDDLE) for m in (beliefs.sum(1) / 2).tolist()
        ]
        sides = [(x - unit / 2, x + unit / 2) for x in past]
        dots = [disc(x, y, 2) for x, y in zip(past, ys, strict=True)]
        return {
            "hidden": "".join(
                box(*s, *UPPER) for s, seen in zip(sides, there, strict=True) if not seen
            ),
            "here": box(*sides[-1], *UPPER),
            "signal-grid": "",
            "band": _between(axis, past, before, UPPER),
            "future": _between(axis, xs[step : step + len(ahead)], ahead, UPPER),
            "heard": "".join(d for d, seen in zip(dots, there, strict=True) if seen),
            "missed": "".join(d for d, seen in zip(dots, there, strict=True) if not seen),
            "latent-grid": "",
            "belief-band": _between(self.extras["latent_axis"], past, beliefs, MIDDLE),
            "belief": polyline(past, middle),
        }

    def sentence(self, values: Values, arrays: Arrays) -> str:
        """What was expected, what came, what it cost, and how the intervals have done so far."""
        step, t = values["step"], values["step"] - 1
        before, _ = expected(arrays, step)
        seen = arrays["seen"][:step] > 0.5
        data = arrays["data"][:step]
        held = int(np.sum(seen & (before[:, 0] <= data) & (data <= before[:, 1])))
        found = f"{data[t]:.2f} came" if seen[t] else "it did not come"
        return (
            f"At step {step} of {len(arrays['data'])}, {before[t, 0]:.2f} to {before[t, 1]:.2f} "
            f"was expected and {found}; the step costs "
            f"{format_nats(float(arrays['energy'][t]))} nats. Of {int(seen.sum())} values seen so "
            f"far, {held} lay in their 90 % interval."
        )


def expected(arrays: Arrays, step: int) -> tuple[Pairs, Pairs]:
    """The intervals of each step just before it came, and of those that are to come.

    Args:
        arrays: of a stream explorer.
        step: how many steps have come.

    Returns:
        `[step, 2]`, and `[horizon, 2]` or fewer at the end.
    """
    ahead = arrays["forecast"][step][: len(arrays["data"]) - step]
    return arrays["forecast"][:step, 0], ahead


def follow(
    online: avfkit.OnlineFilter,
    xs: Float[np.ndarray, "time obs"],
    observed: Bool[np.ndarray, "time obs"],
    *,
    horizon: int,
    key: Key[Array, ""],
) -> Followed:
    """Filter a stream step by step, with a forecast before every step.

    Args:
        online: model and filter.
        xs: what comes.
        observed: what the filter sees.
        horizon: steps to look ahead.
        key: randomness, of the filter and of every forecast.

    Returns:
        The ends of the 90 % intervals of the first entry of x and of the first latent, and F_t.
    """
    state = online.init(key=key)
    forecast, posterior, energy = [], [], []
    for t in range(len(xs) + 1):
        draws, _ = online.predict(state, horizon, key=key, num_samples=SAMPLES)
        ends = np.quantile(draws[..., 0], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        forecast.append(np.asarray(ends).T)
        if t < len(xs):
            state, now = online.step(state, xs[t], observed[t])
            mean, spread = (float(a[0]) for a in (now.posterior.mean, now.posterior.variance))
            posterior.append([mean - WIDE * spread**0.5, mean + WIDE * spread**0.5])
            energy.append(float(now.free_energy))
    return Followed(*map(np.array, (forecast, posterior, energy)))


def _between(axis: Axis, xs: Sequence[float], pairs: Pairs, panel: tuple[float, float]) -> str:
    if len(xs) == 0:
        return ""
    lows, highs = ([ordinate(axis, end, *panel) for end in ends] for ends in pairs.T.tolist())
    return f"{polyline(xs, highs)}L{polyline(xs[::-1], lows[::-1])[1:]}Z"


def _ends(values: Float[np.ndarray, " all"]) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _check(
    xs: Float[np.ndarray, "time obs"],
    gaps: Mapping[str, Bool[np.ndarray, "time obs"]],
    horizon: int,
) -> None:
    if not gaps:
        raise ValueError("gaps is empty; expected at least one pattern, such as all observed.")
    for name, seen in gaps.items():
        if seen.shape != xs.shape or seen.dtype != bool:
            raise ValueError(
                f"gaps[{name!r}] is {seen.dtype} of shape {seen.shape}; expected bool of shape "
                f"{xs.shape}, as xs."
            )
    if horizon < 1:
        raise ValueError(f"horizon is {horizon}; expected at least 1.")
