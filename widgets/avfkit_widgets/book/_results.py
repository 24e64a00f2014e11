"""Tables of results that were computed elsewhere: read from JSON, never typed.

A result file, `results/**/*.json`, is one JSON object:

    {"name": "VRNN, own filter",
     "test": {"free_energy_per_step": {"all_steps": 7.01, "mean_of_sequences": 6.9}},
     "provenance": {"command": "...", "version": "0.1.0", "seed": 0, "device": "cpu",
                    "seconds": 541.2, "date": "2025-01-31"}}

`name` and the six entries of `provenance` are required; all else is free, and a column of a table
is a dotted path into it, such as `test.free_energy_per_step.all_steps`. An object that gives a
list of numbers (one a seed) is shown as their mean and spread.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from avfkit_widgets.book._html import Html, tag
from avfkit_widgets.book._project import project_root

PROVENANCE: tuple[str, ...] = ("command", "version", "seed", "device", "seconds", "date")
"""What every result file says about how it was made."""


def read_result(path: Path) -> dict[str, Any]:
    """Read one result file.

    Args:
        path: the JSON file.

    Returns:
        Its object.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not JSON, or lacks its name or an entry of its provenance.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} must hold JSON, found an error: {error}") from error
    if not isinstance(result, dict) or not isinstance(result.get("name"), str):
        raise ValueError(f"{path.name} must be an object with a text 'name'")
    provenance = result.get("provenance")
    known = provenance if isinstance(provenance, dict) else {}
    if missing := [key for key in PROVENANCE if key not in known]:
        raise ValueError(f"{path.name} must give its provenance, missing: {', '.join(missing)}")
    return result


def results_table(
    files: Sequence[str | Path], columns: Mapping[str, str], *, caption: str, digits: int = 2
) -> Html:
    """Show result files as a table, a row each, with where the numbers come from below it.

    Args:
        files: paths relative to the project's `results` folder.
        columns: for each column's heading, units included, the dotted path of its value.
        caption: what the table shows.
        digits: digits after the point.

    Returns:
        The table.

    Raises:
        ValueError: if there are no files or no columns, or a file is malformed.
        KeyError: if a file lacks the value of a column.
    """
    if not files or not columns:
        raise ValueError(f"results_table needs files and columns, found {files!r}, {columns!r}")
    folder = project_root() / "results"
    results = {str(file): read_result(folder / file) for file in files}
    rows = [
        [result["name"], *(_cell(file, result, path, digits) for path in columns.values())]
        for file, result in results.items()
    ]
    origins = [
        [f"results/{file}", *(_words(result["provenance"][key]) for key in PROVENANCE)]
        for file, result in results.items()
    ]
    details = (
        "<details><summary>Where these numbers come from</summary>"
        + _table("Provenance", ["file", *PROVENANCE], origins, "avf-provenance")
        + "</details>"
    )
    return _shown(caption, ["Method", *columns], rows, details)


def read_benchmark(name: str) -> dict[str, Any] | None:
    """Read what a script of `benchmarks/` has measured.

    Args:
        name: that of the file in `benchmarks/results`, without `.json`.

    Returns:
        Its object, or None where nobody has run the script yet.
    """
    path = project_root() / "benchmarks" / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str) -> Html:
    """Show rows of words as a table; on a narrow page it scrolls within itself.

    Args:
        heads: the heading of each column, units included.
        rows: the first entry of each is the name of the row.
        caption: what the table shows.

    Returns:
        The table.

    Raises:
        ValueError: if a row has not one entry for each heading.

    Example:
        >>> table(["method", "nats"], [["AVF", "7.01"]], caption="On chorales")
        On chorales
        method | nats
        AVF | 7.01
    """
    for row in rows:
        if len(row) != len(heads):
            raise ValueError(f"row {row!r} has {len(row)} entries; expected {len(heads)}")
    return _shown(caption, heads, rows)


def _shown(
    caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], details: str = ""
) -> Html:
    html = _table(caption, heads, rows, "avf-results") + details
    plain = "\n".join([caption, *(" | ".join(row) for row in [heads, *rows])])
    return Html(f'<div class="avf-table">{html}</div>', plain=plain)


def _cell(file: str, result: dict[str, Any], path: str, digits: int) -> str:
    value: Any = result
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            raise KeyError(f"{file} has no {path!r}: {key!r} is missing")
        value = value[key]
    if isinstance(value, list) and len(value) > 1:
        mean, spread = statistics.fmean(value), statistics.stdev(value)
        return f"{mean:.{digits}f} ± {spread:.{digits}f} (n = {len(value)})"
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    return _words(value)


def _words(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], kind: str) -> str:
    head = "".join(tag("th", escape(text), scope="col") for text in heads)
    body = "".join(
        "<tr>"
        + tag("th", escape(row[0]), scope="row")
        + "".join(tag("td", escape(text)) for text in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<table class="{kind}"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
