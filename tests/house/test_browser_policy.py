"""Without Chromium the browser tests are skipped in one line; where required, they fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = "def test_one(): pass\ndef test_two(chromium_path): assert chromium_path\n"


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run two toy browser tests in two files, with nothing on PATH."""
    shutil.copy(ROOT / "tests" / "browser" / "conftest.py", folder)
    for name in ("test_a.py", "test_b.py"):
        (folder / name).write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = browser\n")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AVFKIT_")}
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", str(folder)]
    env = {**kept, "PATH": "", **environment}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env)


def test_skipped_in_one_line(tmp_path: Path) -> None:
    result = run(tmp_path)
    lines = [line for line in result.stdout.splitlines() if line.startswith("SKIPPED")]
    assert len(lines) == 1
    assert lines[0].startswith("SKIPPED [4]")
    assert lines[0].endswith(
        "browser tests need Chromium, found no chromium or chromium-browser or google-chrome "
        "on PATH; install it or set AVFKIT_CHROMIUM"
    )
    assert result.returncode == 0


def test_failure_where_required(tmp_path: Path) -> None:
    result = run(tmp_path, AVFKIT_REQUIRE_BROWSER="1")
    assert result.returncode == 1
    assert "browser tests need Chromium" in result.stdout


def test_a_wrong_name_is_said(tmp_path: Path) -> None:
    result = run(tmp_path, AVFKIT_CHROMIUM="/no/such/chromium")
    assert "found no AVFKIT_CHROMIUM=/no/such/chromium" in result.stdout


def test_a_named_browser_is_used(tmp_path: Path) -> None:
    result = run(tmp_path, AVFKIT_CHROMIUM=sys.executable, AVFKIT_REQUIRE_BROWSER="1")
    assert "4 passed" in result.stdout
