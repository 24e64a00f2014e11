"""What a chapter promises and what it keeps, read from its notebook without running it."""

import ast
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

_LABEL = re.compile(r"\$\$[ \t]*\(([^)\s]+)\)")
_FENCED_MATH = re.compile(r"\{math\}[^\n]*\n(?:\s*:[^\n]*\n)*?\s*:label:\s*(\S+)")
_EXERCISE = re.compile(r"\{exercise(?:-start)?\}[^\n]*\n(?:\s*:[^\n]*\n)*?\s*:label:\s*(\S+)")
_SOLUTION = re.compile(r"\{solution(?:-start)?\}[ \t]+(\S+)")


class Equation(NamedTuple):
    """A labelled equation, or a check of one; `mutant` is None where the check has none."""

    chapter: str
    label: str
    mutant: str | None


class Promises(NamedTuple):
    """Everything the chapters of a book promise, in order of appearance."""

    labels: list[Equation]
    checks: list[Equation]
    exercises: list[tuple[str, str]]
    solutions: list[tuple[str, str]]
    calls: dict[str, list[tuple[str, str]]]


def read_book(folder: Path) -> Promises:
    """Read every notebook of a book.

    Args:
        folder: the book's folder.

    Returns:
        Labelled equations and exercises of the text, and the calls of the code that keep them.

    Raises:
        FileNotFoundError: if the folder holds no notebook.
    """
    paths = sorted(p for p in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
    if not paths:
        raise FileNotFoundError(f"folder must hold notebooks, found none in {folder}")
    promises = Promises([], [], [], [], {name: [] for name in ("exercise", "check", "solution")})
    for path in paths:
        chapter = path.relative_to(folder).as_posix()
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                _read_text(chapter, cell.source, promises)
            elif cell.cell_type == "code":
                _read_code(chapter, cell.source, promises)
    return promises


def equation_gaps(promises: Promises) -> list[str]:
    """Everything that is wrong with the equations of a book; an empty list is what we want."""
    labels = Counter(found.label for found in promises.labels)
    checks = Counter((found.chapter, found.label) for found in promises.checks)
    gaps = [f"{label}: the label is used {n} times" for label, n in labels.items() if n > 1]
    for chapter, label, _ in promises.labels:
        count = checks[chapter, label]
        if count != 1:
            gaps.append(f"{chapter}: {label} has {count} checks, expected 1")
    here = {(found.chapter, found.label) for found in promises.labels}
    for chapter, label, mutant in promises.checks:
        if (chapter, label) not in here:
            gaps.append(f"{chapter}: the check of {label} has no equation in this chapter")
        if mutant is None:
            gaps.append(f"{chapter}: the check of {label} has no mutant")
    return list(dict.fromkeys(gaps))


def exercise_gaps(promises: Promises) -> list[str]:
    """Everything that is missing around the exercises of a book, as far as text can tell."""
    gaps = []
    for chapter, name in promises.exercises:
        counts = {call: found.count((chapter, name)) for call, found in promises.calls.items()}
        counts["{solution}"] = promises.solutions.count((chapter, name))
        gaps += [
            f"{chapter}: {name} has {n} {call}, expected 1" for call, n in counts.items() if n != 1
        ]
    for call, found in promises.calls.items():
        for chapter, name in found:
            if (chapter, name) not in promises.exercises:
                gaps.append(f"{chapter}: {call}({name!r}) belongs to no exercise in this chapter")
    return gaps


def outcome_gaps(html: list[str]) -> list[str]:
    """What the outputs of an executed chapter say against its exercises.

    Args:
        html: the HTML outputs of the chapter, in order.

    Returns:
        One line for each exercise whose scaffold passes, or whose solution did not.
    """
    pattern = r'data-avf-exercise="([^"]+)" data-avf-role="([^"]+)" data-avf-passed="(true|false)"'
    found = {(name, role): passed for name, role, passed in re.findall(pattern, "\n".join(html))}
    gaps = []
    for name in dict.fromkeys(name for name, _ in found):
        if found.get((name, "scaffold")) != "false":
            gaps.append(f"{name}: the scaffold must fail, and be checked")
        if found.get((name, "solution")) != "true":
            gaps.append(f"{name}: the solution must pass, and be checked")
    return gaps


def _read_text(chapter: str, source: str, promises: Promises) -> None:
    for label in (*_LABEL.findall(source), *_FENCED_MATH.findall(source)):
        promises.labels.append(Equation(chapter, label, None))
    promises.exercises.extend((chapter, name) for name in _EXERCISE.findall(source))
    promises.solutions.extend((chapter, name) for name in _SOLUTION.findall(source))


def _read_code(chapter: str, source: str, promises: Promises) -> None:
    lines = [line for line in source.splitlines() if not line.lstrip().startswith(("%", "!"))]
    for node in ast.walk(ast.parse("\n".join(lines))):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        call = node.func.attr if isinstance(node.func, ast.Attribute) else _name(node.func)
        label = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
        if call == "verify":
            words = {keyword.arg: keyword.value for keyword in node.keywords}
            promises.checks.append(Equation(chapter, str(label), _mutant(words.get("mutant"))))
        elif call in promises.calls and isinstance(label, str) and label.startswith("ex-"):
            promises.calls[call].append((chapter, label))


def _name(node: Any) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _mutant(node: ast.expr | None) -> str | None:
    empty = node is None or ast.unparse(node) in ("dict()", "{}", "None")
    return None if empty or node is None else ast.unparse(node)
