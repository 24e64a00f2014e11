"""Every benchmark can be found, says what it claims, and is called with options that it has."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
SCRIPTS = sorted(p for p in BENCHMARKS.glob("*.py") if "__main__" in p.read_text())
RUNNER = BENCHMARKS / "run.py"
MEASURED = [path for path in SCRIPTS if path != RUNNER]


def lines_of(source: str) -> list[str]:
    """The command lines in the sets of the runner."""
    sets = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    lists = [ast.literal_eval(node.value) for node in sets if isinstance(node.value, ast.List)]
    return sum(lists, [])


def mistakes(line: str, folder: Path) -> list[str]:
    """Say what is wrong with a command line, as far as the script's source tells."""
    name, *words = line.split()
    if not (folder / name).is_file():
        return [f"there is no {name}"]
    source = (folder / name).read_text()
    options = [word for word in words if word.startswith("--")]
    return [f"{name} has no {option}" for option in options if f'"{option}"' not in source]


def test_every_benchmark_is_in_the_readme() -> None:
    table = (BENCHMARKS / "README.md").read_text()
    assert [path.name for path in SCRIPTS if f"`{path.name}`" not in table] == []


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.name)
def test_a_benchmark_opens_with_claim_command_and_result(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert re.search(r"claim|Figure", text, re.IGNORECASE), "no claim, and no word that it has none"
    assert f"python benchmarks/{path.name}" in text
    assert "`benchmarks/results/" in text


def test_the_sets_call_what_there_is() -> None:
    lines = lines_of(RUNNER.read_text())
    assert len(lines) > 5
    assert [found for line in lines for found in mistakes(line, BENCHMARKS)] == []


def test_a_mistake_in_a_set_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('parser.add_argument("--rounds")')
    assert lines_of("X = 1\nSHORT = ['a.py --rounds 3', 'b.py']\n") == ["a.py --rounds 3", "b.py"]
    assert mistakes("a.py --rounds 3", tmp_path) == []
    assert mistakes("a.py --turns 3", tmp_path) == ["a.py has no --turns"]
    assert mistakes("b.py", tmp_path) == ["there is no b.py"]


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("results/*.json")), ids=lambda p: p.stem)
def test_a_result_says_what_it_was_measured_on(path: Path) -> None:
    result = json.loads(path.read_text())
    assert {"versions", "machine"} <= set(result["provenance"])
    scripts = [p.stem for p in MEASURED if path.stem.startswith(p.stem)]
    assert scripts, "the result of no script"


def test_make_has_both_sets() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target, name in (("benchmarks", "short"), ("benchmarks-gpu", "gpu")):
        rule = re.search(rf"(?m)^{target}:.*\n(?:(?:\t.*)?\n)+?(?=\n|\Z)", makefile)
        assert rule is not None and f"benchmarks/run.py {name}" in rule[0]
