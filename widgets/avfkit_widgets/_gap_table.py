"""What the gap explorer shows, as pure functions: four bars and their sum."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Key

import avfkit

from ._figures import format_nats
from ._plot import LEFT, RIGHT, Scene, box
from ._runs import stopped
from ._table import AbstractTable, Arrays, Slider, Values

TERMS = ("amortization", "family", "sampling", "filtering", "total")
MEANINGS = (
    "amortization: short of the best q",
    "family: diagonal against full",
    "sampling: one path against several",
    "filtering: past against future",
    "total: free energy above \u2212log p(x)",
)
ROW, TOP, THICK = 48, 22, 18


class GapTable(AbstractTable):
    """`avfkit.gap` over a grid of SNRs, missing steps and iterations, with the same draws."""

    kind = "gap"
    title = "Gap explorer"
    description = "Five bars, one below the other: four parts of the gap in nats, and their sum."
    legend = (("gap-error", "standard error over sequences"),)

    def __init__(
        self,
        world: Callable[[float], avfkit.LDS],
        inference: avfkit.IterativeFilter,
        choices: Mapping[str, tuple[Any, ...]],
        sizes: tuple[int, int, int],
        *,
        key: Key[Array, ""],
    ) -> None:
        if not isinstance(inference, avfkit.IterativeFilter):
            raise TypeError(
                f"inference is a {type(inference).__name__}; expected an IterativeFilter, which "
                "can stop after K iterations."
            )
        world = cache(world)
        self._given = (world, inference, max(choices["iterations"]), sizes, key)
        self.sliders = _sliders(**choices)
        self.constants, self.ranges = {}, {}
        self.bits = dict(nats=16, errors=16)
        self.extras = {"meanings": list(MEANINGS), "num_samples": sizes[2]}

    def evaluate(self, values: Values) -> dict[str, np.ndarray]:
        """The terms and their errors, nats per step."""
        world, inference, most, (length, sequences, samples), key = self._given
        method = stopped(inference, most, values["iterations"])
        share = jnp.asarray(values["missing"] / 100)
        xs, observed, keys = _drawn(world(values["snr"]), share, (length, sequences), key)
        gap = partial(avfkit.gap, world(values["snr"]), method, num_samples=samples, num_draws=8)
        # `gap` is compiled inside: a chapter that calls it in the same shapes shares it.
        found = jax.vmap(lambda x, seen, k: gap(x, seen, key=k))(xs, observed, keys)
        nats, errors = np.array([found.nats(term) for term in TERMS]).T
        return {"nats": nats, "errors": errors}

    def scene(self, values: Values, arrays: Arrays, width: float) -> Scene:
        """The bars, each under its name and number."""
        del values
        nats, errors = arrays["nats"], arrays["errors"]
        longest = max(max(float(n + e) for n, e in zip(nats, errors, strict=True)), 1e-9)
        scale = (width - LEFT - RIGHT) / longest
        paths, texts = {}, []
        for i, (term, words) in enumerate(zip(TERMS, MEANINGS, strict=True)):
            value, error, top = float(nats[i]), float(errors[i]), TOP + i * ROW
            end = LEFT + max(value, 0.0) * scale
            paths[f"gap-{term}"] = box(LEFT, end, top, top + THICK)
            texts.append((LEFT, top - 6, "start", f"{words}, {format_nats(value)}"))
            low, high = (LEFT + max(value + sign * error, 0.0) * scale for sign in (-1, 1))
            paths[f"gap-error-{i}"] = box(low, high, top + THICK / 2 - 1, top + THICK / 2 + 1)
        return Scene(paths, texts, [], TOP + len(TERMS) * ROW)

    def sentence(self, values: Values, arrays: Arrays) -> str:
        """The state, and the sum of which parts."""
        nats = [format_nats(float(value)) for value in arrays["nats"]]
        count, share = values["iterations"], values["missing"]
        gone = f"{share} % of the steps missing" if share else "nothing missing"
        return (
            f"At SNR {values['snr']}, {gone}, after {_counted(count)}, the free energy lies "
            f"{nats[4]} nats per step above \u2212log p(x): {nats[0]} amortization, {nats[1]} "
            f"family, {nats[2]} sampling ({self.extras['num_samples']} particles), "
            f"{nats[3]} filtering."
        )


def _counted(count: int) -> str:
    return f"{count} iteration{'' if count == 1 else 's'}"


def _sliders(
    snr: tuple[float, ...], missing: tuple[int, ...], iterations: tuple[int, ...]
) -> tuple[Slider, ...]:
    return (
        Slider("snr", "SNR", snr, tuple(f"SNR {value}" for value in snr)),
        Slider("missing", "Missing, %", missing, tuple(f"{value} % missing" for value in missing)),
        Slider("iterations", "Iterations <i>K</i>", iterations, tuple(map(_counted, iterations))),
    )


@eqx.filter_jit
def _drawn(
    model: avfkit.LDS, share: Float[Array, ""], sizes: tuple[int, int], key: Key[Array, ""]
) -> tuple[Float[Array, "sequences time obs"], Bool[Array, "sequences time"], Key[Array, "..."]]:
    length, sequences = sizes

    def one(key: Key[Array, ""]) -> tuple[Array, Array, Array]:
        draw_key, gap_key, key = jr.split(key, 3)
        xs, _ = avfkit.sample(model, length, key=draw_key)
        observed = jr.uniform(gap_key, (length,), xs.dtype) >= share
        return xs, observed.at[0].set(True), key

    return jax.vmap(one)(jr.split(key, sequences))
