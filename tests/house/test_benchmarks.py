"""Every benchmark says what it claims, is called with options that it has, and is in the table."""

import ast
import copy
import json
import re
import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
SCRIPTS = sorted(p for p in BENCHMARKS.glob("*.py") if "__main__" in p.read_text())
RUNNER, TABLE, README = (BENCHMARKS / name for name in ("run.py", "table.py", "README.md"))
MEASURED = [path for path in SCRIPTS if path not in (RUNNER, TABLE)]


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


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, Any]]:
    """What `table.py`, `findings.py` and `measure.py` define."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        found = (runpy.run_path(str(BENCHMARKS / f"{n}.py")) for n in ("findings", "measure"))
        yield {k: v for names in (*found, runpy.run_path(str(TABLE))) for k, v in names.items()}


def test_the_readme_has_what_the_results_say(scripts: dict[str, Any]) -> None:
    text = README.read_text()
    assert scripts["render"](text, BENCHMARKS / "results") == text, "run benchmarks/table.py"


def test_another_result_makes_another_table(scripts: dict[str, Any], tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(BENCHMARKS / "results", results)
    path = results / "start_up.json"
    result = json.loads(path.read_text())
    result["cpu"]["avfkit_over_jax_equinox"]["median"] = 1.75
    path.write_text(json.dumps(result))
    (results / "memory.json").unlink()
    lines = scripts["render"](README.read_text(), results).splitlines()
    row = {line.split("`")[1]: line for line in lines if line.startswith("| `")}
    assert "1.75 x (" in row["start_up.py"] and "**not reached**" in row["start_up.py"]
    assert row["memory.py"].endswith("plain and rematerialised. | **not measured yet** |  |")
    assert row.keys() == {path.name for path in MEASURED}


def test_a_table_without_its_marks_is_refused(scripts: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as error:
        scripts["rewritten"]("no marks", "rates", "")
    assert str(error.value) == (
        "expected '<!-- rates, written by table.py -->' and '<!-- end of rates -->' once each"
    )


def test_the_walk_is_judged_by_the_faster_mode(scripts: dict[str, Any]) -> None:
    ratio = {"median": 12.0, "min": 11.0, "max": 13.0}
    found = {"ratio": {"dynamax sequential": ratio}, "compile_s": {"avfkit": 2.0}}
    walk, alone = scripts["walk"], "dynamax sequential 12 x (11 to 13)"
    beaten = f"{alone}, **reached** against the sequential mode"
    assert walk(found, 10.0, 3.0) == f"{beaten}, dynamax parallel not timed"
    found["compile_s"]["dynamax parallel"] = "did not compile in 9 s"
    assert walk(found, 10.0, 3.0) == f"{beaten}, dynamax parallel did not compile in 9 s"
    both = copy.deepcopy(found)
    both["compile_s"]["dynamax parallel"] = 5.0
    both["ratio"]["dynamax parallel"] = ratio | {"median": 9.0}
    assert walk(both, 10.0, 3.0) == (
        f"{alone}, dynamax parallel 9 x (11 to 13), **not reached**, "
        "compiled in 2 s, dynamax parallel in 5 s, **not reached**"
    )


def test_rows_of_an_earlier_run_keep_its_provenance(scripts: dict[str, Any]) -> None:
    provenances = scripts["provenances"]
    old = {"provenance": {"load_before": 1}}
    assert provenances(old, ["100", "200"], "runs") == dict.fromkeys(
        ("100", "200"), {"load_before": 1}
    )
    newer = {"provenance": {"load_before": 2}, "runs": {"100": {"load_before": 3}}}
    assert provenances(newer, ["100", "200"], "runs") == {
        "100": {"load_before": 3},
        "200": {"load_before": 2},
    }
    assert provenances({}, [], "runs") == {}


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
