"""An answer box: the reader commits to a number in the page, and is told whether it is right."""

import functools
import math
from html import escape
from pathlib import Path

from avfkit_widgets.book._html import Html, tag

_SCRIPT = Path(__file__).parents[1] / "static" / "answer.js"


def answer_box(name: str, value: float, tolerance: float, *, prompt: str, unit: str = "") -> Html:
    """Ask for a number that the chapter has just computed.

    Works by keyboard, says its verdict aloud, needs neither kernel nor network.

    Args:
        name: unique in the chapter; letters, digits and hyphens.
        value: the right answer, computed, never typed.
        tolerance: largest absolute difference that counts as right.
        prompt: the question, plain text.
        unit: shown after the field, for example `nats`.

    Returns:
        The box.

    Raises:
        ValueError: if `value` is not finite, `tolerance` not positive, or `prompt` empty.
    """
    value, tolerance = float(value), float(tolerance)
    if not math.isfinite(value):
        raise ValueError(f"value must be a finite number, found {value!r}")
    if not (tolerance > 0 and math.isfinite(tolerance)):
        raise ValueError(f"tolerance must be positive and finite, found {tolerance!r}")
    if not prompt.strip():
        raise ValueError(f"prompt must ask something, found {prompt!r}")
    field = f"avf-answer-{name}"
    content = (
        tag("label", escape(prompt), for_=field)
        + f'<input id="{escape(field)}" type="text" inputmode="decimal" autocomplete="off">'
        + tag("span", escape(unit), class_="avf-unit")
        + tag("button", "Check", type="button")
        + tag("output", "", aria_live="polite", for_=field)
    )
    box = tag("avf-answer", content, data_value=repr(value), data_tolerance=repr(tolerance))
    return Html(f"{box}<script>{_script()}</script>", plain=f"{prompt} [{unit or 'a number'}]")


@functools.cache
def _script() -> str:
    return _SCRIPT.read_text(encoding="utf-8")
