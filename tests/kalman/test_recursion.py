"""The linear recursion against a loop, in both directions, and its derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avfkit.kalman._recursion import accumulated, spread


def looped(left, right, terms, reverse):
    """The recursion as it is written."""
    found = [terms[-1 if reverse else 0]]
    for t in range(1, len(terms)):
        if reverse:
            found.append(left[-t].T @ found[-1] @ right[-t] + terms[-1 - t])
        else:
            found.append(left[t] @ found[-1] @ right[t].T + terms[t])
    return jnp.stack(found[::-1] if reverse else found)


@pytest.mark.parametrize("reverse", [False, True])
def test_equals_a_loop_and_so_do_its_derivatives(reverse):
    rng = np.random.default_rng(0)
    shapes = ((4, 2, 2), (4, 3, 3), (4, 2, 3))
    arrays = tuple(jnp.array(rng.normal(size=shape)) for shape in shapes)
    towards = tuple(jnp.array(rng.normal(size=shape)) for shape in shapes)

    def fast(left, right, terms):
        return jnp.sum(jnp.sin(accumulated((left, right), terms, reverse=reverse)))

    def slow(left, right, terms):
        return jnp.sum(jnp.sin(looped(left, right, terms, reverse)))

    @jax.jit
    def derivatives(*arrays):
        every = []
        for total in (fast, slow):
            gradient = jax.grad(total, (0, 1, 2))
            slope, curve = jax.jvp(total, arrays, towards)[1], jax.jvp(gradient, arrays, towards)[1]
            every.append((total(*arrays), gradient(*arrays), slope, curve))
        return every

    one, other = derivatives(*arrays)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    changed = [array.at[0].set(9.0) for array in arrays[:2]]
    np.testing.assert_allclose(fast(*changed, arrays[2]), fast(*arrays), atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
def test_weights_may_be_affine_maps(reverse):
    rng = np.random.default_rng(3)
    maps, terms = (jnp.array(rng.normal(size=(4, 2, 3))) for _ in range(2))
    right = jnp.concatenate([maps, jnp.tile(jnp.array([[0.0, 0.0, 1.0]]), (4, 1, 1))], axis=1)

    def fast(maps, terms):
        return jnp.sum(jnp.sin(accumulated((maps, maps), terms, reverse=reverse)))

    def slow(maps, terms):
        whole = jnp.concatenate([maps, right[:, 2:]], axis=1)
        return jnp.sum(jnp.sin(looped(maps[..., :2], whole, terms, reverse)))

    found = accumulated((maps, maps), terms, reverse=reverse)
    expected = looped(maps[..., :2], right, terms, reverse)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert not np.allclose(found, looped(maps[..., :2], right, terms, not reverse))
    for a, b in zip(*(jax.grad(f, (0, 1))(maps, terms) for f in (fast, slow)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_vectors_need_no_right_weights():
    rng = np.random.default_rng(1)
    left, terms = jnp.array(rng.normal(size=(4, 2, 2))), jnp.array(rng.normal(size=(4, 2, 1)))
    expected = looped(left, jnp.ones((4, 1, 1)), terms, False)
    np.testing.assert_allclose(accumulated((left, None), terms), expected, atol=1e-12)
    with pytest.raises(AssertionError):
        wrong = looped(jnp.swapaxes(left, 1, 2), jnp.ones((4, 1, 1)), terms, False)
        np.testing.assert_allclose(accumulated((left, None), terms), wrong, atol=1e-12)


def test_covariances_and_their_derivatives():
    rng = np.random.default_rng(2)
    left, root, *towards = (jnp.array(rng.normal(size=(4, 3, 3))) for _ in range(4))

    def symmetric_part(left, terms):
        found = looped(left, left, terms, False)
        return 0.5 * (found + jnp.matrix_transpose(found))

    @jax.jit
    def derivatives(left, root):
        every = []
        for recursion in (spread, symmetric_part):

            def total(left, root, recursion=recursion):
                covariances = root @ jnp.matrix_transpose(root)
                return jnp.sum(jnp.sin(recursion(left, covariances)))

            slope = jax.jvp(total, (left, root), tuple(towards))[1]
            every.append((total(left, root), jax.grad(total, (0, 1))(left, root), slope))
        return every

    one, other = derivatives(left, root)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
