"""Writes the figures of `benchmarks/README.md` from what is in `benchmarks/results/`.

    python benchmarks/table.py

Between two marks of that file stands what is written here, and only here: the table of all scripts
(`findings.py` says what was found), and the rates of matrix products. A test compares the file with
what this script would write.
"""

import ast
import json
from pathlib import Path
from typing import Any

from findings import ROWS, UNMEASURED, milliseconds, over, times

FOLDER = Path(__file__).parent
SEARCH, GRADIENTS = 20, 28  # GFLOP of a music-size step with K = 5, counted by hand


def runs(result: Any) -> list[dict[str, Any]]:
    """Where everything in a file was measured: rows may have a provenance of their own."""
    if not isinstance(result, dict):
        return []
    if "versions" in result:
        return [result]
    return [run for each in result.values() for run in runs(each)]


def measured_on(results: list[dict[str, Any]]) -> str:
    """Device, load and date, of all runs behind a row."""
    every = [run for result in results for run in runs(result)]
    devices = sorted({f"{run.get('device', 'cpu')}, {run['cores']} cores" for run in every})
    dates = sorted({run.get("date", "undated") for run in every})
    load = over((run["load_before"] for run in every), "")
    return f"{'; '.join(devices)}, load {load}, {', '.join(dates)}"


def table(results: Path) -> str:
    """One row for each script, as Markdown."""
    lines = ["| script | claim | found | measured on |", "|---|---|---|---|"]
    for row in ROWS:
        name = f"{row.__name__}.py"
        files = [json.loads(p.read_text()) for p in sorted(results.glob(f"{row.__name__}*.json"))]
        text = ast.get_docstring(ast.parse((FOLDER / name).read_text())) or ""
        claim, found = row(*files) if files else (text.splitlines()[0], UNMEASURED)
        cells = f"`{name}`", claim, found, measured_on(files) if files else ""
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def rates(results: Path) -> str:
    """The rates of single products, and what they make of a step with K = 5."""
    found = json.loads((results / "products.json").read_text())["gigaflop_per_second"]
    step = json.loads((results / "torch_step_srnn-jsb_threads_1.json").read_text())["K=5"]["cpu"]
    lines = ["| product | GFLOP/s |", "|---|---|"]
    lines += [f"| {name} | {times(each, '')} |" for name, each in found.items()]
    few, many = (
        found[name]["median"] for name in ("16 rows, vectors second", "400 rows, gradient")
    )
    third = step["eager"]["median_ms"] / 3
    floor = 1e3 * (SEARCH / few + GRADIENTS / many)
    words = (
        f"With K = 5 the search has about {SEARCH} GFLOP in products of 16 rows and the gradients "
        f"have about {GRADIENTS} in products of 400 rows and more: {floor:.0f} ms at these rates. "
        f"A step of avfkit takes {milliseconds(step['avfkit'])}, one of eager "
        f"{milliseconds(step['eager'])}, a third of which is {third:.0f} ms."
    )
    return "\n".join([*lines, "", words])


def rewritten(text: str, name: str, content: str) -> str:
    """A file with other content between the two marks of a name.

    Raises:
        ValueError: the marks are not there, once each.
    """
    first, last = f"<!-- {name}, written by table.py -->", f"<!-- end of {name} -->"
    if text.count(first) != 1 or text.count(last) != 1:
        raise ValueError(f"expected {first!r} and {last!r} once each")
    before, after = text.split(first)[0], text.split(last)[1]
    return f"{before}{first}\n\n{content}\n\n{last}{after}"


def render(text: str, results: Path) -> str:
    """The README with the figures of a folder of results."""
    return rewritten(rewritten(text, "results", table(results)), "rates", rates(results))


if __name__ == "__main__":
    readme = FOLDER / "README.md"
    readme.write_text(render(readme.read_text(), FOLDER / "results"))
