"""The ball's path and picture."""

import numpy as np
import pytest

from avfkit.data import bouncing_ball
from avfkit.data._ball import _draw


def test_the_path_is_the_one_found_by_stepping_from_wall_to_wall():
    truth = bouncing_ball(num_sequences=(6, 1, 1), length=150)[1].train
    for positions, velocities in zip(truth.positions, truth.velocities, strict=True):
        place, velocity = positions[0].copy(), velocities[0].copy()
        for expected, speed in zip(positions[1:], velocities[1:], strict=True):
            for _ in range(20):
                place += velocity * 0.02 / 20
                beyond = np.where(place < 2.5, 2.5 - place, np.minimum(21.5 - place, 0))
                place += 2 * beyond
                velocity = np.where(beyond != 0, -velocity, velocity)
            np.testing.assert_allclose(place, expected, atol=1e-9)
            np.testing.assert_allclose(velocity, speed, atol=1e-9)
        assert (np.diff(np.sign(velocities), axis=0) != 0).any()  # it did bounce


def test_walls_are_elastic_and_the_ball_stays_inside():
    truth = bouncing_ball(num_sequences=(200, 1, 1), length=200)[1].train
    speed = np.linalg.norm(truth.velocities, axis=-1)
    np.testing.assert_allclose(speed, np.broadcast_to(speed[:, :1], speed.shape))
    assert 25 <= speed.min() < 26 and 49 < speed.max() <= 50
    assert truth.positions.min() >= 2.5 and truth.positions.max() <= 21.5
    for moment in (truth.positions[:, 0], truth.positions[:, -1]):  # uniform, and it stays so
        np.testing.assert_allclose(moment.mean(0), 12, atol=5 * 19 / np.sqrt(12 * 200))
    direction = truth.velocities[:, 0] / speed[:, :1]
    assert (np.abs(direction.mean(0)) < 5 / np.sqrt(2 * 200)).all()


@pytest.mark.parametrize("place", [(12.0, 12.0), (5.3, 18.7), (2.5, 21.5), (9.75, 3.1)])
def test_a_frame_is_the_coverage_of_the_disc_right_then_down(place):
    fine = (np.arange(24 * 16) + 0.5) / 16
    disc = np.hypot(fine - place[0], fine[:, None] - place[1]) < 2.5
    share = disc.reshape(24, 16, 24, 16).mean((1, 3))
    found = _draw(np.array([place])).reshape(24, 24)
    np.testing.assert_allclose(found, share, atol=0.15)
    np.testing.assert_allclose(found.sum(), np.pi * 2.5**2, rtol=0.03)
