"""Which part of a package may import which: the import law, read from the source."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

# A part is a module or a folder directly below the package. It may import the parts named here.
AVFKIT: dict[str, set[str]] = {
    "_types": set(),
    "_arrays": set(),
    "_checked": {"_arrays"},
    "_lanes": set(),
    "_precision": set(),
    "_linalg": {"_lanes", "_precision"},
    "_distributions": {"_types", "_linalg"},
    "_discretised": {"_distributions"},
    "_divergence": {"_distributions", "_linalg"},
    "kalman": {"_types", "_lanes", "_linalg", "_precision"},
    "_model": {"_types", "_distributions", "kalman"},
    "_trace": {"_types", "_distributions", "_divergence"},
    "_problem": {"_types", "_distributions", "_divergence", "_model"},
    "_inference": {"_types", "_distributions", "_model", "_problem", "_trace"},
    "_smoother": {"_types", "_distributions", "_model", "_trace", "_inference"},
    "_objectives": {"_types", "_distributions", "_model", "_trace", "_inference"},
    "_particles": {"_types", "_model", "_trace", "_inference", "_objectives"},
    "_fivo": {"_types", "_model", "_inference", "_objectives", "_particles"},
    "_online": {"_types", "_model", "_trace", "_inference", "_objectives"},
    "_activity": {"_types", "_divergence", "_trace"},
    "_evaluation": {"_types", "_activity", "_model", "_inference", "_objectives", "_fivo"},
    "_sample": {"_types", "_model"},
    "_prediction": {"_types", "_model", "_trace", "_inference", "_sample"},
    "_stream": {"_types", "_distributions", "_model"},
    "_streaming": {  # a stream is kept in the format of a checkpoint, hence train
        *("_types", "_divergence", "_model", "_trace", "_inference", "_sample", "_stream"),
        "train",
    },
    "_contract": {"_types", "_model", "_inference", "_objectives", "_sample", "_streaming"},
    "_imputation": {"_types", "_model", "_inference", "_prediction"},
    "nn": {"_types", "_linalg", "_distributions", "_discretised"},
    "models": {"_types", "_distributions", "_discretised", "_model", "nn", "kalman"},
    "inference": {
        *("_types", "_linalg", "_distributions", "_model", "_trace", "_problem", "_inference"),
        *("_smoother", "nn", "kalman"),
    },
    "diagnosis": {
        *("_types", "_linalg", "_distributions", "_discretised", "_divergence", "_model", "_trace"),
        *("_inference", "_smoother", "_objectives", "_fivo", "_sample", "_prediction"),
        *("_evaluation", "nn", "models", "inference", "kalman"),
    },
    "interop": {"_types", "_model", "_trace", "nn", "models"},
    "data": {"_types"},
    "train": {"_types"},
}

# All check their arguments.
AVFKIT = {part: may | {"_arrays", "_checked"} for part, may in AVFKIT.items()}

NEVER = {"anywidget", "avfkit_widgets", "ipywidgets", "matplotlib", "plotly"}


def layer_violations(root: Path, name: str, table: dict[str, set[str]]) -> list[str]:
    """Imports of the package `name` below `root` that `table` does not allow.

    Args:
        root: the folder that holds the package.
        name: the package.
        table: for each part of the package, the other parts it may import.

    Returns:
        One line for each import that breaks the law; a part without a row breaks it too.
    """
    found = []
    for path in sorted((root / name).rglob("*.py")):
        where = path.relative_to(root)
        imports = list(absolute_imports(ast.parse(path.read_text()), where))
        found += [f"{where}: {name} never imports {m}" for m in imports if _top(m) in NEVER]
        if where.name == "__init__.py" and len(where.parts) == 2:
            continue
        part = where.parts[1].removesuffix(".py")
        if part not in table:
            found.append(f"{where}: {part} has no row in the table of layers")
            continue
        others = {m.split(".")[1] if "." in m else m for m in imports if _top(m) == name}
        found += [
            f"{where}: {part} must not import {other}"
            for other in sorted(others - {part} - table[part])
        ]
    return found


def private_uses(tree: ast.AST, package: str) -> list[str]:
    """Uses of private names of `package`: imported, or reached by dots from its own name."""
    uses = [m for m in absolute_imports(tree, Path("x.py")) if _top(m) == package and _private(m)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith(f"{package}."):
            if _private(ast.unparse(node)):
                uses.append(ast.unparse(node))
    return sorted(set(uses))


def absolute_imports(tree: ast.AST, where: Path) -> Iterator[str]:
    """Dotted names that a module imports, inside functions too: `a.b.c` for all three forms.

    Args:
        tree: the module.
        where: its path, of which the first part is the top package; resolves relative imports.

    Yields:
        `module.name` for `from module import name`, `module` for `import module`.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = where.parts[: -node.level] if node.level else ()
            module = ".".join((*above, *([node.module] if node.module else [])))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def notebook_code(path: Path) -> str:
    """The code of a notebook as one Python source, without IPython's own lines."""
    cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    lines = [line for cell in cells for line in "".join(cell["source"]).splitlines()]
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def _top(module: str) -> str:
    return module.partition(".")[0]


def _private(dotted: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in dotted.split("."))
