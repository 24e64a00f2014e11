"""The scan explorer without a browser: its schedules, its elements, its words."""

import functools
import itertools
import re

import jax
import numpy as np
import pytest

from avfkit import kalman
from avfkit_widgets import ScanExplorer, _scan_table
from avfkit_widgets._scan_table import LENGTHS, WORKERS, last_round
from avfkit_widgets._schedules import Schedule, by_a_tree, one_by_one, tree_levels
from small_explorers import chain, scan_explorer


def gathered(schedule: Schedule, length: int) -> list[str]:
    """What each position holds in the end; a combination of steps that are no neighbours raises."""
    held = [(t, t) for t in range(length)]
    for pairs in schedule.rounds:
        found = [(j, held[i], held[j]) for i, j in pairs]
        assert len({j for _, j in pairs} | {i for i, _ in pairs}) == 2 * len(pairs)
        for j, earlier, later in found:
            assert earlier[1] + 1 == later[0]
            held[j] = (earlier[0], later[1])
    return [f"{first}-{last}" for first, last in held]


@pytest.mark.parametrize("length", LENGTHS)
def test_both_schedules_end_with_all_prefixes(length):
    whole = [f"0-{t}" for t in range(length)]
    assert gathered(one_by_one(length), length) == whole
    for workers in WORKERS:
        tree = by_a_tree(length, workers)
        assert gathered(tree, length) == whole
        assert max(map(len, tree.rounds)) <= workers
        assert tree.starts(len(tree.rounds), length) == [0] * length
        assert tree.starts(len(tree.rounds) - 1, length) != [0] * length
    unfinished = by_a_tree(length, 2)
    assert gathered(unfinished._replace(rounds=unfinished.rounds[:-1]), length) != whole


@pytest.mark.parametrize("length", LENGTHS)
def test_the_tree_is_that_of_jax(length):
    sizes = []

    def add(x, y):
        sizes.extend([len(x)] if len(x) else [])
        return x + y

    shape = jax.ShapeDtypeStruct((length,), float)
    jax.eval_shape(functools.partial(jax.lax.associative_scan, add), shape)
    assert [len(pairs) for pairs in tree_levels(length)] == sizes
    assert sum(sizes) == 2 * length - 2 - np.log2(length) == len(by_a_tree(length, 1).rounds)


def test_a_pause_is_paid_once_a_level():
    tree = by_a_tree(8, 2)
    assert tree.levels == [1, 1, 2, 3, 4, 5, 5]
    assert [tree.time(k, 10) for k in (0, 1, 2, 3, 99)] == [0, 11, 12, 23, 57]
    assert one_by_one(8).time(99, 10) == 77


def test_positions_hold_the_elements_of_their_steps():
    table = scan_explorer(entry=1).table
    elements, _ = _scan_table._walked(*table._given)
    single = [jax.tree.map(lambda leaf, t=t: leaf[t], elements) for t in range(16)]
    found = table.evaluate({})

    def mean(steps: slice) -> float:
        return float(functools.reduce(_scan_table._combine, single[steps]).bias[1])

    for level, t in itertools.product(range(5), range(16)):
        if (t + 1) % 2**level == 0:
            assert found["held"][level, t] == pytest.approx(mean(slice(t + 1 - 2**level, t + 1)))
    prefixes = [mean(slice(t + 1)) for t in range(16)]
    np.testing.assert_allclose(found["prefix"], prefixes, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["filter"], prefixes, rtol=1e-9, atol=1e-12)
    assert np.abs(found["held"][0] - found["filter"]).max() > 0.1


def test_what_was_done_and_what_it_takes_is_said():
    explorer = scan_explorer()
    table, arrays = explorer.table, explorer.table.tabulated(explorer._values())
    start = dict(length=8, workers=2, latency=10, round=2)
    gap = np.abs(arrays["held"][0] - arrays["filter"])[[2, 4, 6]]
    gap = max(*gap, *np.abs(arrays["held"][1] - arrays["filter"])[[3, 5, 7]])
    assert table.sentence(start, arrays) == (
        "After 2 rounds one by one has finished 3 of 8 prefixes and the tree, with 2 workers, 2; "
        f"its means are off by up to {gap:.{2 + (gap < 1)}f}. To the end the one needs 7 rounds "
        "and the other 7; with a pause of 10 before each level that is 77 and 57 combinations' "
        "time, the tree being 1.4 times as fast."
    )
    words = table.sentence(start | dict(workers=1, latency=0, round=99), arrays)
    assert words.startswith("After 11 rounds one by one has finished 8 of 8 prefixes")
    assert "with 1 worker, 8; its means are off by up to 0.000." in words
    assert words.endswith(
        "that is 7 and 11 combinations' time, one by one being 1.6 times as fast."
    )


def test_rounds_stay_within_what_both_ways_need():
    explorer = scan_explorer(workers=1, round=26)
    assert last_round(16, 1) == 26 and explorer.round == 26
    explorer.length = 8
    assert explorer.round == 11
    explorer.workers = 32
    assert explorer.round == 7
    assert scan_explorer().round == 7 == len(by_a_tree(16, 16).rounds)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ScanExplorer(*chain(7)), "potentials has 7 steps; expected at least 8."),
        (
            lambda: scan_explorer(entry=2),
            "entry is 2; expected 0 to 1, an entry of the latent.",
        ),
        (
            lambda: ScanExplorer(kalman.unrolled(chain(9)[0], 9), chain(18)[1]),
            "chain has 9 steps; expected 18, as potentials.",
        ),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()
