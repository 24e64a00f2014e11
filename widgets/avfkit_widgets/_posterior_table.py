"""What the posterior explorer shows, as pure functions: members of each family beside the truth.

Nothing is trained. The system is known, so the exact posterior is too, and each family is shown by
a member that can be computed: what a network of the family would say that has learned all it can.
"""

import itertools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from avfkit import data, kalman

from ._figures import format_nats
from ._plot import LEFT, RIGHT, Scene, disc, nice_axis, ordinate, polyline, ruler, step_ticks, strip
from ._posterior_members import Compared, Member, compare
from ._scene import fixed
from ._table import AbstractTable, Arrays, Slider, Values

MEAN_FIELD, DIAGONAL, FULL, FILTER = "mean field", "diagonal hints", "full hints", "filter"
TOP, BOTTOM = 26, 236
WIDE = 1.96


class PosteriorTable(AbstractTable):
    """A member of a family of posteriors beside the exact one, on a linear dynamical system.

    Each grid point solves one sequence with `avfkit.kalman`; all sequences of a size share one
    system and one noise, which the signal-to-noise ratio scales. Smaller systems are solved inside
    one of the largest size, so that one size is compiled.
    """

    kind = "posterior"
    title = "Posterior explorer"
    description = (
        "Two panels. Above, a noiseless observation of the true path, the noisy data, and the 95 "
        "percent bands of the exact posterior and of the chosen one, with a path drawn from it; "
        "below, how far the chosen one is from the exact one at each step."
    )
    legend = (
        ("latent", "truth"),
        ("exact", "exact posterior"),
        ("approximate-band", "chosen posterior"),
        ("draw", "a path drawn from it"),
        ("energy", "gap"),
    )

    def __init__(
        self,
        sizes: Sequence[tuple[int, int]],
        snrs: Sequence[float],
        reaches: Sequence[int],
        *,
        length: int,
        state_noise: float,
        seed: int,
    ) -> None:
        _check(sizes, snrs, reaches)
        self._obs, self._given = dict(sizes), (length, state_noise, seed)
        self._members = _members(reaches)
        self.sliders = _sliders(tuple(self._members), tuple(snrs), tuple(self._obs))
        self.constants = {}
        self.bits = dict.fromkeys(("truth", "data", *Compared._fields), 16)
        self.ranges = {}
        points = list(itertools.product(*(slider.choices for slider in self.sliders)))
        found = {point: self.arrays(point) for point in points}
        self.extras = {
            "signal_axes": [
                [_signal_axis(found, snr, latent) for latent in self._obs] for snr in snrs
            ],
            "gap_axes": [[_gap_axis(found, snr, latent) for latent in self._obs] for snr in snrs],
            "energy_title": "gap to the exact posterior at each step, nats",
            "step_title": "time step",
            "step_ticks": step_ticks(1, length),
        }

    def evaluate(self, values: Values) -> dict[str, np.ndarray]:
        """The arrays of one family, SNR and size."""
        length, q, seed = self._given
        drawn, truth = data.lds(
            latent_size=values["latent"],
            obs_size=self._obs[values["latent"]],
            q=q,
            r=q / values["snr"],
            num_sequences=1,
            length=length,
            seed=seed,
        )
        seen = np.asarray(drawn.sequences[0], float)
        chain, emission, xs = _enlarged(truth, seen, self._obs)
        found = compare(chain, emission, xs, self._members[values["family"]])
        shown = {name: np.asarray(array, float) for name, array in found._asdict().items()}
        clean = truth.latents[0] @ truth.C[0] + truth.d[0]
        return {"truth": clean, "data": seen[:, 0]} | shown

    def scene(self, values: Values, arrays: Arrays, width: float) -> Scene:
        """The bands, and the gap below them."""
        at = {s.name: s.choices.index(values[s.name]) for s in self.sliders}
        axis = self.extras["signal_axes"][at["snr"]][at["latent"]]
        count = len(arrays["gap"])
        step = (width - LEFT - RIGHT) / count
        xs = [LEFT + (t + 0.5) * step for t in range(count)]

        def heights(values: Float[np.ndarray, " time"]) -> list[float]:
            return [ordinate(axis, float(v), TOP, BOTTOM) for v in values]

        def band(mean: str, sd: str) -> str:
            wide = WIDE * arrays[sd]
            edges = heights(arrays[mean] + wide), heights(arrays[mean] - wide)[::-1]
            return polyline([*xs, *xs[::-1]], [*edges[0], *edges[1]]) + "Z"

        dots = zip(xs, arrays["data"], heights(arrays["data"]), strict=True)
        lines, texts = ruler(axis, width, TOP, BOTTOM)
        paths = {"signal-grid": lines}
        paths["exact-band"] = band("exact_mean", "exact_sd")
        paths["approximate-band"] = band("mean", "sd")
        for mark, name in (("latent", "truth"), ("exact", "exact_mean"), ("draw", "draw")):
            paths[mark] = polyline(xs, heights(arrays[name]))
        inside = [(x, y) for x, v, y in dots if axis["low"] <= v <= axis["high"]]
        paths["seen"] = "".join(disc(x, y, 1.8) for x, y in inside)
        texts.append((LEFT, TOP - 10, "start", "first entry of C z + d; dots: observed"))
        gap_axis = self.extras["gap_axes"][at["snr"]][at["latent"]]
        gaps = self.extras | {"energy_axis": gap_axis}
        below = strip(gaps, {"energy": arrays["gap"]}, None, width, BOTTOM + 34)
        return Scene({**paths, **below.paths}, [*texts, *below.texts], [], below.height)

    def sentence(self, values: Values, arrays: Arrays) -> str:
        """How far the chosen posterior is from the exact one, and how wide its band is."""
        family, snr, size = (s.spoken[s.choices.index(values[s.name])] for s in self.sliders)
        count = len(arrays["gap"])
        total = sum(float(v) for v in arrays["gap"])
        wide = sum(float(v) for v in arrays["sd"] / arrays["exact_sd"]) / count
        return (
            f"With {size} at {snr}, {family} is {format_nats(total / count)} nats per step from "
            f"the exact posterior ({format_nats(total)} nats in all), and its band is "
            f"{fixed(100 * wide)} percent as wide."
        )


