"""Random linear-Gaussian problems, on which every posterior is known."""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from .._arrays import check_positive
from .._checked import checked
from .._sample import sample
from ..models import LDS
from ..nn import LinearGaussian


class Problem(NamedTuple):
    """A model, a sequence drawn from it, and the truth.

    Attributes:
        model: an LDS with a linear emission.
        xs: the observations.
        observed: which of them inference may see.
        zs: the latents that the observations were drawn from.
        snr: the variance that one step of the dynamics adds to an observation, over that of the
            observation's own noise, on average over its entries.
    """

    model: LDS
    xs: Float[Array, "time obs"]
    observed: Bool[Array, "time obs"]
    zs: Float[Array, "time latent"]
    snr: float

    @property
    def label(self) -> str:
        """The sizes and the SNR, in words."""
        (length, obs), latent = self.xs.shape, self.zs.shape[1]
        missing = 1.0 - float(jnp.mean(self.observed))
        return (
            f"latent {latent}, obs {obs}, {length} steps, SNR {self.snr:g}, {missing:.0%} missing"
        )


@checked
def linear_gaussian_problems(
    *,
    key: Key[Array, ""],
    shapes: Sequence[tuple[int, int, int]] = ((2, 3, 12), (3, 2, 20)),
    snrs: Sequence[float] = (0.1, 1.0, 10.0),
    missing: float = 0.2,
    entries: bool = False,
) -> list[Problem]:
    """Random stable systems with full covariances, one for each shape and SNR.

    The dynamics are a contraction that mixes all entries, the emission is a random matrix with a
    bias, and the noise of each observed entry has a variance of its own.

    Args:
        key: randomness of the systems, of the sequences and of the gaps.
        shapes: of each system, the entries of the latent and of an observation, and the steps.
        snrs: signal-to-noise ratios; see `Problem`.
        missing: the probability that a step is missing; the first step never is.
        entries: let single entries be missing instead of whole steps.

    Raises:
        ValueError: an SNR is not positive, or `missing` is not a probability below 1.
    """
    for number, snr in enumerate(snrs):
        check_positive(f"snrs[{number}]", snr)
    if not 0.0 <= missing < 1.0:
        raise ValueError(f"missing is {missing}; expected a probability below 1.")
    settings = [(shape, snr) for shape in shapes for snr in snrs]
    return [
        Problem(*_drawn(shape, jnp.array(snr), missing, entries, key=jr.fold_in(key, i)), snr)
        for i, (shape, snr) in enumerate(settings)
    ]


@eqx.filter_jit
def _drawn(
    shape: tuple[int, int, int],
    snr: Float[Array, ""],
    missing: float,
    entries: bool,
    *,
    key: Key[Array, ""],
) -> tuple[LDS, Array, Array, Array]:
    system_key, draw_key, gap_key = jr.split(key, 3)
    model = _system(shape[:2], snr, key=system_key)
    xs, zs = sample(model, shape[2], key=draw_key)
    kept = jr.bernoulli(gap_key, 1.0 - missing, xs.shape if entries else (len(xs), 1))
    return model, xs, jnp.broadcast_to(kept.at[0].set(True), xs.shape), zs


def _system(sizes: tuple[int, int], snr: Float[Array, ""], *, key: Key[Array, ""]) -> LDS:
    latent, obs = sizes
    keys = iter(jr.split(key, 8))
    turn = jnp.linalg.qr(jr.normal(next(keys), (latent, latent)))[0]
    decay = jr.uniform(next(keys), (latent,), minval=0.6, maxval=0.98)
    root = jr.normal(next(keys), (latent, latent)) / jnp.sqrt(2.0 * latent)
    noise = 0.2 * (0.5 * jnp.eye(latent) + root @ root.T)
    matrix, bias = jr.normal(next(keys), (obs, latent)), jr.normal(next(keys), (obs,))
    signal = jnp.einsum("ni,ij,nj->n", matrix, noise, matrix)
    spread = jr.uniform(next(keys), (obs,), minval=0.5, maxval=1.5)
    emission = LinearGaussian.from_parameters(matrix, bias, spread * jnp.mean(signal) / snr)
    first, shift = jr.normal(next(keys), (latent,)), 0.1 * jr.normal(next(keys), (latent,))
    start = jnp.eye(latent) + root @ root.T
    return LDS.from_parameters(first, start, turn * decay, shift, noise, emission=emission)
