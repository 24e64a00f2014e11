r"""Every labelled equation is executed once, in float64, beside a mutant that must be caught.

Snippet to copy into a chapter. In a markdown cell:

    $$
    D(q \| p) = \tfrac{1}{2} \left( \dots \right)
    $$ (eq-kl-gaussian)

and in a code cell:

    def claim(sign=1.0):
        ours = 0.5 * (... + sign * jnp.log(p_var / q_var))
        return ours - avfkit.kl(q, p)

    verify("eq-kl-gaussian", claim, mutant=dict(sign=-1.0))

`python -m avfkit_widgets.book equations book/` lists labels, checks and mutants, and fails on
a gap; the book's build fails when a labelled equation has no check that ran.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from avfkit_widgets.book._html import Html, tag

_MARGIN = 1000.0


class Verified(Html):
    """The line `verify` displays, with its numbers."""

    def __init__(self, label: str, discrepancy: float, mutant: tuple[str, float]) -> None:
        """Write the line.

        Args:
            label: the equation's label.
            discrepancy: largest difference between both sides of the equation.
            mutant: how the equation was broken, and the difference that made.
        """
        self.label = label
        self.discrepancy = discrepancy
        self.mutant_discrepancy = mutant[1]
        how = f"mutant ({mutant[0]}) caught: {_short(mutant[1])}"
        plain = f"{label} holds: {_short(discrepancy)}; {how}"
        text = tag("a", label, href=f"#equation-{label}")
        html = f"✓ {text} holds: {_short(discrepancy)} <small>· {how}</small>"
        super().__init__(
            tag("p", html, class_="avf-verified", data_avf_equation=label), plain=plain
        )


def verify(
    label: str,
    claim: Callable[..., Any],
    *,
    mutant: Mapping[str, Any],
    tolerance: float = 1e-9,
) -> Verified:
    """Check one labelled equation numerically, and that the check can fail.

    Args:
        label: the equation's label, `eq-...`, as in the markdown of the chapter.
        claim: computes left side minus right side, any shape, in the equation's own units. Its
            keyword parameters are the places where the equation can be broken; their defaults
            are the equation as printed.
        mutant: keyword arguments that break it, for example `dict(sign=-1)`.
        tolerance: largest absolute difference at which the equation holds.

    Returns:
        The line to display: the discrepancy, and the mutant's.

    Raises:
        RuntimeError: if JAX does not compute in float64.
        ValueError: if the label is not `eq-` and lower-case words, or the mutant is empty.
        AssertionError: if the equation fails, or the mutant's discrepancy is not above 1,000
            tolerances; not-a-number counts against us in both.
    """
    if jnp.result_type(float) != jnp.float64:
        raise RuntimeError(
            "verify needs float64, found float32; "
            "call jax.config.update('jax_enable_x64', True) in the chapter's first cell"
        )
    if not re.fullmatch(r"eq(-[a-z0-9]+)+", label):
        raise ValueError(f"label must look like 'eq-kl-gaussian', found {label!r}")
    if not mutant:
        raise ValueError(f"mutant must break {label} by at least one argument, found {mutant!r}")
    how = ", ".join(f"{key}={value}" for key, value in mutant.items())
    discrepancy, broken = _largest(claim()), _largest(claim(**mutant))
    if not discrepancy <= tolerance:
        raise AssertionError(
            f"{label} does not hold: discrepancy {_short(discrepancy)}, tolerance {tolerance:g}"
        )
    if not broken > _MARGIN * tolerance:
        raise AssertionError(
            f"{label}: mutant ({how}) is not caught: discrepancy {_short(broken)}, "
            f"expected more than {_MARGIN * tolerance:g}"
        )
    return Verified(label, discrepancy, (how, broken))


def _largest(difference: Any) -> float:
    values = np.abs(np.asarray(difference, dtype=np.float64))
    if values.size == 0:
        raise ValueError("claim must return at least one number, found an empty array")
    return float(values.max())


def _short(value: float) -> str:
    return f"{value:.2g}"
