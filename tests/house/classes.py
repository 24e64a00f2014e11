"""The abstract-or-final law, and the docstrings of public names, read from a live package."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import equinox as eqx


def modules(package: str) -> list[ModuleType]:
    """Import a package and all that lies below it."""
    top = importlib.import_module(package)
    below = pkgutil.walk_packages(top.__path__, prefix=f"{package}.")
    return [top, *(importlib.import_module(info.name) for info in below)]


def module_classes(package: str) -> list[type]:
    """Every subclass of `eqx.Module` that the package defines."""
    found = {
        value
        for module in modules(package)
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, eqx.Module) and _defined_in(value, package)
    }
    return sorted(found, key=lambda cls: f"{cls.__module__}.{cls.__qualname__}")


def abstract_or_final_violations(package: str) -> list[str]:
    """Breaches of the abstract-or-final law.

    A class with abstract members is named `Abstract*`; only such a class has subclasses; a method
    that has a body is never defined again below it.

    Args:
        package: an importable package.

    Returns:
        One line for each breach.
    """
    found = []
    for cls in module_classes(package):
        if not is_abstract(cls) and _abstract_members(cls):
            members = ", ".join(sorted(_abstract_members(cls)))
            found.append(f"{cls.__name__} leaves {members} abstract: name it Abstract*")
        for base in (b for b in cls.__mro__[1:] if _defined_in(b, package)):
            if not is_abstract(base):
                found.append(f"{cls.__name__} subclasses the concrete {base.__name__}")
            for name in sorted(_methods(cls) & _methods(base) - _abstract_members(base)):
                found.append(f"{cls.__name__}.{name} overrides {base.__name__}.{name}")
    return found


def is_abstract(cls: type) -> bool:
    """Whether a class says by its name that it is abstract."""
    return cls.__name__.lstrip("_").startswith("Abstract")


def undocumented(package: str) -> list[str]:
    """Public names without a docstring: those of each `__init__`, and their public members."""
    found = []
    for module in modules(package):
        if not hasattr(module, "__path__"):
            continue
        if not module.__doc__:
            found.append(module.__name__)
        for name in exported(module):
            value, dotted = getattr(module, name), f"{module.__name__}.{name}"
            if inspect.isclass(value):
                found += [f"{dotted}{member}" for member in _undocumented_members(value)]
            elif inspect.isfunction(value) and not value.__doc__:
                found.append(dotted)
    return found


def exported(module: ModuleType) -> Iterator[str]:
    """Names that an `__init__` re-exports as `X as X`."""
    for node in ast.walk(ast.parse(inspect.getsource(module) or "")):
        if isinstance(node, ast.ImportFrom | ast.Import):
            yield from (a.name for a in node.names if a.asname == a.name)


def _undocumented_members(cls: type) -> list[str]:
    # A dataclass without a docstring is given one that lists its fields.
    doc = cls.__doc__ or ""
    found = [""] if not doc or doc.startswith(f"{cls.__name__}(") else []
    public = [name for name in _methods(cls) if not name.startswith("_")]
    return found + [f".{name}" for name in sorted(public) if not inspect.getdoc(vars(cls)[name])]


def _methods(cls: type) -> set[str]:
    fields = getattr(cls, "__dataclass_fields__", {})
    return {
        name
        for name, value in vars(cls).items()
        if (name == "__call__" or not name.startswith("__"))
        and name not in fields
        and not inspect.isclass(value)
        and (callable(value) or hasattr(value, "__get__"))
        and not name.startswith("_abc_")
    }


def _abstract_members(cls: type) -> frozenset[str]:
    names = ("__abstractmethods__", "__abstractvars__", "__abstractclassvars__")
    return frozenset().union(*(getattr(cls, name, frozenset()) for name in names))


def _defined_in(cls: type, package: str) -> bool:
    return cls.__module__.partition(".")[0] == package
