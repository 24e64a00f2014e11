"""What nbmake executes is what the book shows: a passing chapter enters the book's cache."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_cache import get_cache

from avfkit_widgets.book import cache_folder
from avfkit_widgets.book._executed import execute_ahead

ROOT = Path(__file__).parents[2]


def chapter(path: Path, code: str) -> nbformat.NotebookNode:
    """Write a chapter of two cells, with metadata as a real one has it, and return it."""
    cells = [
        nbformat.v4.new_markdown_cell("# A chapter"),
        nbformat.v4.new_code_cell(code, metadata={"tags": ["hide-input"]}),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    nbformat.write(notebook, path)
    return notebook


def test_a_passing_chapter_is_cached_and_a_failing_one_is_not(tmp_path: Path) -> None:
    book = tmp_path / "book"
    book.mkdir()
    shutil.copy(ROOT / "book" / "conftest.py", book)
    good, bad = book / "good.ipynb", book / "bad.ipynb"
    good_notebook = chapter(good, "print(6 * 7)")
    bad_notebook = chapter(bad, "raise ValueError('no')")
    before = good.read_bytes()
    (tmp_path / "pytest.ini").write_text(
        f"[pytest]\npythonpath = {ROOT / 'widgets'} {ROOT}\nfilterwarnings = error\n"
    )
    command = [sys.executable, "-m", "pytest", "--nbmake", "book/", "-n", "2"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    assert "1 failed, 1 passed" in result.stdout, result.stdout + result.stderr
    assert "good.ipynb cell 1: print(6 * 7)" in result.stdout
    assert good.read_bytes() == before
    cache = get_cache(cache_folder(tmp_path))
    record = cache.match_cache_notebook(good_notebook)
    assert record.data["execution_seconds"] > 0
    assert cache.merge_match_into_notebook(good_notebook)[1].cells[1].outputs[0].text == "42\n"
    with pytest.raises(KeyError):
        cache.match_cache_notebook(bad_notebook)
    cache.db.dispose()


def test_chapters_run_ahead_once_and_some_are_left_to_the_build(tmp_path: Path) -> None:
    sources = {"one": "print(6 * 7)", "other": "print('b')", "bad": "raise ValueError('no')"}
    notebooks = {tmp_path / f"{name}.ipynb": code for name, code in sources.items()}
    nodes = {path: chapter(path, code) for path, code in notebooks.items()}
    one, other, bad = notebooks
    folder = tmp_path / "cache"
    assert list(execute_ahead([one], folder)) == []
    assert list(execute_ahead(notebooks, folder)) == [one, other]
    assert list(execute_ahead(notebooks, folder)) == []
    cache = get_cache(folder)
    outputs = [cache.merge_match_into_notebook(nodes[p])[1].cells[1].outputs for p in (one, other)]
    assert [output[0].text for output in outputs] == ["42\n", "b\n"]
    assert cache.match_cache_notebook(nodes[one]).data["execution_seconds"] > 0
    with pytest.raises(KeyError):
        cache.match_cache_notebook(nodes[bad])
    cache.db.dispose()
