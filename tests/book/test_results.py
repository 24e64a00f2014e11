import json
from pathlib import Path
from typing import Any

import pytest

from avfkit_widgets.book import read_benchmark, read_result, results_table, table

PROVENANCE = {
    "command": "make x",
    "version": "0.1.0",
    "seed": 0,
    "device": "cpu",
    "seconds": 12.34,
    "date": "2025-01-31",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project; the working directory is its book."""
    (tmp_path / "_config.yml").write_text("")
    (tmp_path / "results" / "vrnn").mkdir(parents=True)
    (tmp_path / "book").mkdir()
    monkeypatch.chdir(tmp_path / "book")
    return tmp_path


def write(project: Path, name: str, content: Any) -> Path:
    path = project / "results" / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_table(project: Path) -> None:
    first = {"name": "VRNN & filter", "test": {"nats": 7.0149}, "provenance": PROVENANCE}
    second = {"name": "AVF", "test": {"nats": [7.0, 8.0]}, "provenance": PROVENANCE}
    write(project, "vrnn/own.json", first)
    write(project, "avf.json", second)
    shown = results_table(
        ["vrnn/own.json", "avf.json"], {"Free energy": "test.nats"}, caption="On chorales"
    )
    html = shown._repr_mimebundle_()["text/html"]
    assert "<caption>On chorales</caption>" in html
    assert '<th scope="col">Free energy</th>' in html
    assert '<tr><th scope="row">VRNN &amp; filter</th><td>7.01</td></tr>' in html
    assert "<td>7.50 ± 0.71 (n = 2)</td>" in html
    assert (
        '<th scope="row">results/vrnn/own.json</th><td>make x</td><td>0.1.0</td><td>0</td>'
        "<td>cpu</td><td>12.3</td><td>2025-01-31</td>" in html
    )
    assert repr(shown).splitlines()[2] == "VRNN & filter | 7.01"


def test_a_table_of_words() -> None:
    shown = table(["method", "nats"], [["a < b", "1"]], caption="c")
    html = shown._repr_mimebundle_()["text/html"]
    assert html.startswith('<div class="avf-table"><table class="avf-results"><caption>c</caption>')
    assert '<tr><th scope="row">a &lt; b</th><td>1</td></tr>' in html
    assert repr(shown) == "c\nmethod | nats\na < b | 1"
    with pytest.raises(ValueError) as error:
        table(["method", "nats"], [["AVF"]], caption="c")
    assert str(error.value) == "row ['AVF'] has 1 entries; expected 2"


def test_a_benchmark_that_nobody_has_run(project: Path) -> None:
    assert read_benchmark("speed") is None
    (folder := project / "benchmarks" / "results").mkdir(parents=True)
    (folder / "speed.json").write_text('{"ms": 1.5}')
    assert read_benchmark("speed") == {"ms": 1.5}


def test_a_missing_value(project: Path) -> None:
    write(project, "a.json", {"name": "A", "test": {"nats": 1.0}, "provenance": PROVENANCE})
    with pytest.raises(KeyError) as error:
        results_table(["a.json"], {"x": "test.bits"}, caption="c")
    assert error.value.args[0] == "a.json has no 'test.bits': 'bits' is missing"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "a.json must hold JSON, found an error: "),
        ([1], "a.json must be an object with a text 'name'"),
        ({"name": "A"}, "a.json must give its provenance, missing: command, version, seed, "),
        (
            {"name": "A", "provenance": {**PROVENANCE} | {"seed": 1}},
            None,
        ),
    ],
)
def test_malformed_files(project: Path, content: Any, message: str | None) -> None:
    path = write(project, "a.json", content)
    if message is None:
        assert read_result(path)["provenance"]["seed"] == 1
        return
    with pytest.raises(ValueError) as error:
        read_result(path)
    assert str(error.value).startswith(message)


def test_no_file_and_no_column(project: Path) -> None:
    with pytest.raises(FileNotFoundError):
        results_table(["none.json"], {"x": "y"}, caption="c")
    with pytest.raises(ValueError, match="^results_table needs files and columns, found "):
        results_table([], {"x": "y"}, caption="c")
