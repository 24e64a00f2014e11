"""The filter explorer: one front end, on a kernel (anywidget) and in a page without one.

JupyterLab shows the widget view and computes with avfkit; a built page shows `text/html`, whose
JavaScript core computes the same numbers (checked against avfkit by the browser tests).
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import traitlets

from ._figures import (
    CLIP,
    COEFFICIENT,
    MAX_ITERATIONS,
    SNR_LIMITS,
    STATE_NOISE,
    STEP_SIZE,
    STEPS,
    ExplorerArrays,
    ExplorerState,
    evaluate,
    explorer_draws,
    summary,
)
from ._html import STATIC, bundle, once
from ._live import AbstractLiveExplorer
from ._scene import draw

DESCRIPTION = (
    "Two panels over 60 time steps. Above, the observations and the mean and 95 percent band of "
    "the exact and of the approximate filter; below, the gap between the two in nats at each step."
)


def front_end(wrapper: str) -> str:
    """The front end's source: the shared parts followed by one wrapper.

    Args:
        wrapper: `"lab"` for the anywidget module, `"page"` for the body of a classic script.

    Returns:
        JavaScript.
    """
    parts = ("marks", "core", "scene", "kind", "view", wrapper)
    return bundle(*(f"explorer_{part}.js" for part in parts))


def explorer_html(state: ExplorerState) -> str:
    """The explorer as self-contained HTML that needs no kernel and no network.

    Args:
        state: what it shows first, and what its reset button returns to.

    Returns:
        A style sheet, a `<avf-filter-explorer>` element that holds the drawn picture of the state,
        and the classic script that brings it to life. Style and script carry the hash of their
        content as `data-once`, equal in every explorer, so that a page can keep one of each.
    """
    arrays = evaluate(state)
    sentence = summary(state, arrays)
    picture = draw(state, arrays, f"{DESCRIPTION} {sentence}")
    markup = _markup(picture, sentence)
    setup = json.dumps(_setup(state)).replace("</", "<\\/")
    style = once("style", (STATIC / "explorer.css").read_text("utf-8"))
    script = once("script", "(() => {\n" + front_end("page") + "})();")
    return (
        f"{style}\n<avf-filter-explorer>\n{markup}"
        f'<script type="application/json">{setup}</script>\n</avf-filter-explorer>\n{script}\n'
    )


class FilterExplorer(AbstractLiveExplorer):
    """Move signal-to-noise ratio, hidden steps and iterations; see how far inference is from exact.

    A one-dimensional linear-Gaussian chain is filtered exactly (Kalman) and by variational
    filtering EM with `iterations` gradient steps at each time step. The traits can be observed and
    linked like any widget's; a value out of range raises a `TraitError`. In a built page the state
    is part of the address: `page.html#explorer?snr=0.1&mask=20,15&k=1` opens it there.

    Attributes:
        snr: variance of the latent over variance of the observation noise, 0.01 to 100.
        mask_start: first hidden step, 1 to 60.
        mask_length: number of hidden steps, 0 to 60; what lies beyond step 60 does not count.
        iterations: gradient steps of the approximate filter at each time step, 0 to 30.
        show_latent: whether the latent that made the data is drawn.

    Example:
        >>> explorer = FilterExplorer(snr=0.5, iterations=1)
        >>> explorer.observe(print, names="snr")
        >>> explorer
    """

    _esm = front_end("lab")
    _css = STATIC.joinpath("explorer.css").read_text("utf-8")
    _setup = traitlets.Dict().tag(sync=True)

    snr = traitlets.Float(ExplorerState().snr).tag(sync=True)
    mask_start = traitlets.Int(ExplorerState().mask_start).tag(sync=True)
    mask_length = traitlets.Int(ExplorerState().mask_length).tag(sync=True)
    iterations = traitlets.Int(ExplorerState().iterations).tag(sync=True)
    show_latent = traitlets.Bool(ExplorerState().show_latent).tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        """Set any of the traits by name.

        Args:
            **traits: `snr`, `mask_start`, `mask_length`, `iterations`, `show_latent`, `layout`.

        Raises:
            TraitError: if a value is out of its range.
        """
        super().__init__(**traits)
        self._setup = _setup(self.state) | {"markup": _markup("", "")}

    @property
    def state(self) -> ExplorerState:
        """The five values."""
        return ExplorerState(*(getattr(self, name) for name in ExplorerState._fields))

    def evaluate(self, state: ExplorerState) -> ExplorerArrays:
        """The numbers behind the picture of a state, as NumPy arrays."""
        return evaluate(state)

    @traitlets.validate("snr", "mask_start", "mask_length", "iterations")
    def _in_range(self, proposal: Mapping[str, Any]) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        low, high = LIMITS[name]
        if not low <= value <= high:
            raise traitlets.TraitError(f"{name} must be between {low} and {high}, found {value!r}")
        return value

    def _values(self) -> dict[str, Any]:
        return self.state._asdict()

    def _arrays(self) -> dict[str, np.ndarray]:
        return self.evaluate(self.state)._asdict()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget view for a kernel and the HTML for a page; each picks its own."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return {**data, "text/html": explorer_html(self.state)}, metadata


LIMITS: dict[str, tuple[float, float]] = {
    "snr": SNR_LIMITS,
    "mask_start": (1, STEPS),
    "mask_length": (0, STEPS),
    "iterations": (0, MAX_ITERATIONS),
}
"""Smallest and largest value of each trait."""


def _setup(state: ExplorerState) -> dict[str, Any]:
    """What the front end must know: the model, the stored draws, the ranges, the first state."""
    latent, noise = explorer_draws()
    return {
        "steps": STEPS,
        "coefficient": COEFFICIENT,
        "state_noise": STATE_NOISE,
        "step_size": STEP_SIZE,
        "clip": CLIP,
        "snr_limits": list(SNR_LIMITS),
        "max_iterations": MAX_ITERATIONS,
        "fields": list(ExplorerArrays._fields),
        "description": DESCRIPTION,
        "latent": latent.tolist(),
        "noise": noise.tolist(),
        "values": state._asdict(),
    }


@cache
def _template() -> str:
    return (STATIC / "explorer.html").read_text("utf-8")


def _markup(picture: str, sentence: str) -> str:
    return _template().replace("{picture}", picture).replace("{summary}", sentence)
