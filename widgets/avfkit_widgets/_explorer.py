"""The filter explorer: one front end, on a kernel (anywidget) and in a page without one.

JupyterLab shows the widget view and computes with avfkit; a built page shows `text/html`, whose
JavaScript core computes the same numbers (checked against avfkit by the browser tests).
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import anywidget
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
from ._scene import draw

STATIC = Path(__file__).parent / "static"
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
    parts = ("core", "scene", "view", wrapper)
    return "\n".join((STATIC / f"explorer_{part}.js").read_text("utf-8") for part in parts)


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
    style = _once("style", (STATIC / "explorer.css").read_text("utf-8"))
    script = _once("script", "(() => {\n" + front_end("page") + "})();")
    return (
        f"{style}\n<avf-filter-explorer>\n{markup}"
        f'<script type="application/json">{setup}</script>\n</avf-filter-explorer>\n{script}\n'
    )


class FilterExplorer(anywidget.AnyWidget):
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
        self._answering = False
        super().__init__(**traits)
        self._setup = _setup(self.state) | {"markup": _markup("", "")}
        self.on_msg(FilterExplorer._receive)
        self.observe(self._moved, names=list(ExplorerState._fields))

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

    def _receive(self, message: Mapping[str, Any], buffers: object) -> None:
        """Answer a view's request; whatever goes wrong is shown to the reader."""
        del buffers
        if message.get("type") == "eval":
            self._answer(message.get("seq"), message.get("moved", {}))

    def _moved(self, change: object) -> None:
        """Python moved a trait: send the views a picture they did not ask for."""
        del change
        if not self._answering:
            self._answer(None, {})

    def _answer(self, seq: str | None, moved: Mapping[str, Any]) -> None:
        try:
            self._answering = True
            self._adopt(moved)
            arrays = self.evaluate(self.state)
        except Exception as error:
            self.log.exception("The filter explorer could not answer %r", moved)
            text = f"{type(error).__name__}: {error}"
            self.send({"type": "error", "seq": seq, "message": text})
        else:
            buffers = [np.asarray(array, "<f4").tobytes() for array in arrays]
            fields, values = list(ExplorerArrays._fields), self.state._asdict()
            message = {"type": "result", "seq": seq, "values": values, "fields": fields}
            self.send(message, buffers)
        finally:
            self._answering = False

    def _adopt(self, moved: Mapping[str, Any]) -> None:
        unknown = sorted(set(moved) - set(ExplorerState._fields))
        if unknown:
            raise traitlets.TraitError(
                f"moved must name some of {', '.join(ExplorerState._fields)}, "
                f"found {', '.join(unknown)}"
            )
        with self.hold_sync():
            for name, value in moved.items():
                setattr(self, name, value)

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


def _once(tag: str, content: str) -> str:
    """An element marked with the hash of its content."""
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    return f'<{tag} data-once="{digest}">\n{content}\n</{tag}>'