def _members(reaches: Sequence[int]) -> dict[str, Member]:
    far = 10**6
    found = {MEAN_FIELD: (True, False, far), DIAGONAL: (False, True, far)}
    found[FULL] = (False, False, far)
    for reach in reaches:
        found[FILTER if reach == 0 else f"{reach} ahead"] = (False, False, reach)
    return {name: Member(*map(jnp.asarray, entries)) for name, entries in found.items()}


def _sliders(
    families: tuple[str, ...], snrs: tuple[float, ...], latents: tuple[int, ...]
) -> tuple[Slider, ...]:
    said = {
        MEAN_FIELD: "the best mean field",
        DIAGONAL: "a structured posterior with diagonal hints",
        FULL: "a structured posterior with full hints, or an AR-L that sees all,",
        FILTER: "the filter",
    }
    spoken = tuple(said.get(f, f"a chain that sees {f}") for f in families)
    sizes = tuple(f"{d} latent entr{'y' if d == 1 else 'ies'}" for d in latents)
    return (
        Slider("family", "Posterior", families, spoken),
        Slider("snr", "SNR <i>q</i>/<i>r</i>", snrs, tuple(f"SNR {snr:g}" for snr in snrs)),
        Slider("latent", "Latent entries", latents, sizes),
    )


def _signal_axis(found: dict, snr: float, latent: int) -> dict:
    run = _runs(found, snr, latent)[0]
    shown = [run["truth"]]
    shown += [run["exact_mean"] + sign * WIDE * run["exact_sd"] for sign in (-1, 1)]
    return nice_axis(float(np.min(shown)), float(np.max(shown)))


def _gap_axis(found: dict, snr: float, latent: int) -> dict:
    return nice_axis(0.0, max(float(run["gap"].max()) for run in _runs(found, snr, latent)), 2)


def _runs(found: dict, snr: float, latent: int) -> list[dict[str, np.ndarray]]:
    """The arrays of all families at one SNR and size."""
    return [arrays for (_, s, d), arrays in found.items() if (s, d) == (snr, latent)]


def _enlarged(
    truth: data.LDSTruth, xs: Float[np.ndarray, "time obs"], obs_sizes: dict[int, int]
) -> tuple[kalman.Chain, tuple[Array, Array, Array], Array]:
    """Chain, emission and data in the largest size.

    A latent entry that is added is white noise and has an observation of its own: it is nothing to
    the others, and under every posterior of a family it is what it is under the exact one.
    """
    (obs, latent), most = truth.C.shape, max(obs_sizes)
    more = most - latent
    rows = max(n + most - d for d, n in obs_sizes.items()) - obs - more
    eye = np.eye(most)[latent:, latent:]

    def beside(matrix: np.ndarray, corner: np.ndarray) -> np.ndarray:
        return np.block(
            [
                [matrix, np.zeros((len(matrix), more))],
                [np.zeros((len(corner), matrix.shape[1])), corner],
            ]
        )

    def longer(vector: np.ndarray, count: int, value: float = 0.0) -> np.ndarray:
        return np.concatenate([vector, np.full(count, value)])

    arrays = (
        longer(truth.m1, more),
        beside(truth.P1, eye),
        beside(truth.A, 0.0 * eye),
        longer(truth.b, more),
        beside(truth.Q, eye),
        beside(truth.C, np.concatenate([eye, np.zeros((rows, more))])),
        longer(truth.d, more + rows),
        longer(truth.r, more + rows, 1.0),
        np.pad(xs, ((0, 0), (0, more + rows))),
    )
    found = [jnp.asarray(array, float) for array in arrays]
    return kalman.Chain(*found[:5]), (found[5], found[6], found[7]), found[8]


def _check(sizes: Sequence[tuple[int, int]], snrs: Sequence[float], reaches: Sequence[int]) -> None:
    if not sizes or any(obs < latent for latent, obs in sizes):
        raise ValueError(
            f"sizes is {tuple(sizes)}; expected pairs of latent and at least as many observed "
            "entries."
        )
    if not snrs or min(snrs) <= 0:
        raise ValueError(f"snrs is {tuple(snrs)}; expected positive ratios.")
    if not reaches or min(reaches) < 0:
        raise ValueError(f"reaches is {tuple(reaches)}; expected numbers of steps from 0.")
