"""Where the project lies on disk, and the fingerprint that decides what must run again."""

import hashlib
import os
import platform
from importlib import metadata
from pathlib import Path

_CALM = "--xla_cpu_multi_thread_eigen=false --xla_cpu_enable_concurrency_optimized_scheduler=false"
_PACKAGES = ("jax", "jaxlib", "numpy", "equinox", "optax", "plotly")
_SOURCES = (
    ("avfkit", "*.py"),
    ("widgets", "*.py"),
    ("widgets", "*.js"),
    ("widgets", "*.css"),
    ("widgets", "*.html"),
    ("results", "*.json"),
    ("benchmarks", "*.json"),
    ("benchmarks", "README.md"),
)

PAGE_ONLY: tuple[str, ...] = ("book.css", "figure.js", "mathjax")
"""Files of `static/` that pages load beside them and no cell sees."""


def project_root(start: Path | None = None) -> Path:
    """Find the folder that holds `_config.yml`.

    Args:
        start: where to begin; the working directory if None. Parents are searched.

    Returns:
        The project's root.

    Raises:
        FileNotFoundError: if neither `start` nor any parent holds `_config.yml`.
    """
    begin = (start or Path.cwd()).resolve()
    for folder in (begin, *begin.parents):
        if (folder / "_config.yml").is_file():
            return folder
    raise FileNotFoundError(f"start must lie in a folder with _config.yml, found {begin}")


def library_hash(root: Path) -> str:
    """Fingerprint everything, apart from a chapter's own code, that its numbers depend on.

    These are the Python sources of `avfkit/` and `widgets/`, the front end that widgets inline,
    `results/**/*.json`, `benchmarks/**/*.json` and the README beside them, `constraints.txt`, and
    the installed versions of Python and of the numerical packages. The files of `PAGE_ONLY` are not
    among them: no cell sees them.

    Args:
        root: the project's root.

    Returns:
        Twelve hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in _fingerprinted(root):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    digest.update(platform.python_version().encode())
    for name in _PACKAGES:
        digest.update(f"{name}={_version(name)}".encode())
    return digest.hexdigest()[:12]


def cache_folder(root: Path) -> Path:
    """Folder of the execution cache that belongs to the library as it is now.

    The cache itself recognises a chapter by its code only; so its folder carries the
    fingerprint of the library, and a changed library finds an empty folder.

    Args:
        root: the project's root.

    Returns:
        `root/_build/.jupyter_cache-<fingerprint>`; it need not exist yet.
    """
    return root / "_build" / f".jupyter_cache-{library_hash(root)}"


def _fingerprinted(root: Path) -> list[Path]:
    found = [p for folder, pattern in _SOURCES for p in (root / folder).rglob(pattern)]
    static = root / "widgets" / "avfkit_widgets" / "static"
    apart = {static / name for name in PAGE_ONLY}
    kept = [p for p in found if apart.isdisjoint((p, *p.parents))]
    constraints = root / "constraints.txt"
    return sorted(kept) + ([constraints] if constraints.is_file() else [])


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def calm_kernels() -> None:
    """Let the kernels that this process starts run XLA's CPU operations one after the other.

    On two cores two LAPACK calls on batches were seen to wait for each other for ever (JAX 0.10.2;
    `avfkit` avoids most of them, see its `_linalg`, but a chapter may call dynamax). An unattended
    execution had better be slower than stuck.
    """
    os.environ.setdefault("XLA_FLAGS", _CALM)


def keep_compiled(root: Path) -> None:
    """Let the kernels that this process starts keep what they compile for the next ones.

    Chapters compile many of the same functions, and a chapter that runs again compiles next to
    nothing. What is kept computes the same bits. JAX's own variables win: another folder in
    `JAX_COMPILATION_CACHE_DIR`, or none with `JAX_ENABLE_COMPILATION_CACHE=0`.

    Args:
        root: the project's root; the folder is `root/_build/.compiled`.
    """
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(root / "_build" / ".compiled"))
    # Below a tenth of a second, reading is no faster than compiling.
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
