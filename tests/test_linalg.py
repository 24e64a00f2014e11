"""Small matrices without LAPACK, against LAPACK."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.linalg import solve_triangular

from avfkit._linalg import cholesky, coloured, follow, led, solve_lower

SIZES = [1, 2, 3, 7, 16]


def covariance(size, seed=0):
    root = np.random.default_rng(seed).normal(size=(size, size))
    return jnp.array(root @ root.T + 0.1 * np.eye(size))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("columns", [(), (4,)])
def test_solutions(size, columns):
    scale = jnp.linalg.cholesky(covariance(size)) + jnp.triu(jnp.full((size, size), 7.0), 1)
    values = jnp.array(np.random.default_rng(1).normal(size=(size, *columns)))
    expected = solve_triangular(scale, values, lower=True)
    np.testing.assert_allclose(solve_lower(scale, values), expected, rtol=1e-9, atol=1e-12)

    def total(solve, scale, values):
        return jnp.sum(jnp.sin(solve(scale, values)))

    lapack = jax.grad(lambda *a: total(lambda s, v: solve_triangular(s, v, lower=True), *a), (0, 1))
    ours = jax.grad(lambda *a: total(solve_lower, *a), (0, 1))
    for a, b in zip(ours(scale, values), lapack(scale, values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_factors(size):
    matrix = covariance(size)
    np.testing.assert_allclose(cholesky(matrix), jnp.linalg.cholesky(matrix), rtol=1e-9, atol=1e-12)

    def total(factor, root):  # of the symmetric matrices, where the derivatives are defined
        return jnp.sum(jnp.sin(factor(root @ root.T + jnp.eye(size))))

    root = jnp.array(np.random.default_rng(2).normal(size=(size, size)))
    ours, lapack = (jax.grad(total, 1)(f, root) for f in (cholesky, jnp.linalg.cholesky))
    np.testing.assert_allclose(ours, lapack, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_coloured_noise_and_its_derivatives(size):
    matrix, noise = covariance(size), jnp.array(np.random.default_rng(4).normal(size=size))
    root = jnp.array(np.random.default_rng(5).normal(size=(size, size)))
    towards = root + 1.0, noise - 2.0

    def total(function, root, noise):
        return jnp.sum(jnp.sin(function(root @ root.T + matrix, noise)))

    ours = partial(total, coloured)
    plain = partial(total, lambda c, e: jnp.linalg.cholesky(c) @ e)
    for derivative in (
        lambda f: f(root, noise),
        lambda f: jax.grad(f, (0, 1))(root, noise),
        lambda f: jax.jvp(f, (root, noise), towards)[1],
        lambda f: jax.jvp(jax.grad(f, (0, 1)), (root, noise), towards)[1],
    ):
        for a, b in zip(*(jax.tree.leaves(derivative(f)) for f in (ours, plain)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)
    singular = jnp.zeros((size, size)).at[0, 0].set(4.0)
    np.testing.assert_allclose(coloured(singular, noise), 2.0 * noise.at[1:].set(0.0))
    assert np.isfinite(jax.grad(lambda c: jnp.sum(coloured(c, noise)))(singular)).all()


@pytest.mark.parametrize("size", [3, 7])
def test_products_of_tangents_are_products(size):
    rng = np.random.default_rng(3)
    matrix, change, towards = (jnp.array(rng.normal(size=(2, size, size))) for _ in range(3))
    for ours, plain in (
        (lambda x: led(matrix, x), lambda x: matrix @ x),
        (lambda x: follow(x, matrix), lambda x: x @ jnp.matrix_transpose(matrix)),
    ):
        np.testing.assert_allclose(ours(change), plain(change), rtol=1e-12, atol=1e-12)
        (found,), (expected,) = (jax.vjp(f, change)[1](towards) for f in (ours, plain))
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
        assert not np.allclose(found, matrix @ towards)


def test_what_is_no_covariance_becomes_nan():
    assert not np.isfinite(cholesky(jnp.array([[1.0, 2.0], [2.0, 1.0]]))).all()


def test_a_batch_calls_no_lapack():
    def both(matrix):
        scale = cholesky(matrix)
        return solve_lower(scale, matrix)

    batch = jnp.stack([covariance(3, seed) for seed in range(5)])
    text = jax.jit(jax.vmap(both)).lower(batch).as_text()
    assert "custom_call" not in text
