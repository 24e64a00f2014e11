import numpy as np
import pytest

from avfkit.data import lds

SIZES = {"latent_size": 3, "obs_size": 5, "num_sequences": 4, "length": 20}


def make(**changes):
    return lds(**({"q": 0.1, "r": 1.0, "seed": 0} | SIZES | changes))


def test_shapes():
    data, truth = make()
    assert len(data) == 4 and {s.shape for s in data.sequences} == {(20, 5)}
    shapes = [a.shape for a in truth]
    assert shapes == [(3,), (3, 3), (3, 3), (3,), (3, 3), (5, 3), (5,), (5,), (4, 20, 3)]


@pytest.mark.parametrize("latent_size", [2, 3, 10])
def test_dynamics_turn_one_plane_by_a_twentieth_of_pi(latent_size):
    A = make(latent_size=latent_size)[1].A
    np.testing.assert_allclose(A @ A.T, np.eye(latent_size), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(A), 1)
    angles = np.sort(np.abs(np.angle(np.linalg.eigvals(A))))
    expected = [0] * (latent_size - 2) + [np.pi / 20] * 2
    np.testing.assert_allclose(angles, expected, atol=1e-7)


def test_one_dimension_is_a_random_walk():
    np.testing.assert_array_equal(make(latent_size=1)[1].A, [[1]])


def test_noise_has_the_stated_variances():
    data, truth = make(q=0.1, r=2.0, num_sequences=50, length=200)
    z, x = truth.latents, np.stack(data.sequences)
    steps = z[:, 1:] - z[:, :-1] @ truth.A.T - truth.b
    noise = x - z @ truth.C.T - truth.d
    # 30,000 and 50,000 draws: five standard errors of a variance are 4 % and 3 %
    np.testing.assert_allclose(np.cov(steps.reshape(-1, 3).T), truth.Q, atol=0.05 * 0.1)
    np.testing.assert_allclose(noise.reshape(-1, 5).var(0), truth.r, rtol=0.08)
    np.testing.assert_allclose(z[:, 0].mean(0), truth.m1, atol=5 * np.sqrt(0.1 / 50))


def test_parameters_are_standard_normal():
    draws = [make(seed=seed, num_sequences=1, length=1)[1] for seed in range(300)]
    for values in (np.stack([getattr(t, name) for t in draws]) for name in ("C", "d", "m1")):
        assert abs(values.mean()) < 5 / np.sqrt(values.size)
        assert abs(values.std() - 1) < 5 / np.sqrt(2 * values.size)


def test_covariances_are_as_given():
    truth = make(q=0.3, r=0.7)[1]
    np.testing.assert_array_equal(truth.P1, 0.3 * np.eye(3))
    np.testing.assert_array_equal(truth.Q, 0.3 * np.eye(3))
    np.testing.assert_array_equal(truth.r, [0.7] * 5)
    np.testing.assert_array_equal(truth.b, [0] * 3)


def test_seed_names_the_system_and_more_sequences_change_nothing():
    few, many = make(num_sequences=2), make(num_sequences=3)
    for a, b in zip(few[1][:-1], many[1][:-1], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(few[0].sequences[1], many[0].sequences[1])
    assert not np.array_equal(few[1].C, make(seed=1)[1].C)
    assert not np.array_equal(many[0].sequences[0], many[0].sequences[1])


BAD = {
    "q is 0.0; expected a positive finite variance.": {"q": 0.0},
    "q is nan; expected a positive finite variance.": {"q": float("nan")},
    "r is -1.0; expected a positive finite variance.": {"r": -1.0},
    "latent_size is 0, expected at least 1.": {"latent_size": 0},
    "obs_size is 0, expected at least 1.": {"obs_size": 0},
    "num_sequences is 0, expected at least 1.": {"num_sequences": 0},
    "length is -2, expected at least 1.": {"length": -2},
    "seed is -1, expected 0 or more.": {"seed": -1},
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input(message):
    with pytest.raises(ValueError) as error:
        make(**BAD[message])
    assert str(error.value) == message
