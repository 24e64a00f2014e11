"""What no leaf of a pytree tells: the classes of its modules, and their static fields.

Two methods may have the same arrays and differ in a rule or a number of iterations. Settings are
plain (strings, lists, dicts), and two processes describe the same tree equally: a function is its
name, without what it has closed over, and no address in memory is kept.
"""

import dataclasses
import functools
import json
import re
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
from jaxtyping import PyTree

from avfkit.train._leaves import describe

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def settings(tree: PyTree, path: str = "") -> dict[str, Any]:
    """The class and the static fields of every module of a pytree, by their path, in order."""
    found: dict[str, Any] = {}
    for keys, node in jax.tree_util.tree_leaves_with_path(tree, is_leaf=_is_module):
        if isinstance(node, eqx.Module):
            found |= _of_module(node, path + jax.tree_util.keystr(keys))
    return found


def first_difference(
    there: Mapping[str, Any], here: Mapping[str, Any]
) -> tuple[str, str, str] | None:
    """Path of the first setting that differs, and its two values in words; `None` if none does."""
    for path in (*there, *here):
        found, expected = _say(there, path), _say(here, path)
        if found != expected:
            return path, found, expected
    return None


def _of_module(module: eqx.Module, path: str) -> dict[str, Any]:
    found: dict[str, Any] = {f"{path}.__class__": type(module).__qualname__}
    for field in dataclasses.fields(module):
        name, value = f"{path}.{field.name}", getattr(module, field.name, None)
        if field.metadata.get("static", False):
            found[name] = _plain(value)
        else:
            found |= settings(value, name)
    return found


def _plain(value: Any) -> Any:
    match value:
        case eqx.Module():
            return [settings(value), describe(value)]
        case tuple() | list():
            return [_plain(entry) for entry in value]
        case set() | frozenset():  # their order is another one in every process
            return sorted((_plain(entry) for entry in value), key=json.dumps)
        case dict():
            return {_ADDRESS.sub("", repr(name)): _plain(entry) for name, entry in value.items()}
        case functools.partial():
            return [_plain(value.func), _plain(value.args), _plain(value.keywords)]
    name = getattr(value, "__qualname__", None) if callable(value) else None
    return name if isinstance(name, str) else _ADDRESS.sub("", repr(value))


def _say(values: Mapping[str, Any], path: str) -> str:
    value = values.get(path, "missing")
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _is_module(node: Any) -> bool:
    return isinstance(node, eqx.Module)
