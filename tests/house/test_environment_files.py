"""pyproject.toml, constraints.txt, environment.yml and the files that name the version agree."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml

from house.pins import PYTHONS, disagreements

ROOT = Path(__file__).parents[2]
FILES = ("pyproject.toml", "constraints.txt", "environment.yml")


def test_environment_files_agree() -> None:
    assert disagreements(ROOT) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        ("constraints.txt", r"(?m)^optax==.*\n", "", "optax has 0 pins on Python 3.11, not 1"),
        ("constraints.txt", r"(?m)^optax==.*", "optax==9.0", "optax==9.0 is outside <0.3,>=0.2.6"),
        ("constraints.txt", r"(?m)^optax==", "optax>=", "is not one exact version"),
        ("constraints.txt", r"(?m)^optax==.*", "optax @ file:///x", "is not name==version"),
        ("pyproject.toml", r"<3\.14", "<3.15", "environment.yml: no line 'python >=3.11,<3.15'"),
        ("environment.yml", r"\.\[all\]", ".[dev]", "environment.yml: pip installs"),
    ],
)
def test_a_disagreement_is_seen(file: str, old: str, new: str, found: str, tmp_path: Path) -> None:
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path)
    path = tmp_path / file
    text, count = re.subn(old, new, path.read_text())
    assert count == 1
    path.write_text(text)
    assert any(found in line for line in disagreements(tmp_path))


def test_supported_pythons_are_those_of_the_classifiers() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    prefix = "Programming Language :: Python :: "
    versions = [c.removeprefix(prefix) for c in project["classifiers"] if c.startswith(prefix)]
    assert versions == list(PYTHONS)


def test_one_version_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert {str(citation["version"]), newest[1]} == {version}
