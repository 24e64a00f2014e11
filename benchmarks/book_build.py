"""How long the whole book takes to build: with nothing kept, and again when nothing has changed.

Claim: at most 10 minutes cold on two cores, and less than 10 seconds unchanged. Run from the
repository's root, with the extra `book`:

    python benchmarks/book_build.py
    python benchmarks/book_build.py --chapters notation filtering

What is timed is the command of `make book`, warnings as errors, in a copy of this tree that has no
`_build`: no executed chapter, no page, and nothing that JAX has compiled. The first build must
execute every chapter, those after it none. With `--chapters` only these are built, and warnings,
of references to the others, are none.

Writes `benchmarks/results/book_build.json`: seconds by the clock, and of the processor, of all
processes together.
"""

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import provenance, spread, write

ROOT, BIN = Path(__file__).parents[1], Path(sys.executable).parent
LEFT = shutil.ignore_patterns(".*", "_build", "__pycache__", "runs")
FOLDERS = ("avfkit", "widgets", "experiments", "book", "benchmarks", "results")


def copied(tree: Path, chapters: list[str]) -> None:
    """Copy what the book is made of, and keep only some chapters where some are chosen."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tree / folder, ignore=LEFT)
    for path in ROOT.glob("*.*"):
        if path.is_file():
            shutil.copy(path, tree)
    if chapters:
        lines = "".join(f"  - file: {name}\n" for name in chapters)
        text = f"format: jb-book\nroot: intro\nchapters:\n{lines}"
        (tree / "book" / "_toc.yml").write_text(text)


def build(tree: Path, *words: str) -> dict[str, float]:
    """Build the book of a tree: seconds by both clocks, and how many chapters were executed."""
    paths = (tree, tree / "widgets", tree / "experiments")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    command = [str(BIN / "jupyter-book"), "build", "book/", "-n", "--keep-going", *words]
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(command, cwd=tree, env=environment, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{' '.join(command)} failed")
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    wall = time.perf_counter() - began
    executed = len(re.findall(r"Executing notebook using|executed ahead:", done.stdout))
    found = {"wall_s": round(wall, 1), "processor_s": round(processor, 1), "executed": executed}
    print(found, flush=True)
    return found


def main() -> None:
    """Build once cold and some times unchanged, and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--chapters", nargs="+", default=[], help="beside the introduction")
    parser.add_argument("--rounds", type=int, default=3, help="builds after the first one")
    chosen = parser.parse_args()
    strict = [] if chosen.chapters else ["-W"]
    result: dict[str, Any] = {"claim": {"cold_minutes": 10, "unchanged_seconds": 10}}
    result["provenance"] = provenance("jupyter-book")
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve() / "tree"
        tree.mkdir()
        copied(tree, chosen.chapters)
        result["cold"] = build(tree, *strict)
        again = [build(tree, *strict) for _ in range(chosen.rounds)]
    assert result["cold"]["executed"] > 0, "no chapter was executed"
    assert not any(each["executed"] for each in again), "a chapter was executed again"
    clocks = ("wall_s", "processor_s")
    result["unchanged"] = {clock: spread([each[clock] for each in again], 1) for clock in clocks}
    write("book_build", result)


if __name__ == "__main__":
    main()
