"""Naive second implementations: a dense joint Gaussian, and loops."""

import numpy as np


def dense_joint(chain, matrix, bias, variance, length):
    """Mean and covariance of (z_1..T, x_1..T), stacked, by writing every z_t out in the noises."""
    m1, p1, a, b, q = (np.asarray(part) for part in chain)
    size = len(m1)
    noise_cov = np.zeros((length * size, length * size))
    weights = np.zeros((length * size, length * size))
    mean = np.zeros(length * size)
    for t in range(length):
        here = slice(t * size, (t + 1) * size)
        noise_cov[here, here] = p1 if t == 0 else q
        weights[here, here] = np.eye(size)
        mean[here] = m1
        if t > 0:
            before = slice((t - 1) * size, t * size)
            weights[here] += a @ weights[before]
            mean[here] = a @ mean[before] + b
    latent_cov = weights @ noise_cov @ weights.T
    emission = np.kron(np.eye(length), np.asarray(matrix))
    x_mean = emission @ mean + np.tile(np.asarray(bias), length)
    x_cov = emission @ latent_cov @ emission.T + np.kron(
        np.eye(length), np.diag(np.asarray(variance))
    )
    return mean, latent_cov, x_mean, emission @ latent_cov, x_cov


def dense_posterior(chain, matrix, bias, variance, xs, observed, upto=None):
    """Exact p(z_1..T | observed x_1..upto) and log p of those observations."""
    length = len(xs)
    mean, cov, x_mean, cross, x_cov = dense_joint(chain, matrix, bias, variance, length)
    keep = np.array(observed).copy()
    keep[length if upto is None else upto :] = False
    keep = keep.reshape(-1)
    residual = (np.asarray(xs).reshape(-1) - x_mean)[keep]
    sub = x_cov[np.ix_(keep, keep)]
    gain = np.linalg.solve(sub, cross[keep]).T
    log_p = -0.5 * (
        residual @ np.linalg.solve(sub, residual)
        + np.linalg.slogdet(sub)[1]
        + keep.sum() * np.log(2 * np.pi)
    )
    return mean + gain @ residual, cov - gain @ cross[keep], log_p


def block(vector_or_matrix, t, size):
    """The part that belongs to step t."""
    here = slice(t * size, (t + 1) * size)
    array = np.asarray(vector_or_matrix)
    return array[here] if array.ndim == 1 else array[here, here]
