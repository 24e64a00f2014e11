import os
from pathlib import Path

import pytest

from avfkit_widgets.book import cache_folder, keep_compiled, library_hash, project_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one file of each kind."""
    for name in (
        "_config.yml",
        "constraints.txt",
        "avfkit/_types.py",
        "avfkit/nn/_heads.py",
        "widgets/avfkit_widgets/_explorer.py",
        "widgets/avfkit_widgets/static/explorer.js",
        "widgets/avfkit_widgets/static/explorer.css",
        "widgets/avfkit_widgets/static/figure.js",
        "widgets/avfkit_widgets/static/mathjax/tex.js",
        "results/a/b.json",
        "benchmarks/README.md",
        "book/chapter.ipynb",
        "README.md",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("constraints.txt", True),
        ("avfkit/_types.py", True),
        ("avfkit/nn/_heads.py", True),
        ("widgets/avfkit_widgets/_explorer.py", True),
        ("widgets/avfkit_widgets/static/explorer.js", True),
        ("widgets/avfkit_widgets/static/explorer.css", True),
        ("widgets/avfkit_widgets/static/mathjax/tex.js", False),
        ("results/a/b.json", True),
        ("benchmarks/README.md", True),
        ("widgets/avfkit_widgets/static/figure.js", False),
        ("book/chapter.ipynb", False),
        ("README.md", False),
    ],
)
def test_what_the_fingerprint_sees(root: Path, name: str, counts: bool) -> None:
    before = library_hash(root)
    assert library_hash(root) == before
    (root / name).write_text("2")
    assert (library_hash(root) != before) == counts
    (root / name).write_text("1")
    assert library_hash(root) == before


def test_a_moved_file_counts(root: Path) -> None:
    before = library_hash(root)
    (root / "avfkit/_types.py").rename(root / "avfkit/_kinds.py")
    assert library_hash(root) != before


def test_cache_folder_carries_the_fingerprint(root: Path) -> None:
    assert cache_folder(root) == root / "_build" / f".jupyter_cache-{library_hash(root)}"


def test_project_root(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert project_root(root / "avfkit" / "nn") == root
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with pytest.raises(FileNotFoundError) as error:
        project_root(elsewhere)
    assert str(error.value) == (
        f"start must lie in a folder with _config.yml, found {elsewhere.resolve()}"
    )


@pytest.mark.parametrize("told", [None, "elsewhere"])
def test_kernels_keep_what_they_compile(
    root: Path, monkeypatch: pytest.MonkeyPatch, told: str | None
) -> None:
    names = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")
    for name in names:
        monkeypatch.setenv(name, told or "")  # and set back afterwards
        if told is None:
            monkeypatch.delenv(name)
    keep_compiled(root)
    expected = [told] * 2 if told else [str(root / "_build" / ".compiled"), "0.1"]
    assert [os.environ[name] for name in names] == expected
