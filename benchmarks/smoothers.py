"""The smoothers that `message_passing.py` and `grid.py` compare, and the problem that they solve.

Each takes the chain, the centres and the matrices of one sequence of potentials (avfkit reads their
precisions, the others their covariances) and returns the log-normaliser, means and covariances of
all steps, and one joint sample; a filter gives what is known as time goes on. By hand, in NumPy, a
whole batch is walked at once.
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


def problem(
    size: int, length: int, batch: int = BATCH
) -> tuple[Inputs, Inputs, tuple[jax.Array, ...]]:
    """Inputs with precisions and with covariances, and weights that sum the results to a scalar."""
    rng = np.random.default_rng(0)
    eye, turn = np.eye(size), np.linalg.qr(rng.normal(size=(size, size)))[0]
    parts = (np.zeros(size), eye, 0.97 * turn, 0.1 * np.ones(size), 0.1 * eye)
    chain = kalman.Chain(*(jnp.asarray(part, jnp.float32) for part in parts))
    root = rng.normal(size=(batch, length, size, size)) / np.sqrt(size)
    precision = root @ np.swapaxes(root, 2, 3) + 0.5 * eye
    mean = rng.normal(size=(batch, length, size))
    weights = (rng.normal(size=(batch, length, *shape)) for shape in ((size,), (size, size)))
    mean, precision, cov, *weights = (
        jnp.asarray(a, jnp.float32) for a in (mean, precision, np.linalg.inv(precision), *weights)
    )
    return (chain, mean, precision), (chain, mean, cov), tuple(weights)


def ours(inputs: Inputs, key: jax.Array, method: str = "auto") -> Found:
    """This library, its method chosen by itself."""
    potentials = kalman.full_potentials(*inputs[1:])
    path, log_normaliser = kalman.posterior(inputs[0], potentials, method=method)
    mean, cov, _ = kalman.marginals(path, method=method)
    return log_normaliser, mean, cov, kalman.sample(path, key=key, method=method)


def our_filter(inputs: Inputs, method: str = "auto") -> Found:
    """Log-normaliser and moments of this library's filter."""
    found = kalman.filter(inputs[0], kalman.full_potentials(*inputs[1:]), method=method)
    return jnp.sum(found.log_likelihood), found.mean, found.cov


def lgssm(inputs: Inputs) -> Any:
    """Parameters for dynamax; potentials are observations of the latent itself."""
    chain, mean, cov = inputs
    size = mean.shape[1]
    m1, p1, a, b, q = chain
    eye, zero = jnp.eye(size), jnp.zeros(size)
    return inference.make_lgssm_params(m1, p1, a, q, eye, cov, b, None, zero)


def dynamax_filter(module: Any, inputs: Inputs) -> Found:
    """Log-normaliser and moments of dynamax's filter."""
    found = module.lgssm_filter(lgssm(inputs), inputs[1])
    return found.marginal_loglik, found.filtered_means, found.filtered_covariances


def dynamax(module: Any, inputs: Inputs, key: jax.Array) -> Found:
    """dynamax, one of its two modes."""
    params, mean = lgssm(inputs), inputs[1]
    found = module.lgssm_smoother(params, mean)
    sample = module.lgssm_posterior_sample(key, params, mean)
    return found.marginal_loglik, found.smoothed_means, found.smoothed_covariances, sample


def cuthbert_states(inputs: Inputs) -> tuple[Any, tuple[jax.Array, ...]]:
    """What cuthbert's filter knows at each step, in square-root form, and the moves of the chain.

    The chain begins a step before the first.
    """
    from cuthbert import filter as filtered
    from cuthbert.gaussian.kalman import build_filter

    chain, mean, cov = inputs
    length, size = mean.shape
    dynamics, bias, noise_cov = kalman.unrolled(chain, length)
    roots = jnp.linalg.cholesky(noise_cov), jnp.linalg.cholesky(cov)
    steps = (dynamics, bias, roots[0]), (roots[1], mean)

    def observed(step: tuple) -> tuple[jax.Array, ...]:
        return jnp.eye(size), jnp.zeros(size), *step[1]

    rule = build_filter(jnp.zeros(size), jnp.eye(size), lambda step: step[0], observed)
    return filtered(rule, steps, rule.init_prepare()), steps[0]


def cuthbert_filter(inputs: Inputs) -> Found:
    """Log-normaliser and moments of cuthbert's filter, step by step."""
    states, _ = cuthbert_states(inputs)
    chol = states.chol_cov[1:]
    total = states.log_normalizing_constant[-1]
    return total, states.mean[1:], chol @ jnp.matrix_transpose(chol)


