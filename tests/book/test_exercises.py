import math

import pytest

from avfkit_widgets.book import answer_box, check, exercise, solution


def grade(double: object) -> None:
    """Grade a function that doubles."""
    assert callable(double), "give a function"
    if double(3) != 6:
        raise AssertionError("try 3: its double is 6")


def scaffold(x: int) -> int:
    """What the reader starts from."""
    raise NotImplementedError("your turn")


def test_scaffold_fails_and_solution_passes() -> None:
    exercise("ex-double", grade, wrong=lambda x: x)
    attempt = check("ex-double", scaffold)
    assert not attempt
    assert repr(attempt) == "ex-double: not yet. NotImplementedError: your turn"
    html = attempt._repr_mimebundle_()["text/html"]
    assert 'data-avf-exercise="ex-double" data-avf-role="scaffold" data-avf-passed="false"' in html
    ours = solution("ex-double", lambda x: 2 * x)
    assert ours
    assert repr(ours) == "ex-double: passed"
    assert (
        'data-avf-role="solution" data-avf-passed="true"' in ours._repr_mimebundle_()["text/html"]
    )


def test_hints_reach_the_reader_as_text() -> None:
    exercise("ex-double", grade, wrong=3)
    assert repr(check("ex-double", lambda x: x)) == (
        "ex-double: not yet. AssertionError: try 3: its double is 6"
    )

    def loud(x: int) -> int:
        raise ValueError("<script>")

    assert "&lt;script&gt;" in check("ex-double", loud)._repr_mimebundle_()["text/html"]


def test_a_solution_that_fails_stops_the_chapter() -> None:
    exercise("ex-double", grade, wrong=3)
    with pytest.raises(AssertionError) as error:
        solution("ex-double", scaffold)
    assert str(error.value) == "ex-double: the solution fails. NotImplementedError: your turn"


def test_a_grader_that_accepts_anything_is_refused() -> None:
    with pytest.raises(AssertionError) as error:
        exercise("ex-lax", lambda candidate: None, wrong=0)
    assert str(error.value) == "ex-lax: the grader accepts the wrong answer given to test it"
    with pytest.raises(ValueError, match=r"^name must look like 'ex-gain', found 'gain'$"):
        exercise("gain", grade, wrong=0)


def test_unknown_exercise() -> None:
    with pytest.raises(KeyError, match="name must be a declared exercise, found 'ex-no-such'"):
        check("ex-no-such", scaffold)


def test_answer_box_holds_the_computed_number() -> None:
    box = answer_box("gain", 1 / 3, 0.01, prompt="What is K when P < r?", unit="nats")
    html = box._repr_mimebundle_()["text/html"]
    assert f'data-value="{1 / 3!r}" data-tolerance="0.01"' in html
    assert '<label for="avf-answer-gain">What is K when P &lt; r?</label>' in html
    assert '<input id="avf-answer-gain"' in html
    assert 'aria-live="polite"' in html
    assert repr(box) == "What is K when P < r? [nats]"


@pytest.mark.parametrize(
    ("value", "tolerance", "prompt", "message"),
    [
        (math.nan, 0.1, "?", "value must be a finite number, found nan"),
        (1.0, 0.0, "?", "tolerance must be positive and finite, found 0.0"),
        (1.0, math.inf, "?", "tolerance must be positive and finite, found inf"),
        (1.0, 0.1, " ", "prompt must ask something, found ' '"),
    ],
)
def test_answer_box_arguments(value: float, tolerance: float, prompt: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        answer_box("gain", value, tolerance, prompt=prompt)
    assert str(error.value) == message
