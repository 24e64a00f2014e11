"""Commands: `python -m avfkit_widgets.book equations|exercises book/` and `... cache`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from avfkit_widgets.book._audit import (
    Promises,
    equation_gaps,
    exercise_gaps,
    outcome_gaps,
    read_book,
)
from avfkit_widgets.book._executed import html_outputs
from avfkit_widgets.book._project import cache_folder, project_root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words of the command line; those of this process if None.

    Returns:
        0, or 1 where a gap was found.
    """
    parser = argparse.ArgumentParser(prog="python -m avfkit_widgets.book", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("equations", "exercises"):
        commands.add_parser(name).add_argument("book", type=Path)
    commands.add_parser("cache")
    chosen = parser.parse_args(arguments)
    if chosen.command == "cache":
        print(cache_folder(project_root()))
        return 0
    promises = read_book(chosen.book)
    gaps = _equations(promises) if chosen.command == "equations" else _exercises(promises, chosen)
    for gap in gaps:
        print(f"gap: {gap}", file=sys.stderr)
    return 1 if gaps else 0


def _equations(promises: Promises) -> list[str]:
    mutants = {(c.chapter, c.label): c.mutant for c in promises.checks}
    for chapter, label, _ in promises.labels:
        print(f"{chapter}  {label}  mutant: {mutants.get((chapter, label))}")
    gaps = equation_gaps(promises)
    print(f"{len(promises.labels)} equations, {len(promises.checks)} checks, {len(gaps)} gaps")
    return gaps


def _exercises(promises: Promises, chosen: argparse.Namespace) -> list[str]:
    gaps = exercise_gaps(promises)
    root = project_root(chosen.book)
    for chapter in dict.fromkeys(chapter for chapter, _ in promises.exercises):
        outputs = html_outputs(chosen.book / chapter, cache_folder(root))
        gaps += [f"{chapter}: {gap}" for gap in outcome_gaps(outputs)]
    for chapter, name in promises.exercises:
        print(f"{chapter}  {name}")
    print(f"{len(promises.exercises)} exercises, {len(gaps)} gaps")
    return gaps


if __name__ == "__main__":
    sys.exit(main())
