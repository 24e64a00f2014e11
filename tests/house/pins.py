"""pyproject.toml, constraints.txt and environment.yml must tell one story."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYTHONS = ("3.11", "3.12", "3.13")
CONDA_PIP = ["-c constraints.txt", "-e .[all]"]


def disagreements(root: Path) -> list[str]:
    """Where the three files of the environment disagree.

    Args:
        root: the folder that holds them.

    Returns:
        One line for each disagreement.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    conda = yaml.safe_load((root / "environment.yml").read_text())["dependencies"]
    lines = (root / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    return [*_loose(pins), *_unpinned(project, pins), *_conda(project, conda)]


def requirements(project: dict[str, Any]) -> Iterator[Requirement]:
    """Every dependency of the project and of its extras, without its own extras."""
    extras = project["optional-dependencies"].values()
    for text in [*project["dependencies"], *(text for extra in extras for text in extra)]:
        requirement = Requirement(text)
        if requirement.name != project["name"]:
            yield requirement


def _loose(pins: list[str]) -> Iterator[str]:
    for pin in pins:
        if pin.startswith("-") or "@" in pin or "/" in pin:
            yield f"constraints.txt: {pin} is not name==version"
        elif [s.operator for s in Requirement(pin).specifier] != ["=="]:
            yield f"constraints.txt: {pin} is not one exact version"


def _unpinned(project: dict[str, Any], pins: list[str]) -> Iterator[str]:
    plain = [Requirement(pin) for pin in pins if not pin.startswith("-") and "@" not in pin]
    for python in PYTHONS:
        here = {"python_version": python, "python_full_version": f"{python}.7"}
        applies = [p for p in plain if p.marker is None or p.marker.evaluate(here)]
        for wanted in requirements(project):
            name = canonicalize_name(wanted.name)
            versions = [
                s.version for p in applies if canonicalize_name(p.name) == name for s in p.specifier
            ]
            if len(versions) != 1:
                yield f"constraints.txt: {name} has {len(versions)} pins on Python {python}, not 1"
            elif not wanted.specifier.contains(versions[0], prereleases=True):
                yield f"constraints.txt: {name}=={versions[0]} is outside {wanted.specifier}"


def _conda(project: dict[str, Any], conda: list[Any]) -> Iterator[str]:
    python = f"python {project['requires-python']}"
    if python not in conda:
        yield f"environment.yml: no line {python!r}"
    pip = next((entry["pip"] for entry in conda if isinstance(entry, dict)), None)
    if pip != CONDA_PIP:
        yield f"environment.yml: pip installs {pip}, not {CONDA_PIP}"
