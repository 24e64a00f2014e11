"""A small book is built as the real one is: what is executed when, what is warned about."""

import re
from pathlib import Path

import pytest

import toybook


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the toy book, built once."""
    folder = tmp_path_factory.mktemp("toy")
    toybook.write_book(folder)
    said = toybook.build(folder)
    assert said.startswith("exit code 0\n"), said
    assert "executed ahead: toy-chapter.ipynb" in said
    return folder


def page(root: Path) -> str:
    """The built chapter."""
    return (root / "_build" / "html" / "toy-chapter.html").read_text()


def test_the_page_holds_everything(root: Path) -> None:
    text = page(root)
    assert text.count("<avf-figure") == 2
    assert text.count("data-avf-equation=") == 1
    assert 'data-value="2.0"' in text
    assert "<td>7.01</td>" in text
    assert re.search(r'class="avf-footer">Made with .*float64\. Ran in \d+\.\d s\.</p>', text)


def test_nothing_is_asked_of_the_network(root: Path) -> None:
    sources = re.findall(r'<(?:script|link|img)[^>]*?(?:src|href)="([^"]+)"', page(root))
    assert sources
    assert [s for s in sources if re.match(r"(https?:)?//", s)] == []
    assert "require.min.js" not in page(root)
    static = root / "_build" / "html" / "_static" / "avf"
    for name in ("plotly.min.js", "figure.js", "palette.css", "mathjax/tex-chtml-full.js"):
        assert (static / name).is_file()
    assert "avf/mathjax/tex-chtml-full.js" in page(root)
    assert "plotly.min.js" not in page(root)


def test_an_unchanged_build_executes_nothing_and_a_changed_library_does(root: Path) -> None:
    before = page(root)
    said = toybook.build(root)
    assert said.startswith("exit code 0\n"), said
    assert "Executing notebook" not in said
    assert "executed ahead" not in said
    assert "0 added, 0 changed, 0 removed" in said
    assert page(root) == before

    toybook.write_library(root, 2.0)
    said = toybook.build(root)
    assert "executed ahead: toy-chapter.ipynb" in said, said
    assert 'data-value="4.0"' in page(root)


def test_gaps_fail_the_build(tmp_path: Path) -> None:
    broken = [
        (kind, source)
        for kind, source in toybook.CELLS
        if source not in (toybook.EQUATION, toybook.ROLL, "footer()")
    ]
    passing = [
        (kind, source.replace('raise NotImplementedError("your turn")', "return 2 * x"))
        for kind, source in broken
    ]
    bare = ("code", "import avfkit_widgets\ngo.Figure()")
    toybook.write_book(tmp_path, [*passing, bare])
    said = toybook.build(tmp_path)
    assert said.startswith("exit code 1\n"), said
    assert "WARNING: equation eq-inverse has 0 checks that ran, expected 1" in said
    assert "WARNING: ex-double: the scaffold must fail, and be checked" in said
    assert "WARNING: a plotly figure must be shown by figure(fig, alt=...), found 1 without" in said
    assert "WARNING: a chapter calls footer() once, found 0 calls" in said
