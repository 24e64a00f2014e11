"""The LDS-SVAE and its rivals on linear dynamical systems (Zhao and Linderman 2023, section 4.1).

Nine systems: three sizes times three levels of noise, and the two large ones of appendix A. The
generative model is of the family that made the data, so the exact log-likelihood is known and every
bound can be placed between a null model without dynamics and the truth.

Where the paper is silent, and the authors' sweep is not recoverable, one recipe and one start serve
all methods. The emission starts at probabilistic principal components of the training part
(Tipping and Bishop 1999), its latents of unit variance, and all networks read standardised
observations: from random emissions the structured posterior of five latents stood still for half of
its steps. The dynamics start as the authors': A turns by pi/20 in a random plane, Q = P1 = I.
As in their code the learning rates grow from zero, here over 100 steps: without that A_t of the
AR-L rivals can pass 1 within some steps, and its products over 200 steps overflow.
Other than in the authors' code: the emission's noise is one variance for each entry (theirs depends
on z), A is free as there, and covariances are held by Cholesky factors. AVF updates by the gate of
its own paper: these likelihoods are up to thousands of times as sharp as the prior, and a fresh
step along such a gradient overshoots until the loss is no number. Variational EM takes natural
gradients for the same reason: Adam's steps, of one size for all, are too short here or too long.
"""

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

import avfkit
from avfkit import data, kalman
from avfkit.data import Dataset, LDSTruth, Splits
from avfkit.inference import natural_gradient, signed_log
from avfkit.nn import FreeDynamics, LinearGaussian

from .._preset import Preset
from .._recipe import Recipe
from ._methods import methods, stacked
from ._read_out import read_out, start

SIZES = ((3, 5), (5, 10), (10, 20))
NOISES = ((0.1, 0.1), (0.1, 1.0), (0.01, 10.0))
LARGE = ((32, 64), (64, 128))  # at the second level of noise
_PARTS, _LENGTH, _SYSTEM = (100, 100, 100), 200, 0
_HIDDEN = 20


def linear(latent: int, obs: int, q: float, r: float) -> Preset:
    """One system: D latents, N observations, variances q of the state, r of the noise.

    From 32 latents on as in appendix A: more hidden units, diagonal potentials, and of 64 latents
    ten times as many sequences to train on.
    """
    sizes: dict[str, Any] = {"latent_size": latent, "obs_size": obs, "q": q, "r": r}
    large = latent >= LARGE[0][0]
    hidden = 2 * latent if large else _HIDDEN
    parts = (1000, 100, 100) if latent >= LARGE[1][0] else _PARTS

    @cache
    def world() -> tuple[Dataset, LDSTruth]:
        return data.lds(**sizes, num_sequences=sum(parts), length=_LENGTH, seed=_SYSTEM)

    def measure(tree: tuple, splits: Splits, test: Mapping[str, Any]) -> dict[str, Any]:
        del tree
        return gap_covered(world()[1], splits.test, test)

    return Preset(
        name=f"lds-D{latent}-N{obs}-q{q:g}-r{r:g}",
        title=f"LDS, D = {latent}, N = {obs}, q = {q:g}, r = {r:g}",
        kind="series",
        model=partial(_model, latent, obs),
        own=_own,
        load=lambda folder: _splits(world()[0], parts),
        recipe=_recipe(),
        data=f"a linear dynamical system: {'/'.join(map(str, parts))} sequences of 200 steps",
        differs="emission noise of its own for each entry; one recipe and one start for all "
        "methods: the emission at principal components, observations standardised",
        update={"width": 64, "normalise": signed_log},
        changes={"avf": {"clip": 10.0}},
        iterations={"avf": 2, "vfem": 10},
        e_step=natural_gradient(0.3),
        smoothers=_smoothers(hidden, diagonal=large),
        measure=measure,
        prepare=start,
    )


def _recipe() -> Recipe:
    return Recipe(
        steps=1_000,
        batch_size=10,
        theta_rate=1e-2,
        phi_rate=1e-2,
        warmup=100,
        cosine=True,
        clip=100.0,
        validate_every=200,
        patience=0,
        score_batch=100,
    )


