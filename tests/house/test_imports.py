"""What an import of avfkit loads, and what must never import what."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from house.layers import AVFKIT, layer_violations, notebook_code, private_uses

ROOT = Path(__file__).parents[2]
OPTIONAL = {
    *("anywidget", "avfkit_experiments", "avfkit_widgets", "click", "dynamax", "ipywidgets"),
    *(
        "matplotlib",
        "music21",
        "optuna",
        "plotly",
        "pooch",
        "tqdm",
        "av",
        "PIL",
        "sklearn",
        "soundfile",
    ),
    *("arviz", "pandas", "xarray"),
}
LOADED = "import sys, {package}; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"


def loaded_by(package: str, root: Path) -> set[str]:
    """Top-level modules that an import loads in a fresh interpreter."""
    code = f"import sys; sys.path.insert(0, {str(root)!r}); {LOADED.format(package=package)}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_import_loads_no_optional_package() -> None:
    assert loaded_by("avfkit", ROOT) & OPTIONAL == set()


def test_import_check_sees_an_optional_package(tmp_path: Path) -> None:
    (tmp_path / "toykit.py").write_text("import tqdm\n")
    assert loaded_by("toykit", tmp_path) & OPTIONAL == {"tqdm"}


def test_layers_of_avfkit() -> None:
    assert layer_violations(ROOT, "avfkit", AVFKIT) == []


def test_every_row_of_the_table_exists() -> None:
    parts = {p.stem for p in (ROOT / "avfkit").iterdir()}
    assert set(AVFKIT) <= parts


@pytest.mark.parametrize(
    ("line", "violation"),
    [
        ("from toy.inference import x", "toy/models/_a.py: models must not import inference"),
        ("from toy import _objectives", "toy/models/_a.py: models must not import _objectives"),
        ("from ..inference._b import x", "toy/models/_a.py: models must not import inference"),
        ("def f():\n    import toy.data", "toy/models/_a.py: models must not import data"),
        ("import toy", "toy/models/_a.py: models must not import toy"),
        ("from plotly import io", "toy/models/_a.py: toy never imports plotly.io"),
    ],
)
def test_layer_check_sees(line: str, violation: str, tmp_path: Path) -> None:
    folder = tmp_path / "toy" / "models"
    folder.mkdir(parents=True)
    (folder / "_a.py").write_text(f"import jax\nfrom toy._types import y\n{line}\n")
    assert layer_violations(tmp_path, "toy", AVFKIT) == [violation]


def test_layer_check_sees_an_unknown_part(tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "_new.py").touch()
    expected = ["toy/_new.py: _new has no row in the table of layers"]
    assert layer_violations(tmp_path, "toy", AVFKIT) == expected


USERS = ("widgets/**/*.py", "experiments/avfkit_experiments/**/*.py", "book/**/*.ipynb")
SOURCES = sorted(path for pattern in USERS for path in ROOT.glob(pattern))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_widgets_experiments_and_book_use_public_names_only(path: Path) -> None:
    code = notebook_code(path) if path.suffix == ".ipynb" else path.read_text()
    assert private_uses(ast.parse(code), "avfkit") == []


@pytest.mark.parametrize(
    ("code", "use"),
    [
        ("from avfkit._model import AbstractModel", "avfkit._model.AbstractModel"),
        ("from avfkit.kalman import _filter", "avfkit.kalman._filter"),
        ("import avfkit\navfkit._types.x", "avfkit._types.x"),
    ],
)
def test_private_use_is_seen(code: str, use: str) -> None:
    assert use in private_uses(ast.parse(code), "avfkit")


def test_public_use_is_fine() -> None:
    code = "import avfkit\nfrom avfkit.kalman import filter\navfkit.VRNN.__name__\nx._private"
    assert private_uses(ast.parse(code), "avfkit") == []
