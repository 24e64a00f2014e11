"""The example of a user's own model and data runs, and is as short as it is said to be."""

import ast
import inspect
import runpy
from pathlib import Path

PATH = Path(__file__).parents[2] / "experiments" / "own_model.py"


def test_it_trains_and_scores(tmp_path):
    result = runpy.run_path(str(PATH))["main"](str(tmp_path / "run"), steps=3)
    energy = result["test"]["free_energy_per_step"]
    assert 0 < energy["all_steps"] < 20 and len(energy["per_iteration"]) == 2
    assert (tmp_path / "run" / "result.json").exists()


def test_model_data_and_training_take_at_most_30_lines():
    tree = ast.parse(PATH.read_text())
    parts = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:]
    code = inspect.cleandoc("\n".join(ast.unparse(part) for part in parts))
    assert len([line for line in code.splitlines() if line.strip()]) <= 30
