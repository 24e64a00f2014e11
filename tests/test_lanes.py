"""Small matrices with the batch last, against LAPACK and against loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avfkit._lanes import factors, lanes_last, product, solve_lower

SIZES = [1, 3, 13]  # written out, and above that by halves or a loop


def covariances(size, lanes=2):
    root = np.random.default_rng(size).normal(size=(lanes, size, size))
    return root @ np.swapaxes(root, 1, 2) + 0.1 * np.eye(size)


@pytest.mark.parametrize("size", SIZES)
def test_factors_and_solutions(size):
    matrices = covariances(size)
    expected = np.linalg.cholesky(matrices)
    values = np.random.default_rng(1).normal(size=(2, size, 2))

    @jax.jit
    def everything(matrix, values):
        factor, inverse = factors(matrix)
        lopsided = factor + jnp.triu(jnp.full((size, size), 7.0), 1)[..., None]
        return factor, solve_lower(lopsided, values), inverse

    found = everything(np.moveaxis(matrices, 0, -1), np.moveaxis(values, 0, -1))
    factor, solved, inverse = (np.moveaxis(np.asarray(part), -1, 0) for part in found)
    np.testing.assert_allclose(factor, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(solved, np.linalg.solve(expected, values), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(inverse, np.linalg.inv(expected), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("axes", [(0, None), (None, 0)])
def test_one_lane_meets_many(size, axes):
    scales = np.linalg.cholesky(covariances(size))
    values = np.random.default_rng(1).normal(size=(2, size, 2))
    parts = [
        part if axis == 0 else part[0] for part, axis in zip((scales, values), axes, strict=True)
    ]
    found = jax.jit(jax.vmap(lanes_last(solve_lower), axes))(*map(jnp.array, parts))
    scales, values = (
        part if axis == 0 else part[:1] for part, axis in zip((scales, values), axes, strict=True)
    )
    np.testing.assert_allclose(found, np.linalg.solve(scales, values), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("size", [2, 13])
def test_pivots_below_the_least_are_lifted_and_zeros_give_zeros(size):
    flat = np.diag([4.0, 0.0, 9.0, *[1.0] * size][:size])[..., None]
    factor, inverse = factors(jnp.array(flat), least=0.0)
    np.testing.assert_array_equal(factor, np.sqrt(flat))
    np.testing.assert_allclose(inverse[..., 0], np.linalg.pinv(factor[..., 0]), rtol=1e-12)
    lifted = factors(jnp.array(flat), least=1.0)[1][..., 0]
    np.testing.assert_allclose(lifted[1, 1], 1.0, rtol=1e-12)
    assert np.isinf(np.asarray(solve_lower(jnp.array(flat), jnp.array(flat)))).sum() == 0
    assert not np.isfinite(np.asarray(factors(-jnp.array(flat))[0])).all()


@pytest.mark.parametrize("lanes", [1, 5, 200])
def test_products_of_few_and_of_many_lanes(lanes):
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(3, 5, lanes)), rng.normal(size=(5, 4, 1))
    expected = np.einsum("ikl,kj->ijl", left, right[..., 0])
    np.testing.assert_allclose(product(jnp.array(left), jnp.array(right)), expected, atol=1e-12)


def test_every_vmap_adds_lanes_to_one_call():
    shapes = []

    def recording():  # anew each time: what JAX has traced before it does not trace again
        @lanes_last
        def combined(a, b):
            shapes.append((a.shape, b.shape))
            return {"product": product(a, b), "first": a + 0.0}

        return jax.vmap(combined, (0, None))

    rng = np.random.default_rng(0)
    a, b = jnp.array(rng.normal(size=(4, 2, 2))), jnp.array(rng.normal(size=(3, 2, 2)))
    found = jax.jit(jax.vmap(recording(), (None, 0)))(a, b)
    assert shapes[-1] == ((2, 2, 12), (2, 2, 12))
    np.testing.assert_allclose(found["product"], np.einsum("nij,mjk->mnik", a, b), atol=1e-12)
    np.testing.assert_array_equal(found["first"], np.broadcast_to(a, (3, 4, 2, 2)))
    once = jax.jit(recording())(a, b[0])
    assert shapes[-1] == ((2, 2, 4), (2, 2, 1))
    np.testing.assert_allclose(once["product"], found["product"][0], atol=1e-12)