def gap_covered(truth: LDSTruth, part: Dataset, test: Mapping[str, Any]) -> dict[str, Any]:
    """Where a bound lies between the null model and the truth.

    Returns:
        `elbo`, `exact` and `static`: log-likelihoods in nats per scalar of the observations, as
        Zhao and Linderman (2023) report them; `gap_covered`: the share of the gap from `static` to
        `exact` that the bound covers, 1 being as good as the truth (section 4.1).
    """
    top, bottom = -exact(truth, part), -static(truth, part)
    bound = -test["free_energy_per_step"]["all_steps"]
    scalars = {"elbo": bound, "exact": top, "static": bottom}
    scalars = {name: value / part.obs_size for name, value in scalars.items()}
    return {**scalars, "gap_covered": (bound - bottom) / (top - bottom)}


def exact(truth: LDSTruth, part: Dataset) -> float:
    """-log p of a part of the data under the system that made it, in nats per step."""
    chain, emission = _arrays(truth)

    def nats(x: Array) -> Array:
        seen = jnp.ones(x.shape, bool)
        return -kalman.log_normaliser(chain, kalman.linear_gaussian_potentials(*emission, x, seen))

    return float(jnp.mean(jax.jit(jax.vmap(nats))(jnp.asarray(stacked(part), float))) / _LENGTH)


def static(truth: LDSTruth, part: Dataset) -> float:
    """-log p under the null model: the system's marginals, independent over time, nats per step."""
    chain, (matrix, bias, variance) = _arrays(truth)
    x = jnp.asarray(stacked(part), float)
    found = kalman.marginals(kalman.unrolled(chain, _LENGTH))
    cov = jnp.diag(variance) + jnp.einsum("ni,tij,mj->tnm", matrix, found.cov, matrix)
    marginals = jax.vmap(avfkit.FullGaussian.from_covariance)(found.mean @ matrix.T + bias, cov)
    log_prob = jax.vmap(lambda gaussian, x: gaussian.log_prob(x))
    return -float(jnp.mean(jax.vmap(lambda xs: log_prob(marginals, xs))(x)))


def _arrays(truth: LDSTruth) -> tuple[kalman.Chain, tuple[Array, Array, Array]]:
    m1, p1, a, b, q, c, d, r, _ = (jnp.asarray(part, float) for part in truth)
    return kalman.Chain(m1, p1, a, b, q), (c, d, r)


def _splits(dataset: Dataset, parts: tuple[int, int, int]) -> Splits:
    ends = np.cumsum(parts)
    pairs = zip(ends - parts, ends, strict=True)
    return Splits(*(dataset.select(slice(start, end)) for start, end in pairs))


def _model(latent: int, obs: int, *, key: Key[Array, ""]) -> avfkit.LDS:
    """The authors' initial dynamics; `start` knows the emission."""
    emission = LinearGaussian(jnp.zeros((obs, latent)), jnp.zeros(obs), jnp.zeros(obs))
    return avfkit.LDS.create(FreeDynamics.rotation(latent, key=key), emission=emission)


def _smoothers(hidden: int, *, diagonal: bool) -> Mapping[str, Any]:
    """The methods of the paper, the causal structured posterior, and the exact posterior."""
    known = methods(hidden, depth=0, diagonal=diagonal)
    rivals = ("rnn-mf", "rnn-ar-l", "rnn-ar-nl", "cnn-ar-l")
    return {**known, **{name: partial(read_out, known[name]) for name in rivals}, "kalman": _exact}


def _own(model: avfkit.AbstractModel, *, key: Key[Array, ""]) -> avfkit.DirectFilter:
    return avfkit.DirectFilter.create(model, width=_HIDDEN, depth=2, key=key)


def _exact(model: avfkit.AbstractModel, *, key: Key[Array, ""]) -> avfkit.KalmanSmoother:
    del model, key
    return avfkit.KalmanSmoother()
