"""The parallel scan against the sequential walk, chains that vary with time, and float32."""

from functools import partial

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.scipy.linalg import block_diag
from jax.test_util import check_grads
from scipy.linalg import cho_solve_banded, cholesky_banded

import avfkit
from avfkit import kalman
from avfkit.kalman._method import is_parallel

METHODS = ("sequential", "parallel")
SHAPES = [(1, 1), (2, 7), (3, 33), (16, 5)]


def random_chain(seed, size, length, dtype=float):
    """A time-varying chain with full covariances."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(length, size, size)))[0]
    root = rng.normal(size=(length, size, size)) / np.sqrt(size)
    noise = root @ np.swapaxes(root, 1, 2) + 0.1 * np.eye(size)
    arrays = (0.95 * rotation, rng.normal(size=(length, size)), noise)
    return kalman.Conditionals(*(jnp.array(array, dtype) for array in arrays))


def random_potentials(seed, size, length, missing=0.3, dtype=float):
    """Full potentials of some rank, some of them missing."""
    rng = np.random.default_rng(seed + 1)
    root = rng.normal(size=(length, size, max(size - 1, 1)))
    seen = rng.uniform(size=length) >= missing
    precision = jnp.array(root @ np.swapaxes(root, 1, 2), dtype)
    return kalman.full_potentials(
        jnp.array(rng.normal(size=(length, size)), dtype), precision, jnp.array(seen)
    )


def dense(chain, potentials):
    """Mean, covariance and log-normaliser of the whole path, by one matrix of all latents."""
    length, size = chain.bias.shape
    weights = np.eye(length * size)
    for t in range(1, length):
        here, before = slice(t * size, (t + 1) * size), slice((t - 1) * size, t * size)
        weights[here] += chain.dynamics[t] @ weights[before]
    noise, precision = np.zeros_like(weights), np.zeros_like(weights)
    for t in range(length):
        here = slice(t * size, (t + 1) * size)
        noise[here, here], precision[here, here] = chain.noise_cov[t], potentials.precision[t]
    prior_mean, prior = weights @ np.ravel(chain.bias), weights @ noise @ weights.T
    factor = np.eye(len(prior)) + prior @ precision
    cov = np.linalg.solve(factor, prior)
    residual = np.ravel(potentials.linear) - precision @ prior_mean
    log_z = 0.5 * residual @ cov @ residual + np.ravel(potentials.linear) @ prior_mean
    log_z -= 0.5 * prior_mean @ precision @ prior_mean + 0.5 * np.linalg.slogdet(factor)[1]
    return prior_mean + cov @ residual, cov, log_z + np.sum(potentials.log_scale)


def banded(chain, potentials):
    """Mean and covariances of the whole path and log Z, by a banded matrix of all its latents.

    For chains too long for `dense`; the noise has to be positive definite.
    """
    length, size = chain.bias.shape
    (slopes, biases, noises), (own, linear, log_scale) = jax.tree.map(
        np.asarray, (chain, potentials)
    )
    inverse = np.linalg.inv(noises)
    blocks = np.zeros((length, 2, size, size))  # on the diagonal, and the one below
    blocks[:, 0] = inverse + own
    after = np.swapaxes(slopes[1:], 1, 2) @ inverse[1:]
    blocks[:-1, 0] += after @ slopes[1:]
    blocks[:-1, 1] = -np.swapaxes(after, 1, 2)
    bands = np.zeros((2 * size, length * size))
    for j in range(size):
        column = np.concatenate([blocks[:, 0, j:, j], blocks[:, 1, :, j]], axis=1)
        bands[: 2 * size - j, j::size] = column.T
    force = np.einsum("tij,tj->ti", inverse, biases)
    constant = -0.5 * np.sum(force * biases) - 0.5 * np.sum(np.linalg.slogdet(noises)[1])
    force[:-1] -= np.einsum("tij,tj->ti", after, biases[1:])
    factor = cholesky_banded(bands, lower=True)
    mean = cho_solve_banded((factor, True), np.ravel(force + linear))
    log_z = constant + 0.5 * np.ravel(force + linear) @ mean - np.sum(np.log(factor[0]))

    def columns(t):
        """The columns of the covariance that belong to step t."""
        right = np.zeros((length * size, size))
        right[t * size : (t + 1) * size] = np.eye(size)
        return cho_solve_banded((factor, True), right).reshape(length, size, size)

    return mean.reshape(length, size), columns, log_z + np.sum(log_scale)


def everything(chain, potentials, method):
    """All that message passing gives, in one tree."""
    path = kalman.conditionals(chain, potentials, method=method)
    return (
        kalman.filter(chain, potentials, method=method),
        kalman.smoother(chain, potentials, method=method),
        kalman.log_normaliser(chain, potentials, method=method),
        path,
        kalman.sample(path, key=jr.key(0), method=method),
        kalman.divergence(path, chain, method=method),
    )


everything_jit = jax.jit(everything, static_argnums=2)


@partial(jax.jit, static_argnums=2)
def summaries(chain, potentials, method):
    """What the dense Gaussian is compared with."""
    smoothed = kalman.smoother(chain, potentials, method=method)
    filtered = kalman.filter(chain, potentials, method=method)
    return filtered, smoothed, kalman.log_normaliser(chain, potentials, method=method)


@settings(max_examples=12, deadline=None)
@given(
    shape=st.sampled_from(SHAPES),
    seed=st.integers(0, 1000),
    missing=st.sampled_from([0.0, 0.4, 1.0]),
)
def test_both_methods_equal_the_dense_gaussian(shape, seed, missing):
    size, length = shape
    chain = random_chain(seed, size, length)
    potentials = random_potentials(seed, size, length, missing)
    mean, cov, log_z = dense(chain, potentials)
    for method in METHODS:
        filtered, smoothed, log_normaliser = summaries(chain, potentials, method)
        np.testing.assert_allclose(filtered.log_likelihood.sum(), log_z, rtol=0, atol=1e-9)
        np.testing.assert_allclose(log_normaliser, log_z, rtol=0, atol=1e-9)
        np.testing.assert_allclose(np.ravel(smoothed.mean), mean, rtol=0, atol=1e-9)
        for t in range(length):
            here, after = slice(t * size, (t + 1) * size), slice((t + 1) * size, (t + 2) * size)
            np.testing.assert_allclose(smoothed.cov[t], cov[here, here], rtol=0, atol=1e-9)
            if t + 1 < length:
                found = smoothed.cross_cov[t]
                np.testing.assert_allclose(found, cov[after, here], rtol=0, atol=1e-9)


def embedded(chain, potentials, size=16, length=2_000):
    """The same chain inside one of other latents, apart from it, and of more steps, all missing.

    So one compiled program serves chains of every size and length.
    """
    steps, inner = chain.bias.shape
    dynamics, noise = np.zeros((length, size, size)), np.tile(np.eye(size), (length, 1, 1))
    precision, shift, linear = np.zeros_like(dynamics), *np.zeros((2, length, size))
    log_scale, inside = np.zeros(length), (slice(steps), slice(inner), slice(inner))
    dynamics[inside], noise[inside], precision[inside] = *chain[::2], potentials.precision
    shift[inside[:2]], linear[inside[:2]] = chain.bias, potentials.linear
    log_scale[:steps] = potentials.log_scale
    walked = kalman.Conditionals(*map(jnp.array, (dynamics, shift, noise)))
    return walked, kalman.Potentials(*map(jnp.array, (precision, linear, log_scale)))


@settings(max_examples=8, deadline=None)
@given(
    size=st.integers(1, 16),
    length=st.integers(1, 2_000),
    seed=st.integers(0, 1000),
    missing=st.sampled_from([0.0, 0.4, 1.0]),
)
def test_any_size_and_length_equals_one_sparse_gaussian(size, length, seed, missing):
    chain = random_chain(seed, size, length)
    potentials = random_potentials(seed, size, length, missing)
    mean, columns, log_z = banded(chain, potentials)
    for method in METHODS:
        filtered, smoothed, log_normaliser = summaries(*embedded(chain, potentials), method)
        np.testing.assert_allclose(log_normaliser, log_z, rtol=1e-12, atol=1e-9)
        found = np.sum(filtered.log_likelihood[:length])
        np.testing.assert_allclose(found, log_z, rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(smoothed.mean[:length, :size], mean, rtol=0, atol=1e-9)
        last = filtered.cov[length - 1, :size, :size]
        np.testing.assert_allclose(last, columns(length - 1)[-1], rtol=0, atol=1e-9)
        for t in {0, length // 2, length - 1}:
            here = smoothed.cov[t, :size, :size]
            np.testing.assert_allclose(here, columns(t)[t], rtol=0, atol=1e-9)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2000)])
@pytest.mark.parametrize(("seed", "missing"), [(0, 0.3), (1, 0.0), (2, 1.0)])
def test_parallel_equals_sequential_and_one_sparse_gaussian(shape, seed, missing):
    size, length = shape
    chain = random_chain(seed, size, length)
    potentials = random_potentials(seed, size, length, missing)
    results = [everything_jit(chain, potentials, method) for method in METHODS]
    for a, b in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)
    filtered, smoothed = results[0][:2]
    mean, columns, log_z = banded(chain, potentials)
    np.testing.assert_allclose(smoothed.mean, mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(results[0][2], log_z, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(filtered.cov[-1], columns(length - 1)[-1], rtol=0, atol=1e-9)
    for t in {0, length // 2, length - 1}:
        cov = columns(t)
        np.testing.assert_allclose(smoothed.cov[t], cov[t], rtol=0, atol=1e-9)
        if t + 1 < length:
            np.testing.assert_allclose(smoothed.cross_cov[t], cov[t + 1], rtol=0, atol=1e-9)


def test_parallel_equals_sequential_in_every_gradient():
    chain, potentials = random_chain(0, 3, 6), random_potentials(0, 3, 6)

    def total(chain, potentials, method):
        leaves = jax.tree.leaves(everything(chain, potentials, method))
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in leaves)

    gradient = jax.jit(jax.grad(total, (0, 1)), static_argnums=2)
    for one, other in zip(*(gradient(chain, potentials, m) for m in METHODS), strict=True):
        for name, a, b in zip(one._fields, one, other, strict=True):
            if name in ("noise_cov", "precision"):  # symmetric, so only this part has a meaning
                a, b = (part + jnp.swapaxes(part, 1, 2) for part in (a, b))
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)


def test_gradients_against_finite_differences():
    chain, potentials = random_chain(3, 2, 4), random_potentials(3, 2, 4)

    def total(dynamics, bias, root, linear):
        noise = root @ jnp.swapaxes(root, 1, 2) + 0.1 * jnp.eye(2)
        varied = kalman.Conditionals(dynamics, bias, noise)
        leaves = everything(varied, potentials._replace(linear=linear), "sequential")
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(leaves))

    arrays = (chain.dynamics, chain.bias, chain.noise_cov, potentials.linear)
    check_grads(jax.jit(total), arrays, order=1, modes=["rev"])


@pytest.mark.parametrize("method", METHODS)
def test_gradients_of_the_log_normaliser_are_those_of_the_dense_gaussian(method):
    chain, potentials = random_chain(4, 3, 5), random_potentials(4, 3, 5)

    def witness(chain, potentials):
        """log Z of `dense`, in JAX."""
        (slopes, biases, noises), (own, linear, log_scale) = chain, potentials
        weights = [jnp.eye(15)[:3]]
        for t in range(1, 5):
            weights.append(jnp.eye(15)[3 * t : 3 * t + 3] + slopes[t] @ weights[-1])
        weights = jnp.concatenate(weights)
        noise, precision = block_diag(*noises), block_diag(*own)
        mean, prior = weights @ jnp.ravel(biases), weights @ noise @ weights.T
        factor = jnp.eye(15) + prior @ precision
        force = jnp.ravel(linear) - precision @ mean
        square = force @ jnp.linalg.solve(factor, prior @ force)
        log_z = 0.5 * (square - jnp.linalg.slogdet(factor)[1]) + jnp.ravel(linear) @ mean
        return log_z - 0.5 * mean @ precision @ mean + jnp.sum(log_scale)

    run = partial(kalman.log_normaliser, method=method)
    found, expected = (
        jax.jit(jax.value_and_grad(log_z, (0, 1)))(chain, potentials) for log_z in (run, witness)
    )
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(expected[0], dense(chain, potentials)[2], rtol=0, atol=1e-9)
    for one, other in zip(found[1], expected[1], strict=True):
        for name, a, b in zip(one._fields, one, other, strict=True):
            if name in ("noise_cov", "precision"):  # symmetric, so only this part has a meaning
                a, b = (part + jnp.swapaxes(part, 1, 2) for part in (a, b))
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_a_singular_noise_has_a_slope(method):
    """Also where the noise has no factor to differentiate: log Z rises as finite noise says."""
    chain, potentials = random_chain(5, 2, 3), random_potentials(5, 2, 3, missing=0.0)
    noise = chain.noise_cov.at[1].set(jnp.diag(jnp.array([0.7, 0.0])))
    towards = jnp.zeros_like(noise).at[1].set(jnp.array([[0.3, 0.0], [0.0, 1.0]]))

    @jax.jit
    def log_z(distance):
        return kalman.posterior(
            chain._replace(noise_cov=noise + distance * towards), potentials, method=method
        ).log_normaliser

    ahead = dense(chain._replace(noise_cov=noise + 1e-6 * towards), potentials)[2]
    np.testing.assert_allclose(log_z(0.0), dense(chain._replace(noise_cov=noise), potentials)[2])
    slope = (ahead - log_z(0.0)) / 1e-6
    np.testing.assert_allclose(jax.grad(log_z)(0.0), slope, rtol=1e-4)


def test_derivatives_forward_twice_and_of_a_batch():
    """Forward mode, both orders of a second derivative, and gradients under two vmaps."""
    chain, potentials = random_chain(3, 2, 3), random_potentials(3, 2, 3)

    def total(linear):
        varied = potentials._replace(linear=linear)
        found = (
            kalman.log_normaliser(chain, varied, method="sequential"),
            kalman.conditionals(chain, varied, method="sequential"),
        )
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(found))

    gradient, towards = jax.grad(total), jnp.ones_like(potentials.linear)

    @jax.jit
    def several(linear, batch):
        once = jax.jvp(gradient, (linear,), (towards,))[1]
        back = jax.grad(lambda x: jnp.sum(gradient(x) * towards))(linear)
        slope = jax.jvp(total, (linear,), (towards,))[1]
        return once, back, slope, gradient(linear), jax.vmap(jax.vmap(gradient))(batch)

    batch = potentials.linear * jnp.arange(6.0).reshape(2, 3, 1, 1)
    once, back, slope, single, many = several(potentials.linear, batch)
    np.testing.assert_allclose(once, back, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(slope, single.sum(), rtol=1e-9)
    np.testing.assert_allclose(many[0, 1], single, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(many[1, 2], several(batch[1, 2], batch)[3], rtol=1e-9, atol=1e-12)
    ahead, behind = (several(potentials.linear + s * towards, batch)[3] for s in (1e-6, -1e-6))
    np.testing.assert_allclose(once, (ahead - behind) / 2e-6, rtol=1e-5, atol=1e-7)


def test_a_batch_of_chains_of_potentials_or_of_both():
    """One of the two may be shared by the batch, and every chain may meet every potential."""
    chains = [random_chain(seed, 2, 3) for seed in range(2)]
    hints = [random_potentials(seed, 2, 3) for seed in range(2)]
    several, many = (
        jax.tree.map(lambda *parts: jnp.stack(parts), *each) for each in (chains, hints)
    )

    def found(chain, potentials):
        path = kalman.conditionals(chain, potentials, method="sequential")
        filtered = kalman.filter(chain, potentials, method="sequential")
        return path, filtered, kalman.sample(path, key=jr.key(0), method="sequential")

    @jax.jit
    def batches(several, many):
        of_chains = jax.vmap(found, (0, None))
        return of_chains(several, hints[0]), jax.vmap(of_chains, (None, 0), 1)(several, many)

    single, (by_chain, by_both) = jax.jit(found), batches(several, many)
    for i, chain in enumerate(chains):
        for j, potentials in enumerate(hints):
            expected = single(chain, potentials)
            pairs = [(by_both, (i, j))] + ([(by_chain, i)] if j == 0 else [])
            for batch, place in pairs:
                for a, b in zip(*map(jax.tree.leaves, (batch, expected)), strict=True):
                    np.testing.assert_allclose(a[place], b, rtol=1e-9, atol=1e-12)


def test_a_shared_chain_is_one_whose_steps_are_the_same():
    rng = np.random.default_rng(0)
    chain = kalman.Chain(
        jnp.array(rng.normal(size=2)),
        2.0 * jnp.eye(2),
        jnp.array(rng.normal(size=(2, 2))),
        jnp.array(rng.normal(size=2)),
        0.5 * jnp.eye(2),
    )
    potentials = random_potentials(0, 2, 6)
    written = kalman.unrolled(chain, 6)
    np.testing.assert_array_equal(written.bias[0], chain.initial_mean)
    np.testing.assert_array_equal(written.noise_cov[0], chain.initial_cov)
    one, other = (everything_jit(c, potentials, "sequential") for c in (chain, written))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)

    def total(steps):
        path, log_z = kalman.posterior(steps, potentials, method="sequential")
        return log_z + jnp.sum(jnp.sin(kalman.divergence(path, steps, method="sequential")))

    slopes = jax.jit(jax.grad(total))(chain)
    expected = jax.jit(jax.grad(lambda c: total(kalman.unrolled(c, 6))))(chain)
    for a, b in zip(slopes, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_what_the_first_dynamics_hold_is_not_read(method):
    chain, potentials = random_chain(0, 2, 5), random_potentials(0, 2, 5)
    other = chain._replace(dynamics=chain.dynamics.at[0].set(7.0))
    one, other = (everything_jit(c, potentials, method) for c in (chain, other))
    for a, b in zip(jax.tree.leaves(one[:3]), jax.tree.leaves(other[:3]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    np.testing.assert_allclose(one[4], other[4], atol=1e-12)


def test_the_combination_is_associative():
    chain, potentials = random_chain(1, 3, 3), random_potentials(1, 3, 3, 0.0)
    a, b, c = (
        jax.tree.map(lambda leaf, t=t: leaf[t], jax.vmap(kalman.element)(chain, potentials))
        for t in range(3)
    )
    left = kalman.combine(kalman.combine(a, b), c)
    right = kalman.combine(a, kalman.combine(b, c))
    for x, y in zip(left, right, strict=True):
        np.testing.assert_allclose(x, y, atol=1e-12)


def test_the_divergence_of_paths_is_the_sum_of_its_steps():
    """Against the two dense Gaussians, and zero for equal chains."""
    q, p = random_chain(0, 2, 6), random_chain(1, 2, 6)
    nothing = kalman.full_potentials(jnp.zeros((6, 2)), jnp.zeros((6, 2, 2)))
    (q_mean, q_cov, _), (p_mean, p_cov, _) = dense(q, nothing), dense(p, nothing)
    inverse, shift = np.linalg.inv(p_cov), p_mean - q_mean
    log_ratio = np.linalg.slogdet(p_cov)[1] - np.linalg.slogdet(q_cov)[1]
    expected = 0.5 * (np.trace(inverse @ q_cov) + shift @ inverse @ shift - 12 + log_ratio)
    found = kalman.divergence(q, p)
    np.testing.assert_allclose(found.sum(), expected, rtol=1e-10)
    assert (found > 0.0).all()
    np.testing.assert_allclose(kalman.divergence(q, q), 0.0, atol=1e-12)


def test_the_divergence_from_the_prior_is_expected_potential_minus_log_normaliser():
    chain, potentials = random_chain(2, 3, 8), random_potentials(2, 3, 8)
    path = kalman.conditionals(chain, potentials)
    mean, cov, _ = kalman.marginals(path)
    second = cov + mean[:, :, None] * mean[:, None, :]
    energy = jnp.sum(potentials.linear * mean) - 0.5 * jnp.sum(potentials.precision * second)
    expected = energy + potentials.log_scale.sum() - kalman.log_normaliser(chain, potentials)
    np.testing.assert_allclose(kalman.divergence(path, chain).sum(), expected, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_noise_without_volume_and_potentials_of_infinite_variance(method):
    """A companion chain (an autoregression of order two) has a singular noise covariance."""
    chain = kalman.Chain(
        jnp.zeros(2),
        jnp.eye(2),
        jnp.array([[1.5, -0.7], [1.0, 0.0]]),
        jnp.zeros(2),
        jnp.diag(jnp.array([0.3, 0.0])),
    )
    variance = jnp.tile(jnp.array([0.5, jnp.inf]), (7, 1))
    rng = np.random.default_rng(0)

    def total(mean, variance, method):
        potentials = kalman.diagonal_potentials(mean, variance, jnp.arange(7) != 3)
        smoothed = kalman.smoother(chain, potentials, method=method)
        score = smoothed.log_likelihood + jnp.sum(jnp.sin(smoothed.mean)) + jnp.sum(smoothed.cov)
        return score, smoothed

    mean = jnp.array(rng.normal(size=(7, 2))).at[:, 1].set(jnp.nan)
    score = jax.jit(jax.value_and_grad(partial(total, method=method), (0, 1), has_aux=True))
    (_, smoothed), slopes = score(mean, variance)
    log_z = smoothed.log_likelihood
    matrix, bias = jnp.array([[1.0, 0.0]]), jnp.zeros(1)
    seen = jnp.arange(7)[:, None] != 3
    usual = kalman.linear_gaussian_potentials(matrix, bias, jnp.array([0.5]), mean[:, :1], seen)
    expected = jax.jit(partial(kalman.smoother, method=method))(chain, usual)
    constant = usual.log_scale.sum() + 0.5 * jnp.sum(jnp.where(seen, mean[:, :1] ** 2 / 0.5, 0.0))
    np.testing.assert_allclose(log_z, expected.log_likelihood - constant, rtol=1e-10)
    np.testing.assert_allclose(smoothed.mean, expected.mean, atol=1e-12)
    np.testing.assert_allclose(smoothed.cov, expected.cov, atol=1e-12)
    said = np.arange(7) != 3
    for slope in slopes:  # nothing is felt where nothing is said
        assert np.isfinite(slope).all() and (slope[said, 0] != 0.0).all()
        np.testing.assert_array_equal(slope[:, 1], 0.0)
        np.testing.assert_array_equal(slope[3], 0.0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("q", "r", "tolerance"), [(0.1, 0.1, 1e-3), (1e-8, 1.0, 1e-3), (1.0, 1e-7, 0.1)]
)
def test_long_chains_in_float32(method, q, r, tolerance):
    """100,000 steps: covariances stay positive definite, and means near those of float64.

    The tolerance is in standard deviations; with a noise of 1e-7 the rounding of the observations
    themselves is some 0.03 of one.
    """
    length, size, dtype = 100_000, 3, jnp.float32
    rng = np.random.default_rng(0)
    angle = np.pi / 20
    dynamics = np.eye(size)
    dynamics[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    chain = kalman.Chain(
        np.zeros(size), q * np.eye(size), 0.999 * dynamics, np.zeros(size), q * np.eye(size)
    )
    z = np.zeros((length, size))
    for t in range(1, length):
        z[t] = chain.dynamics @ z[t - 1] + np.sqrt(q) * rng.normal(size=size)
    mean = z + np.sqrt(r) * rng.normal(size=z.shape)
    run = jax.jit(kalman.smoother, static_argnames="method")
    found = []
    for kind in (dtype, jnp.float64):
        parts = (jnp.asarray(mean, kind), jnp.full(mean.shape, r, kind))
        potentials = kalman.diagonal_potentials(*parts, jnp.arange(length) % 50 > 5)
        cast = kalman.Chain(*(jnp.asarray(part, kind) for part in chain))
        found.append(run(cast, potentials, method=method if kind is dtype else "sequential"))
    short, long = (kalman.Smoothed(*(np.asarray(a, float) for a in part)) for part in found)
    eigenvalues = np.linalg.eigvalsh(short.cov)
    assert eigenvalues.min() > 0.0
    deviation = np.sqrt(np.diagonal(long.cov, axis1=1, axis2=2))
    assert (np.abs(short.mean - long.mean) / deviation).max() < tolerance
    assert (np.abs(short.cov - long.cov) / deviation.max(1)[:, None, None] ** 2).max() < 3e-4
    if r > 1e-3:
        np.testing.assert_allclose(short.log_likelihood, long.log_likelihood, rtol=1e-5)


def test_the_automatic_choice_can_be_overridden_and_is_checked():
    assert not is_parallel("auto", length=10_000, size=3)  # on a CPU
    assert is_parallel("parallel", length=2, size=3)
    with pytest.raises(ValueError) as error:
        is_parallel("fast", length=2, size=3)
    expected = "method is 'fast'; expected 'auto', 'sequential' or 'parallel'."
    assert str(error.value) == expected


def test_lengths_that_differ_are_named():
    with pytest.raises(ValueError) as error:
        kalman.filter(random_chain(0, 2, 5), random_potentials(0, 2, 6))
    assert str(error.value) == (
        "potentials.precision is float64 of shape (6, 2, 2); expected Float[Array, 'time latent "
        "latent']: the size of dimension time is 6 which does not equal the existing value of 5."
    )
    with pytest.raises(ValueError) as error:
        kalman.unrolled(random_chain(0, 2, 5), 6)
    assert str(error.value) == "chain has 5 steps; expected 6, as potentials."


def test_what_an_element_does_not_read_is_checked_as_well():
    records = (random_chain(0, 2, 1), random_potentials(0, 2, 1))
    step, potential = (jax.tree.map(lambda leaf: leaf[0], record) for record in records)
    with pytest.raises(ValueError) as error:
        kalman.element(step, potential._replace(log_scale=jnp.array(1j)))
    assert str(error.value) == ("log_scale is complex128 of shape (); expected Float[Array, ''].")


def test_a_batch_calls_no_lapack():
    chain, potentials = random_chain(0, 3, 4), random_potentials(0, 3, 4)
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), potentials)
    for method in METHODS:
        run = jax.jit(jax.vmap(lambda p, m=method: kalman.smoother(chain, p, method=m)))
        assert "custom_call" not in run.lower(batch).as_text()
    assert avfkit.kalman is kalman
