"""The parts of the house style that a machine can read: sizes, signatures, keys."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("avfkit", "widgets/avfkit_widgets", "experiments/avfkit_experiments")
SOURCES = sorted(path for package in PACKAGES for path in ROOT.glob(f"{package}/**/*.py"))
MAX_FILE, MAX_FUNCTION, MAX_POSITIONAL = 250, 30, 5


def breaches(source: str) -> Iterator[str]:
    """Say where a module breaks the style."""
    lines, tree = source.splitlines(), ast.parse(source)
    if len(lines) > MAX_FILE:
        yield f"{len(lines)} lines, at most {MAX_FILE}"
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            yield "imports from __future__"
        elif isinstance(node, ast.FunctionDef):
            yield from (f"{node.name}: {breach}" for breach in function_breaches(node, lines))
        elif isinstance(node, ast.Module | ast.ClassDef):
            for function in node.body:
                if isinstance(function, ast.FunctionDef) and not function.name.startswith("_"):
                    yield from (f"{function.name}: {breach}" for breach in key_breaches(function))


def forbidden_calls(source: str) -> list[str]:
    """Calls that abstract-or-final classes have no use for."""
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        f"line {call.lineno} calls {call.id}"
        for call in calls
        if isinstance(call, ast.Name) and call.id in ("super", "hasattr")
    ]


def function_breaches(node: ast.FunctionDef, lines: list[str]) -> Iterator[str]:
    """Say what is wrong with one function."""
    if node.returns is None:
        yield "no return annotation"
    positional = [*node.args.posonlyargs, *node.args.args]
    positional = [a for a in positional if a.arg not in ("self", "cls")]
    if len(positional) > MAX_POSITIONAL:
        yield f"{len(positional)} positional parameters, at most {MAX_POSITIONAL}"
    length = code_lines(node, lines)
    if length > MAX_FUNCTION:
        yield f"{length} lines of code, at most {MAX_FUNCTION}"


def key_breaches(node: ast.FunctionDef) -> Iterator[str]:
    """Say whether a public function takes its key as all others do: by name, without default."""
    for arg, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if arg.arg == "key" and default is not None:
            yield "key has a default"
    if any(a.arg == "key" for a in [*node.args.posonlyargs, *node.args.args]):
        yield "key is not keyword-only"


def code_lines(node: ast.FunctionDef, lines: list[str]) -> int:
    """Lines of a function from `def` on, without docstring, comments and blank lines."""
    doc = set[int]()
    if ast.get_docstring(node) is not None:
        doc = set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    numbers = set(range(node.lineno, (node.end_lineno or node.lineno) + 1)) - doc
    kept = [lines[number - 1].strip() for number in numbers]
    return sum(1 for line in kept if line and not line.startswith("#"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_style(path: Path) -> None:
    source = path.read_text()
    assert list(breaches(source)) == []
    if path.is_relative_to(ROOT / "avfkit"):
        assert forbidden_calls(source) == []


LONG = "\n".join(["def f() -> None:", '    """Say."""', *["    x = 1"] * 30])


@pytest.mark.parametrize(
    ("source", "breach"),
    [
        ("x = 1\n" * 251, "251 lines, at most 250"),
        (LONG, "f: 31 lines of code, at most 30"),
        ("def f(a, b, c, d, e, g) -> None: ...", "f: 6 positional parameters, at most 5"),
        ("def f(): ...", "f: no return annotation"),
        ("def f(*, key=None) -> None: ...", "f: key has a default"),
        ("def f(key) -> None: ...", "f: key is not keyword-only"),
        (
            "from __future__ import annotations",
            "imports from __future__",
        ),
    ],
)
def test_a_breach_is_seen(source: str, breach: str) -> None:
    assert list(breaches(source)) == [breach]


def test_keys_of_private_and_inner_functions_are_free() -> None:
    source = "def _f(key) -> None:\n    def g(key) -> None: ..."
    assert list(breaches(source)) == []


def test_a_call_of_super_is_seen() -> None:
    source = "class A:\n    def f(self) -> None:\n        super().f()"
    assert forbidden_calls(source) == ["line 3 calls super"]


def test_docstrings_comments_and_blank_lines_do_not_count() -> None:
    source = LONG.replace('"""Say."""', '"""Say.\n\n    More.\n    """\n\n    # why')
    assert list(breaches(source.replace("    x = 1", "", 1))) == []
