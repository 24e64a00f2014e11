"""The pendulum's physics and pictures, against independent ones."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from avfkit.data import pendulum
from avfkit.data._pendulum import _draw, _swing


def swing(angle, length, kicks=None):
    kicks = np.zeros((1, length - 1, 2)) if kicks is None else kicks
    return (path[0] for path in _swing(np.array([angle]), kicks))


def independent(state, seconds):
    def law(_, s):
        return [s[1], -3 * 9.81 / 1.0 * np.sin(s[0]) - 0.1 * s[1]]

    span = (0.0, seconds[-1])
    return solve_ivp(law, span, state, t_eval=seconds, rtol=1e-10, atol=1e-10).y


@pytest.mark.parametrize("angle", [-2.5, -0.3, 0.0, 1.0, 2.0])
def test_without_kicks_it_is_the_damped_pendulum(angle):
    expected = independent([angle, 0.0], 0.02 * np.arange(100))
    angles, velocities = swing(angle, 100)
    # Euler's steps of h = 1e-4 s are off by about h c / 2 = 1.5e-3 rad/s in the velocity
    np.testing.assert_allclose(angles, expected[0], atol=2e-3)
    np.testing.assert_allclose(velocities, expected[1], atol=1e-2)


def test_friction_takes_energy_and_nothing_else_does():
    angles, velocities = swing(2.0, 100)
    energy = velocities**2 / 2 - 29.43 * np.cos(angles)
    slack = 0.03  # Euler's energy is off by h v c sin / 2, at most
    assert (np.diff(energy) < slack).all()
    fine = independent([2.0, 0.0], np.linspace(0, 1.98, 20_000))
    lost = 0.1 * np.trapezoid(fine[1] ** 2, np.linspace(0, 1.98, 20_000))
    np.testing.assert_allclose(energy[0] - energy[-1], lost, atol=slack)
    assert lost > 1


def test_a_kick_changes_the_velocity_after_its_hundredth_of_a_second():
    kicks = np.zeros((1, 2, 2))
    kicks[0, 0] = [0.5, -0.25]
    before = independent([1.0, 0.0], np.array([0, 0.01]))[:, -1]
    between = independent(before + [0, 0.5], np.array([0, 0.01]))[:, -1]
    angles, velocities = swing(1.0, 3, kicks)
    np.testing.assert_allclose(angles[1], between[0], atol=1e-4)
    np.testing.assert_allclose(velocities[1], between[1] - 0.25, atol=5e-3)
    after = independent(between + [0, -0.25], np.array([0, 0.02]))[:, -1]
    np.testing.assert_allclose(angles[2], after[0], atol=2e-4)


def test_starts_are_uniform_at_rest_and_kicks_have_their_size():
    truth = pendulum(num_sequences=(1000, 1, 1), length=2)[1].train
    assert (truth.velocities[:, 0] == 0).all()
    start = truth.angles[:, 0]
    assert start.min() < -3 and start.max() > 3 and np.abs(start).max() <= np.pi
    assert abs(np.exp(1j * start).mean()) < 3 / np.sqrt(1000)
    quiet = _swing(start, np.zeros((1000, 1, 2)))[1][:, 1]
    kicks = (truth.velocities[:, 1] - quiet) / np.sqrt(2 * 0.1**2)
    assert abs(kicks.mean()) < 5 / np.sqrt(1000) and abs(kicks.std() - 1) < 5 / np.sqrt(2000)


def test_angles_are_unwrapped():
    truth = pendulum(num_sequences=(100, 1, 1))[1].train
    steps = np.diff(truth.angles)
    assert np.abs(truth.angles).max() > np.pi  # some go over the top
    assert np.abs(steps).max() < 0.4
    trapezia = 0.01 * (truth.velocities[:, 1:] + truth.velocities[:, :-1])
    np.testing.assert_allclose(steps, trapezia, atol=5e-3)
    # the authors' training data: 0.0094, by other seeds
    np.testing.assert_allclose(steps.var(), 0.0094, rtol=0.15)


def test_pixels_have_the_statistics_of_the_authors_data():
    """Mean 0.027, standard deviation 0.142, 4.7 % above 0.05; their filter rings a little."""
    frames = pendulum(num_sequences=(100, 1, 1))[1].train.frames
    assert frames.min() == 0 and frames.max() == 1
    np.testing.assert_allclose(frames.mean(), 0.027, atol=0.0005)
    np.testing.assert_allclose(frames.std(), 0.142, atol=0.003)
    np.testing.assert_allclose((frames > 0.05).mean(), 0.047, atol=0.002)


@pytest.mark.parametrize("angle", np.linspace(-3.1, 3.1, 12))
def test_a_frame_is_the_coverage_of_the_rod(angle):
    fine = (np.arange(24 * 16) + 0.5) / 16 - 12
    right, down = fine, fine[:, None]
    along = right * np.sin(angle) + down * np.cos(angle)
    across = right * np.cos(angle) - down * np.sin(angle)
    rod = (along > 0) & (along < 55 * 24 / 128) & (np.abs(across) < 4 * 24 / 128)
    share = rod.reshape(24, 16, 24, 16).mean((1, 3))
    found = _draw(np.array([angle])).reshape(24, 24)
    np.testing.assert_allclose(found, share, atol=0.15)
    assert np.sqrt(((found - share) ** 2).mean()) < 0.02
    np.testing.assert_allclose(found.sum(), share.sum(), rtol=0.02)


PLACES = {0.0: (17, 12), np.pi: (7, 12), np.pi / 2: (12, 17), -np.pi / 2: (12, 7)}


@pytest.mark.parametrize("angle", PLACES)
def test_zero_hangs_down_and_positive_is_to_the_right(angle):
    frame = _draw(np.array([angle])).reshape(24, 24)
    rows, columns = np.mgrid[:24, :24]
    centre = [(frame * axis).sum() / frame.sum() + 0.5 for axis in (rows, columns)]
    np.testing.assert_allclose(centre, PLACES[angle], atol=0.2)
