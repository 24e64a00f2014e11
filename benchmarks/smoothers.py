"""The smoothers that `message_passing.py` compares, and the problem that they solve.

Each takes the chain, the centres and the matrices of one sequence of potentials (avfkit reads their
precisions, the others their covariances) and returns the log-normaliser, means and covariances of
all steps, and one joint sample. By hand, in NumPy, a whole batch is smoothed at once, and nothing
is sampled.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from dynamax.linear_gaussian_ssm import inference, parallel_inference

from avfkit import kalman

BATCH = 10
LOG_2PI = np.log(2.0 * np.pi)
OURS, SEQUENTIAL, PARALLEL = "avfkit", "dynamax sequential", "dynamax parallel"
CUTHBERT, NUMPY = "cuthbert sequential", "NumPy, batch by hand"
Inputs = tuple[kalman.Chain, jax.Array, jax.Array]
Found = tuple[jax.Array, ...]


def problem(size: int, length: int) -> tuple[Inputs, Inputs, tuple[jax.Array, ...]]:
    """Inputs with precisions and with covariances, and weights that sum the results to a scalar."""
    rng = np.random.default_rng(0)
    eye, turn = np.eye(size), np.linalg.qr(rng.normal(size=(size, size)))[0]
    parts = (np.zeros(size), eye, 0.97 * turn, 0.1 * np.ones(size), 0.1 * eye)
    chain = kalman.Chain(*(jnp.asarray(part, jnp.float32) for part in parts))
    root = rng.normal(size=(BATCH, length, size, size)) / np.sqrt(size)
    precision = root @ np.swapaxes(root, 2, 3) + 0.5 * eye
    mean = rng.normal(size=(BATCH, length, size))
    weights = (rng.normal(size=(BATCH, length, *shape)) for shape in ((size,), (size, size)))
    mean, precision, cov, *weights = (
        jnp.asarray(a, jnp.float32) for a in (mean, precision, np.linalg.inv(precision), *weights)
    )
    return (chain, mean, precision), (chain, mean, cov), tuple(weights)


def ours(inputs: Inputs, key: jax.Array) -> Found:
    """This library, its method chosen by itself."""
    potentials = kalman.full_potentials(*inputs[1:])
    path, log_normaliser = kalman.posterior(inputs[0], potentials)
    mean, cov, _ = kalman.marginals(path)
    return log_normaliser, mean, cov, kalman.sample(path, key=key)


def dynamax(module: Any, inputs: Inputs, key: jax.Array) -> Found:
    """dynamax; potentials are observations of the latent itself."""
    chain, mean, cov = inputs
    size = mean.shape[1]
    m1, p1, a, b, q = chain
    eye, zero = jnp.eye(size), jnp.zeros(size)
    params = inference.make_lgssm_params(m1, p1, a, q, eye, cov, b, None, zero)
    found = module.lgssm_smoother(params, mean)
    sample = module.lgssm_posterior_sample(key, params, mean)
    return found.marginal_loglik, found.smoothed_means, found.smoothed_covariances, sample


def cuthbert(inputs: Inputs, key: jax.Array) -> Found:
    """cuthbert, step by step, in square-root form; its chain begins a step before the first."""
    from cuthbert import filter as filtered
    from cuthbert import smoother as smoothed
    from cuthbert.gaussian.kalman import build_filter, build_smoother
    from cuthbertlib.kalman.sampling import sqrt_associative_params

    chain, mean, cov = inputs
    length, size = mean.shape
    dynamics, bias, noise_cov = kalman.unrolled(chain, length)
    roots = jnp.linalg.cholesky(noise_cov), jnp.linalg.cholesky(cov)
    steps = (dynamics, bias, roots[0]), (roots[1], mean)

    def observed(step: tuple) -> tuple[jax.Array, ...]:
        return jnp.eye(size), jnp.zeros(size), *step[1]

    rule = build_filter(jnp.zeros(size), jnp.eye(size), lambda step: step[0], observed)
    states = filtered(rule, steps, rule.init_prepare())
    found = smoothed(build_smoother(lambda step: step[0]), states)
    chol = found.chol_cov[1:]
    moves = (dynamics[1:], bias[1:], roots[0][1:])
    links = sqrt_associative_params(key, states.mean[1:], states.chol_cov[1:], *moves, (1,))

    def draw(later: jax.Array, link: Any) -> tuple[jax.Array, jax.Array]:
        now = link.sample + later @ link.gain.T
        return now, now

    sample = jax.lax.scan(draw, jnp.zeros((1, size)), links, reverse=True)[1][:, 0]
    total = states.log_normalizing_constant[-1]
    return total, found.mean[1:], chol @ jnp.matrix_transpose(chol), sample


def by_hand(inputs: Inputs) -> tuple[np.ndarray, ...]:
    """Kalman filter and Rauch-Tung-Striebel smoother of a batch, as one writes them in NumPy."""
    (m1, p1, a, b, q), ys, covs = jax.tree.map(np.asarray, inputs)
    batch, length, size = ys.shape
    log_z, kept = np.zeros(batch, ys.dtype), []
    mean, cov = np.broadcast_to(m1, (batch, size)), np.broadcast_to(p1, (batch, size, size))
    for t in range(length):
        if t > 0:
            mean, cov = mean @ a.T + b, a @ cov @ a.T + q
        predicted, spread, gap = mean, cov + covs[:, t], (ys[:, t] - mean)[..., None]
        solved = np.linalg.solve(spread, np.concatenate([cov, gap], axis=2))
        square = np.sum(gap[..., 0] * solved[..., -1], axis=1)
        log_z -= 0.5 * (np.linalg.slogdet(spread)[1] + square + size * LOG_2PI)
        moved = cov @ solved
        before, mean, cov = cov, mean + moved[..., -1], cov - moved[..., :-1]
        kept.append((mean, cov, predicted, before))
    means, moments = [mean], [cov]
    for t in range(length - 2, -1, -1):
        (now, now_cov), (ahead, ahead_cov) = kept[t][:2], kept[t + 1][2:]
        gain = np.swapaxes(np.linalg.solve(ahead_cov, a @ now_cov), 1, 2)
        mean = now + (gain @ (mean - ahead)[..., None])[..., 0]
        cov = now_cov + gain @ (cov - ahead_cov) @ np.swapaxes(gain, 1, 2)
        means.append(mean)
        moments.append(cov)
    return log_z, np.stack(means[::-1], 1), np.stack(moments[::-1], 1)


SMOOTHERS: dict[str, Callable] = {
    OURS: ours,
    SEQUENTIAL: lambda inputs, key: dynamax(inference, inputs, key),
    PARALLEL: lambda inputs, key: dynamax(parallel_inference, inputs, key),
}
if find_spec("cuthbert"):
    SMOOTHERS[CUTHBERT] = cuthbert