def cuthbert(inputs: Inputs, key: jax.Array) -> Found:
    """cuthbert, step by step, in square-root form."""
    from cuthbert import smoother as smoothed
    from cuthbert.gaussian.kalman import build_smoother
    from cuthbertlib.kalman.sampling import sqrt_associative_params

    states, moves = cuthbert_states(inputs)
    found = smoothed(build_smoother(lambda step: step[0]), states)
    chol = found.chol_cov[1:]
    moves = tuple(part[1:] for part in moves)
    links = sqrt_associative_params(key, states.mean[1:], states.chol_cov[1:], *moves, (1,))

    def draw(later: jax.Array, link: Any) -> tuple[jax.Array, jax.Array]:
        now = link.sample + later @ link.gain.T
        return now, now

    start = jnp.zeros((1, inputs[1].shape[1]))
    sample = jax.lax.scan(draw, start, links, reverse=True)[1][:, 0]
    total = states.log_normalizing_constant[-1]
    return total, found.mean[1:], chol @ jnp.matrix_transpose(chol), sample


def filtered_by_hand(inputs: Inputs) -> tuple[np.ndarray, list[tuple[np.ndarray, ...]]]:
    """Kalman filter of a batch, as one writes it in NumPy: log-normalisers, and what it knew.

    That is, of each step, the moments after and before the potential.
    """
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
    return log_z, kept


def by_hand(inputs: Inputs) -> tuple[np.ndarray, ...]:
    """Rauch-Tung-Striebel smoother of a batch."""
    dynamics, (log_z, kept) = np.asarray(inputs[0].dynamics), filtered_by_hand(inputs)
    mean, cov = kept[-1][:2]
    means, moments = [mean], [cov]
    for t in range(len(kept) - 2, -1, -1):
        (now, now_cov), (ahead, ahead_cov) = kept[t][:2], kept[t + 1][2:]
        gain = np.swapaxes(np.linalg.solve(ahead_cov, dynamics @ now_cov), 1, 2)
        mean = now + (gain @ (mean - ahead)[..., None])[..., 0]
        cov = now_cov + gain @ (cov - ahead_cov) @ np.swapaxes(gain, 1, 2)
        means.append(mean)
        moments.append(cov)
    return log_z, np.stack(means[::-1], 1), np.stack(moments[::-1], 1)


def drawn_by_hand(inputs: Inputs, rng: np.random.Generator) -> np.ndarray:
    """A joint sample of each sequence of a batch, from the last step to the first."""
    dynamics, kept = np.asarray(inputs[0].dynamics), filtered_by_hand(inputs)[1]
    noise = rng.standard_normal((len(kept), *kept[0][0].shape)).astype(kept[0][0].dtype)

    def draw(mean: np.ndarray, cov: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return mean + (np.linalg.cholesky(cov) @ noise[..., None])[..., 0]

    drawn = [draw(*kept[-1][:2], noise[-1])]
    for t in range(len(kept) - 2, -1, -1):
        (now, now_cov), (ahead, ahead_cov) = kept[t][:2], kept[t + 1][2:]
        gain = np.swapaxes(np.linalg.solve(ahead_cov, dynamics @ now_cov), 1, 2)
        mean = now + (gain @ (drawn[-1] - ahead)[..., None])[..., 0]
        drawn.append(draw(mean, now_cov - gain @ ahead_cov @ np.swapaxes(gain, 1, 2), noise[t]))
    return np.stack(drawn[::-1], 1)


def normalised(log_normaliser: np.ndarray, precision: jax.Array) -> np.ndarray:
    """With the constants of N(mean; z, cov), which the others count."""
    _, length, size, _ = precision.shape
    log_det = np.linalg.slogdet(np.asarray(precision, np.float64))[1].sum(1)
    return np.asarray(log_normaliser, np.float64) + 0.5 * (log_det - length * size * LOG_2PI)


def symmetric(array: np.ndarray) -> np.ndarray:
    """The gradient in a covariance has a meaning in its symmetric part only."""
    square = array.ndim > 1 and array.shape[-1] == array.shape[-2]
    return array + np.swapaxes(array, -1, -2) if square else array


SMOOTHERS: dict[str, Callable] = {
    OURS: ours,
    SEQUENTIAL: lambda inputs, key: dynamax(inference, inputs, key),
    PARALLEL: lambda inputs, key: dynamax(parallel_inference, inputs, key),
}
FILTERS: dict[str, Callable] = {
    OURS: our_filter,
    SEQUENTIAL: lambda inputs: dynamax_filter(inference, inputs),
    PARALLEL: lambda inputs: dynamax_filter(parallel_inference, inputs),
}
if find_spec("cuthbert"):
    SMOOTHERS[CUTHBERT], FILTERS[CUTHBERT] = cuthbert, cuthbert_filter
