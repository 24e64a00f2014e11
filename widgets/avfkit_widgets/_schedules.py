"""Two schedules for all prefixes of a sequence: one by one, and by a tree.

Position t begins with what step t gives alone and ends with the combination of steps 1 to t. The
same rounds are written in `static/table_scan.js`.
"""

from typing import NamedTuple, TypeAlias

Pairs: TypeAlias = list[tuple[int, int]]


class Schedule(NamedTuple):
    """What is combined in each round, and which rounds follow a pause.

    Attributes:
        rounds: pairs (i, j), from 0: position j takes the combination of what i and j hold.
        levels: the level that each round belongs to, from 1; before a level all workers wait.
    """

    rounds: list[Pairs]
    levels: list[int]

    def starts(self, count: int, length: int) -> list[int]:
        """The first step, from 0, that each position has gathered after `count` rounds."""
        first = list(range(length))
        for pairs in self.rounds[:count]:
            for j, start in [(j, first[i]) for i, j in pairs]:
                first[j] = start
        return first

    def time(self, count: int, latency: int) -> int:
        """How long `count` rounds and the pauses before them take, in combinations."""
        done = min(count, len(self.rounds))
        return done + latency * (self.levels[done - 1] if done else 0)


def one_by_one(length: int) -> Schedule:
    """A step after the other: one worker, and a pause before each step."""
    rounds = [[(j - 1, j)] for j in range(1, length)]
    return Schedule(rounds, list(range(1, length)))


def by_a_tree(length: int, workers: int) -> Schedule:
    """Up the tree, in pairs of pairs, and down again to the positions that were skipped.

    A level takes as many rounds as `workers` need for its combinations; `length` is a power of two.
    """
    rounds, levels = [], []
    for level, pairs in enumerate(tree_levels(length), 1):
        for start in range(0, len(pairs), workers):
            rounds.append(pairs[start : start + workers])
            levels.append(level)
    return Schedule(rounds, levels)


def tree_levels(length: int) -> list[Pairs]:
    """The combinations of each level, as many at once as there are."""
    found, gap = [], 1
    while 2 * gap <= length:
        found.append([(j - gap, j) for j in range(2 * gap - 1, length, 2 * gap)])
        gap *= 2
    while gap > 1:
        gap //= 2
        found.append([(j - gap, j) for j in range(3 * gap - 1, length, 2 * gap)])
    return [pairs for pairs in found if pairs]
