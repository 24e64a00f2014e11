"""The README's example runs as it stands, and its file map names what there is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def block(language: str) -> str:
    """The first fenced block of a language."""
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None, f"README.md has no block in {language}"
    return found[1]


def test_example_runs_and_prints_a_finite_number() -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", block("python")]
    result = subprocess.run(command, capture_output=True, text=True, env=env)
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"-?\d+\.\d+ nats per step", result.stdout.strip())


def test_example_is_about_ten_lines() -> None:
    lines = [line for line in block("python").splitlines() if line.strip()]
    assert len(lines) <= 12


def test_file_map_names_what_there_is() -> None:
    names = [line.split()[0] for line in block("text").splitlines()]
    assert len(names) > 8
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"\bmake (\w+)", README))
    assert {"book", "test", "lab"} <= named
    assert [name for name in named if not re.search(rf"(?m)^{name}:", makefile)] == []


def test_pre_commit_hooks_are_local() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    assert {hook["language"] for repo in config["repos"] for hook in repo["hooks"]} == {"system"}
