import itertools

import numpy as np
import pytest

from avfkit.data import moving_digits, moving_mnist
from avfkit.data._digits import _path, _Scene, _shares
from data.media import message_of

pytest.importorskip("sklearn")
SMALL = {"size": 16, "length": 12, "num_films": (4, 2, 3)}


def test_films_of_digits():
    splits = moving_digits(**SMALL)
    parts = (splits.train, splits.valid, splits.test)
    assert [len(d) for d in parts] == [4, 2, 3]
    assert {(d.obs_size, d.shape, *d.lengths) for d in parts} == {(256, (16, 16), *[12] * n)
                                                                  for n in (4, 2, 3)}  # fmt: skip
    x = np.concatenate([s[:] for d in parts for s in d.sequences])
    assert x.min() == 0 and 0.5 < x.max() <= 1 and 0.02 < x.mean() < 0.5
    assert splits.train.window == 1 / 256 and "CC BY 4.0" in splits.train.licence


def test_the_seed_decides_and_not_the_number_of_films():
    one, more = (moving_digits(**SMALL | {"num_films": (n, 1, 1)}, seed=3).train for n in (2, 5))
    np.testing.assert_array_equal(one.sequences[1][:], more.sequences[1][:])
    other = moving_digits(**SMALL, seed=4).train
    films = [*more.sequences, *other.sequences]
    assert not any(np.array_equal(a[:], b[:]) for a, b in itertools.combinations(films, 2))


def test_digits_keep_their_shape_and_add_up():
    alone = moving_digits(**SMALL, num_digits=1).train
    for film in alone.sequences:
        total = film[:].sum(1)
        np.testing.assert_allclose(total, total[0], rtol=1e-5)  # never leaves the picture
    crowd = moving_digits(**SMALL, num_digits=40).train.sequences[0][:]
    assert crowd.max() == 1 and crowd.mean() > 0.5


@pytest.mark.parametrize(("size", "digit_size"), [(64, 32), (16, 8), (20, 19), (3, 1)])
def test_paths_are_straight_between_walls_and_leave_them(size, digit_size):
    scene = _Scene(size, 1, 400, 0, digit_size)
    room, fastest = size - digit_size, max(size // 16, 1)
    path = _path(scene, np.random.default_rng(1))
    assert path.min() >= 0 and path.max() <= room
    assert (path.min(), path.max()) == (0, room)
    steps = np.diff(path, axis=0)
    assert np.abs(steps).max() == fastest
    turned = (steps[1:] != steps[:-1]).any(1)
    at_wall = ((path == 0) | (path == room)).any(1)
    assert not (turned & ~at_wall[1:-1] & ~at_wall[2:]).any()
    assert turned.any()


def test_velocities_after_a_wall_are_random():
    scene = _Scene(64, 1, 2000, 0, 32)
    steps = np.diff(_path(scene, np.random.default_rng(0)), axis=0)
    assert len({tuple(s) for s in steps}) > 30


def test_digits_of_the_parts_differ():
    images = np.arange(1797)
    parts = _shares(images)
    assert [len(p) for p in parts] == [1439, 179, 179]
    np.testing.assert_array_equal(np.concatenate(parts), images)
    assert [len(p) for p in _shares(np.arange(10_000))] == [8000, 1000, 1000]


def test_moving_mnist(data_folder):
    splits = moving_mnist(data_folder, **SMALL)
    assert [len(d) for d in (splits.train, splits.valid, splits.test)] == [4, 2, 3]
    assert splits.test.name == "moving MNIST (seed=0), test"
    assert 0.05 < splits.test.sequences[0][:].mean() < 0.5


BAD = {
    "size is 0, expected at least 1.": {"size": 0},
    "num_digits is 0, expected at least 1.": {"num_digits": 0},
    "length is -1, expected at least 1.": {"length": -1},
    "digit_size is 16, expected less than size, which is 16.": {"digit_size": 16},
    "digit_size is 0, expected at least 1.": {"size": 1},
    "seed is -1, expected 0 or more.": {"seed": -1},
    "num_films is (1, 0, 1), expected three numbers of at least 1.": {"num_films": (1, 0, 1)},
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input(message):
    assert message_of(ValueError, lambda: moving_digits(**SMALL | BAD[message])) == message
