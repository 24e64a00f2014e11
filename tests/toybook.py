"""A small book with one of everything, written into a folder for the build tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml
from nbformat import v4

REPOSITORY = Path(__file__).parents[1]

SETUP = """
import jax
import numpy as np
import plotly.graph_objects as go

jax.config.update("jax_enable_x64", True)
from toylib import CONSTANT
from avfkit_widgets.book import (
    LIGHT, answer_box, check, exercise, fade, figure, footer, results_table, solution, verify,
)
"""

PICTURE = """
t = np.linspace(0, 12, 60)
fig = go.Figure()
fig.add_scatter(x=t, y=np.sin(t) + 0.3, line_width=0, showlegend=False)
fig.add_scatter(x=t, y=np.sin(t) - 0.3, fill="tonexty", fillcolor=fade(LIGHT["blue"], 0.2),
                line_width=0, showlegend=False)
fig.add_scatter(x=t, y=np.sin(t), name="exact", line_color=LIGHT["blue"])
fig.add_scatter(x=t, y=np.sin(t) + 0.1, name="after 3 iterations", line_dash="dash",
                line_color=LIGHT["orange"])
fig.add_scatter(x=t[::6], y=CONSTANT * np.sin(t[::6]), mode="markers", name="observed",
                marker_color=LIGHT["grey"])
fig.update_xaxes(title="time step")
fig.update_yaxes(title="<i>z</i><sub>t</sub>")
figure(fig, alt="The exact mean and its band; the approximate mean lies 0.1 above it.",
       caption="Exact and approximate means.")
"""

ROLL = """
roll = (np.random.default_rng(0).random((24, 48)) < 0.1).astype(float)
fig = go.Figure(go.Heatmap(z=roll, showscale=False,
                           colorscale=[[0, fade(LIGHT["blue"], 0.0)], [1, LIGHT["blue"]]]))
fig.update_layout(xaxis_title="quarter note", yaxis_title="key", height=300)
figure(fig, alt="Notes of a piano roll, about a tenth of all keys.")
"""

EQUATION = """
def claim(sign=1.0):
    x = np.linspace(-1, 1, 5)
    return np.exp(sign * x) * np.exp(-x) - 1.0

verify("eq-inverse", claim, mutant=dict(sign=-1.0))
"""

SCAFFOLD = """
def grade_double(double):
    assert double(3) == 6, "try 3: its double is 6"

exercise("ex-double", grade_double, wrong=lambda x: x)

def double(x):
    raise NotImplementedError("your turn")

check("ex-double", double)
"""

SOLUTION = """
def double_solution(x):
    return 2 * x

solution("ex-double", double_solution)
"""

CELLS: list[tuple[str, str]] = [
    ("markdown", "# A toy chapter\n\nText with $z_t$ and {cite:t}`kalman1960`.\n"),
    ("code", SETUP),
    ("code", PICTURE),
    ("code", ROLL),
    ("markdown", "An equation, {eq}`eq-inverse`:\n\n$$\ne^{x} e^{-x} = 1\n$$ (eq-inverse)\n"),
    ("code", EQUATION),
    (
        "markdown",
        ":::{exercise} Doubling\n:label: ex-double\nWrite `double(x)`, see {eq}`eq-inverse`.\n:::",
    ),
    ("code", SCAFFOLD),
    ("markdown", ":::{solution-start} ex-double\n:class: dropdown\n:::"),
    ("code", SOLUTION),
    ("markdown", ":::{solution-end}\n:::"),
    (
        "code",
        "answer_box('double', 2 * CONSTANT, 0.01, prompt='What is twice the constant?', "
        "unit='nats')",
    ),
    (
        "code",
        "results_table(['toy.json'], {'Free energy (nats per step)': 'test.free_energy'}, "
        "caption='A toy result')",
    ),
    ("code", "footer()"),
]

RESULT = """{"name": "Toy", "test": {"free_energy": 7.0123}, "provenance": {"command": "make toy",
"version": "0.1.0", "seed": 0, "device": "cpu", "seconds": 1.5, "date": "2025-01-31"}}"""


def write_book(root: Path, cells: list[tuple[str, str]] = CELLS) -> Path:
    """Write the toy book under `root`, with the real settings; return its chapter."""
    (root / "book").mkdir(parents=True)
    (root / "results").mkdir()
    (root / "results" / "toy.json").write_text(RESULT)
    shutil.copy(REPOSITORY / "_config.yml", root)
    shutil.copy(REPOSITORY / "book" / "references.bib", root / "book")
    write_library(root, 1.0)
    toc = {"format": "jb-book", "root": "intro", "chapters": [{"file": "toy-chapter"}]}
    (root / "book" / "_toc.yml").write_text(yaml.safe_dump(toc))
    write_notebook(
        root / "book" / "intro.ipynb",
        [("markdown", "# Intro\n\n```{bibliography}\n:all:\n```\n")],
    )
    return write_notebook(root / "book" / "toy-chapter.ipynb", cells)


def write_library(root: Path, constant: float) -> None:
    """Write the library the toy chapter imports; the fingerprint covers `widgets/`."""
    (root / "widgets").mkdir(exist_ok=True)
    (root / "widgets" / "toylib.py").write_text(f"CONSTANT = {constant}\n")


def write_notebook(path: Path, cells: list[tuple[str, str]]) -> Path:
    """Write a notebook without outputs from pairs of kind and source."""
    made = []
    for i, (kind, source) in enumerate(cells):
        new = v4.new_code_cell if kind == "code" else v4.new_markdown_cell
        made.append(new(source.strip(), id=f"cell-{i}"))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(v4.new_notebook(cells=made, metadata={"kernelspec": kernel}), path)
    return path


def build(root: Path) -> str:
    """Build the book as `make book` does, warnings as errors; return what the build said."""
    paths = [root / "widgets", REPOSITORY, REPOSITORY / "widgets"]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "NO_COLOR": "1",
    }
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
    result = subprocess.run(
        [*command, "book/", "-n", "-W", "--keep-going"],
        capture_output=True,
        text=True,
        cwd=root,
        env=env,
    )
    return f"exit code {result.returncode}\n{result.stdout}\n{result.stderr}"
