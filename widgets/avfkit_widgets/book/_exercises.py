"""Exercises that grade themselves, in the notebook and in the page.

Convention, to copy into a chapter; four cells in this order.

1. Markdown, the question:

       :::{exercise} The gain of a scalar filter
       :label: ex-gain
       Write `gain(P, r)` ...
       :::

2. Code, the grader and the scaffold. `wrong` is a plausible wrong answer the grader must reject:

       def grade_gain(gain):
           assert abs(gain(1.0, 3.0) - 0.25) < 1e-9, "try P = 1, r = 3: the gain is 1/4"

       exercise("ex-gain", grade_gain, wrong=lambda P, r: r / (P + r))

       def gain(P, r):
           raise NotImplementedError("your turn")

       check("ex-gain", gain)

3. Markdown and code, the solution, folded in the page (three cells: `{solution-start}`, code,
   `{solution-end}`; give the code cell `"jupyter": {"source_hidden": true}` to fold it in Lab):

       :::{solution-start} ex-gain
       :class: dropdown
       :::

       def gain_solution(P, r):
           return P / (P + r)

       solution("ex-gain", gain_solution)

       :::{solution-end}
       :::

`check` never raises, so the chapter runs with its scaffold empty. `solution` raises unless the
solution passes. That the scaffold fails is seen by the book's build and by
`python -m avfkit_widgets.book exercises book/`.
"""

import re
from collections.abc import Callable
from html import escape
from typing import Any

from avfkit_widgets.book._html import Html, tag

Grader = Callable[..., None]
_GRADERS: dict[str, Grader] = {}


class Verdict(Html):
    """What `check` and `solution` display; true where the candidate passed."""

    def __init__(self, name: str, role: str, fault: str | None) -> None:
        """Write the verdict.

        Args:
            name: the exercise's label.
            role: `scaffold` for the reader's own attempt, `solution` for ours.
            fault: what went wrong, or None if nothing did.
        """
        self.name = name
        self.passed = fault is None
        plain = f"{name}: passed" if fault is None else f"{name}: not yet. {fault}"
        sign = "✓" if self.passed else "○"
        html = tag(
            "p",
            f"{sign} {escape(plain)}",
            class_="avf-verdict",
            data_avf_exercise=name,
            data_avf_role=role,
            data_avf_passed=str(self.passed).lower(),
        )
        super().__init__(html, plain=plain)

    def __bool__(self) -> bool:
        """Whether the candidate passed."""
        return self.passed


def exercise(name: str, grade: Grader, *, wrong: Any) -> None:
    """Declare how an exercise is graded.

    Args:
        name: the exercise's label, `ex-...`, as in the markdown of the chapter.
        grade: takes a candidate and raises, with a hint for the reader, unless it is right.
        wrong: a plausible wrong candidate; the grader must reject it.

    Raises:
        ValueError: if the name is not `ex-` and lower-case words.
        AssertionError: if the grader accepts `wrong`.
    """
    if not re.fullmatch(r"ex(-[a-z0-9]+)+", name):
        raise ValueError(f"name must look like 'ex-gain', found {name!r}")
    if _fault(grade, wrong) is None:
        raise AssertionError(f"{name}: the grader accepts the wrong answer given to test it")
    _GRADERS[name] = grade


def check(name: str, candidate: Any) -> Verdict:
    """Grade the reader's attempt. It never raises for a wrong one.

    Args:
        name: label of an exercise declared by `exercise`.
        candidate: the reader's function or value.

    Returns:
        The verdict, with the grader's hint.

    Raises:
        KeyError: if no exercise of that name was declared.
    """
    return Verdict(name, "scaffold", _fault(_grader(name), candidate))


def solution(name: str, candidate: Any) -> Verdict:
    """Grade our own solution, which must pass.

    Args:
        name: label of an exercise declared by `exercise`.
        candidate: the solution.

    Returns:
        The verdict.

    Raises:
        KeyError: if no exercise of that name was declared.
        AssertionError: if the solution does not pass.
    """
    fault = _fault(_grader(name), candidate)
    if fault is not None:
        raise AssertionError(f"{name}: the solution fails. {fault}")
    return Verdict(name, "solution", None)


def _grader(name: str) -> Grader:
    if name not in _GRADERS:
        raise KeyError(f"name must be a declared exercise, found {name!r}, have {list(_GRADERS)}")
    return _GRADERS[name]


def _fault(grade: Grader, candidate: Any) -> str | None:
    try:
        grade(candidate)
    except Exception as error:
        # Whatever a reader's code raises is a verdict, not the end of the chapter.
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return None
