"""Every class of avfkit is abstract or final, and every public name says what it is."""

import sys
from pathlib import Path

import pytest

from house.classes import abstract_or_final_violations, module_classes, undocumented

HEAD = """
from abc import abstractmethod
import equinox as eqx

class AbstractThing(eqx.Module):
    size: eqx.AbstractVar[int]

    @abstractmethod
    def open(self) -> int: ...

    @property
    def area(self) -> int:
        return self.size**2

class Final(AbstractThing):
    size: int

    def open(self) -> int:
        return 0
"""


def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, init: str, things: str = "") -> str:
    """Write an importable toy package and return its name, of which no other test knows."""
    name = f"toy_{tmp_path.name}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text(init.format(name=name))
    (folder / "_things.py").write_text(HEAD + things)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_avfkit_is_abstract_or_final() -> None:
    assert len(module_classes("avfkit")) > 10
    assert abstract_or_final_violations("avfkit") == []


@pytest.mark.parametrize(
    ("things", "violations"),
    [
        ("", []),
        ("class Sub(Final):\n    other: int", ["Sub subclasses the concrete Final"]),
        (
            "class Flat(AbstractThing):\n    size: int\n    def open(self): return 1\n"
            "    @property\n    def area(self): return 0",
            ["Flat.area overrides AbstractThing.area"],
        ),
        (
            "class Half(AbstractThing):\n    size: int",
            ["Half leaves open abstract: name it Abstract*"],
        ),
        (
            "class Sizeless(AbstractThing):\n    def open(self): return 1",
            ["Sizeless leaves size abstract: name it Abstract*"],
        ),
    ],
)
def test_law_on_a_toy(
    things: str, violations: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = toy(tmp_path, monkeypatch, "", things)
    assert abstract_or_final_violations(name) == violations
    assert f"{name}._things" in sys.modules


def test_every_public_name_of_avfkit_has_a_docstring() -> None:
    assert undocumented("avfkit") == []


def test_missing_docstrings_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init = '"""A toy."""\nfrom {name}._things import Final as Final, f as f\n'
    name = toy(tmp_path, monkeypatch, init, "def f(): return 1")
    assert undocumented(name) == [f"{name}.Final", f"{name}.Final.open", f"{name}.f"]
