"""Dynamics that stay stable, whatever an optimizer does to their numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit.nn import DiagonalDynamics, FreeDynamics, RotationDynamics, StableDynamics
from avfkit.nn._dynamics import cayley

KEY = jr.key(0)
TURNS = [FreeDynamics, RotationDynamics, StableDynamics]


def moved(dynamics, size):
    """All trained numbers replaced by large random ones."""
    leaves, structure = jax.tree.flatten(dynamics)
    keys = jr.split(KEY, len(leaves))
    drawn = [size * jr.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    new = jax.tree.unflatten(structure, drawn)
    if hasattr(dynamics, "frame"):
        new = eqx.tree_at(lambda d: d.frame, new, dynamics.frame)
    return new


@pytest.mark.parametrize("kind", TURNS)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_turn_by_nine_degrees_in_one_plane(kind, size):
    matrix = kind.rotation(size, key=KEY).matrix
    radius = 1.0 if kind is FreeDynamics else 0.99
    np.testing.assert_allclose(matrix @ matrix.T, radius**2 * np.eye(size), atol=1e-12)
    angles = np.sort(np.abs(np.angle(np.linalg.eigvals(matrix))))
    expected = np.zeros(size)
    if size > 1:
        expected[-2:] = np.pi / 20
    np.testing.assert_allclose(angles, expected, atol=1e-7)


@pytest.mark.parametrize("kind", [RotationDynamics, StableDynamics])
@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("far", [0.1, 3.0])
def test_no_step_of_an_optimizer_leaves_the_stable_matrices(kind, size, far):
    matrix = moved(kind.rotation(size, key=KEY), far).matrix
    scales = np.linalg.svd(matrix)[1]
    assert scales.max() < 1.0 and scales.min() > 0.0
    if kind is RotationDynamics:
        np.testing.assert_allclose(scales, scales[0], rtol=1e-9)


def test_every_number_of_stable_dynamics_is_felt():
    dynamics = moved(StableDynamics.rotation(3, key=KEY), 0.5)
    jacobian = jax.jacobian(lambda d: d.matrix)(dynamics)
    numbers = (jacobian.left, jacobian.right, jacobian.unbounded)
    rows = jnp.concatenate([part.reshape(9, -1) for part in numbers], axis=1)
    assert np.linalg.matrix_rank(rows) == 9  # nine numbers, nine directions of a 3 x 3 matrix
    np.testing.assert_array_equal(jacobian.frame, 0.0)


def test_diagonal_dynamics_hold_rates_below_one():
    rates = jnp.array([0.99, -0.5])
    np.testing.assert_allclose(DiagonalDynamics.from_rates(rates).matrix, np.diag(rates))
    assert np.abs(np.diag(DiagonalDynamics(jnp.array([5.0, -5.0])).matrix)).max() < 1.0


def test_the_cayley_transform_is_a_rotation():
    matrix = cayley(jnp.array([0.3, -2.0, 0.7]), 3)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(matrix), 1.0)


def test_a_radius_outside_the_unit_interval_is_named():
    with pytest.raises(ValueError) as error:
        StableDynamics.rotation(2, radius=1.0, key=KEY)
    assert str(error.value) == "radius is 1.0; expected between 0 and 1."


def test_a_new_svae_model_is_the_authors():
    emission = avfkit.nn.LinearGaussian.from_parameters(np.ones((5, 3)), np.zeros(5), np.ones(5))
    model = avfkit.LDS.create(FreeDynamics.rotation(3, key=KEY), noise_var=0.5, emission=emission)
    chain = model.chain
    np.testing.assert_array_equal(chain.initial_mean, 0.0)
    np.testing.assert_array_equal(chain.initial_cov, np.eye(3))
    np.testing.assert_array_equal(chain.bias, 0.0)
    np.testing.assert_allclose(chain.noise_cov, 0.5 * np.eye(3))
    with pytest.raises(ValueError) as error:
        avfkit.LDS.create(FreeDynamics.rotation(3, key=KEY), noise_var=0.0, emission=emission)
    assert str(error.value) == "noise_var is 0.0; expected a positive variance."
