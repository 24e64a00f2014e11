"""Gaps between what chapters promise and what they keep are found, one by one."""

from pathlib import Path

import pytest

import toybook
from avfkit_widgets.book.__main__ import main

EQUATION = ("markdown", "$$\nx = x\n$$ (eq-one)\n\nand $y$ (not a label)")
FENCED = ("markdown", "```{math}\n:label: eq-two\ny = y\n```")
CHECK = ("code", 'verify("eq-one", claim, mutant=dict(sign=-1), tolerance=1e-8)')
CHECK_TWO = ("code", "%matplotlib inline\nif True:\n    book.verify('eq-two', f, mutant={'k': 2})")


def book(root: Path, *chapters: list[tuple[str, str]]) -> str:
    """Write a book of chapters a, b, ...; return its folder for the command line."""
    (root / "_config.yml").write_text("")
    (root / "book").mkdir()
    for name, cells in zip("abc", chapters, strict=False):
        toybook.write_notebook(root / "book" / f"{name}.ipynb", list(cells))
    return str(root / "book")


def test_equations_without_a_gap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = book(tmp_path, [EQUATION, CHECK], [FENCED, CHECK_TWO])
    assert main(["equations", folder]) == 0
    assert capsys.readouterr().out == (
        "a.ipynb  eq-one  mutant: dict(sign=-1)\n"
        "b.ipynb  eq-two  mutant: {'k': 2}\n"
        "2 equations, 2 checks, 0 gaps\n"
    )


@pytest.mark.parametrize(
    ("chapters", "gap"),
    [
        ([[EQUATION]], "a.ipynb: eq-one has 0 checks, expected 1"),
        ([[EQUATION, CHECK, CHECK]], "a.ipynb: eq-one has 2 checks, expected 1"),
        ([[CHECK]], "a.ipynb: the check of eq-one has no equation in this chapter"),
        (
            [[EQUATION, ("code", 'verify("eq-one", claim)')]],
            "a.ipynb: the check of eq-one has no mutant",
        ),
        (
            [[EQUATION, ("code", 'verify("eq-one", claim, mutant={})')]],
            "a.ipynb: the check of eq-one has no mutant",
        ),
        ([[EQUATION, CHECK], [EQUATION, CHECK]], "eq-one: the label is used 2 times"),
        (
            [[EQUATION], [CHECK]],
            "a.ipynb: eq-one has 0 checks, expected 1\n"
            "gap: b.ipynb: the check of eq-one has no equation in this chapter",
        ),
    ],
)
def test_gaps_of_equations(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    chapters: list[list[tuple[str, str]]],
    gap: str,
) -> None:
    assert main(["equations", book(tmp_path, *chapters)]) == 1
    assert capsys.readouterr().err == f"gap: {gap}\n"


QUESTION = ("markdown", ":::{exercise} Double\n:label: ex-double\nDouble.\n:::")
IMPORT = "from avfkit_widgets.book import check, exercise, solution\n"
GRADER = IMPORT + "def grade(f):\n    assert f(3) == 6\nexercise('ex-double', grade, wrong=0)\n"
EMPTY = ("code", GRADER + "check('ex-double', None)")
FOLD = ("markdown", ":::{solution-start} ex-double\n:class: dropdown\n:::")
OURS = ("code", "solution('ex-double', lambda x: 2 * x)")


def test_an_exercise_without_a_gap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exercises", book(tmp_path, [QUESTION, EMPTY, FOLD, OURS])]) == 0
    assert capsys.readouterr().out == "a.ipynb  ex-double\n1 exercises, 0 gaps\n"


def test_a_scaffold_that_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full = ("code", GRADER + "check('ex-double', lambda x: x + x)")
    assert main(["exercises", book(tmp_path, [QUESTION, full, FOLD, OURS])]) == 1
    assert capsys.readouterr().err == (
        "gap: a.ipynb: ex-double: the scaffold must fail, and be checked\n"
    )


def test_missing_pieces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stray = ("code", IMPORT + GRADER.replace("double", "treble"))
    assert main(["exercises", book(tmp_path, [QUESTION, stray])]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "gap: a.ipynb: ex-double has 0 exercise, expected 1",
        "gap: a.ipynb: ex-double has 0 check, expected 1",
        "gap: a.ipynb: ex-double has 0 solution, expected 1",
        "gap: a.ipynb: ex-double has 0 {solution}, expected 1",
        "gap: a.ipynb: exercise('ex-treble') belongs to no exercise in this chapter",
    ]


def test_cache_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(book(tmp_path, [EQUATION]))
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.startswith(str(tmp_path / "_build" / ".jupyter_cache-"))


def test_a_folder_without_notebooks(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        main(["equations", str(tmp_path)])
    assert str(error.value) == f"folder must hold notebooks, found none in {tmp_path}"
