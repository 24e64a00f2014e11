"""The LDS-SVAE and its rivals on linear dynamical systems (Zhao and Linderman 2023, section 4.1).

Nine systems: three sizes times three levels of noise. The generative model is of the family that
made the data, so the exact log-likelihood is known and every bound can be placed between a null
model without dynamics and the truth.

Where the paper is silent, and the authors' sweep is not recoverable, one recipe serves all methods.
As in the authors' code the learning rates grow over the first 200 steps: without that A_t of the
AR-L rivals can pass 1 within some steps, and its products over 200 steps overflow.
Other than in the authors' code: the emission's noise is one variance for each entry (theirs depends
on z), A is free as there, and covariances are held by Cholesky factors.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

import avfkit
from avfkit import data, kalman
from avfkit.data import Dataset, LDSTruth, Splits
from avfkit.inference import learned_step, signed_log
from avfkit.nn import (
    BidirectionalRNN,
    Conditional,
    FreeDynamics,
    FullGaussianHead,
    LinearGaussian,
    TemporalCNN,
)

from .._preset import Preset
from .._recipe import Recipe

SIZES = ((3, 5), (5, 10), (10, 20))
NOISES = ((0.1, 0.1), (0.1, 1.0), (0.01, 10.0))
_PARTS, _LENGTH, _SYSTEM = 100, 200, 0
_HIDDEN, _KERNEL = 20, 10


def linear(latent: int, obs: int, q: float, r: float) -> Preset:
    """One cell of the grid: D latents, N observations, variances q of the state, r of the noise."""
    sizes: dict[str, Any] = {"latent_size": latent, "obs_size": obs, "q": q, "r": r}

    def world() -> tuple[Dataset, LDSTruth]:
        return data.lds(**sizes, num_sequences=3 * _PARTS, length=_LENGTH, seed=_SYSTEM)

    def measure(tree: tuple, splits: Splits, test: Mapping[str, Any]) -> dict[str, Any]:
        del tree
        return gap_covered(world()[1], splits.test, test)

    return Preset(
        name=f"lds-D{latent}-N{obs}-q{q:g}-r{r:g}",
        title=f"LDS, D = {latent}, N = {obs}, q = {q:g}, r = {r:g}",
        kind="series",
        model=partial(_model, latent, obs),
        own=_own,
        load=lambda folder: _splits(world()[0]),
        recipe=_recipe(),
        data="a linear dynamical system: 100/100/100 sequences of 200 steps",
        differs="emission noise of its own for each entry; one recipe for all methods",
        update={"width": 64, "rule": learned_step, "normalise": signed_log, "gate_bias": -4.0},
        changes={"avf": {"clip": 10.0}, "vfem": {"steps": 1_000}},
        iterations={"avf": 2, "vfem": 10},
        smoothers=SMOOTHERS,
        measure=measure,
        prepare=_centred,
    )


def _recipe() -> Recipe:
    return Recipe(
        steps=5_000,
        batch_size=10,
        theta_rate=1e-2,
        phi_rate=3e-3,
        warmup=200,
        cosine=True,
        clip=100.0,
        validate_every=250,
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

    return float(jnp.mean(jax.jit(jax.vmap(nats))(_stacked(part))) / _LENGTH)


def static(truth: LDSTruth, part: Dataset) -> float:
    """-log p under the null model: the system's marginals, independent over time, nats per step."""
    chain, (matrix, bias, variance) = _arrays(truth)
    found = kalman.marginals(kalman.unrolled(chain, _LENGTH))
    cov = jnp.diag(variance) + jnp.einsum("ni,tij,mj->tnm", matrix, found.cov, matrix)
    marginals = jax.vmap(avfkit.FullGaussian.from_covariance)(found.mean @ matrix.T + bias, cov)
    log_prob = jax.vmap(lambda gaussian, x: gaussian.log_prob(x))
    return -float(jnp.mean(jax.vmap(lambda xs: log_prob(marginals, xs))(_stacked(part))))


def _arrays(truth: LDSTruth) -> tuple[kalman.Chain, tuple[Array, Array, Array]]:
    m1, p1, a, b, q, c, d, r, _ = (jnp.asarray(part, float) for part in truth)
    return kalman.Chain(m1, p1, a, b, q), (c, d, r)


def _stacked(part: Dataset) -> Array:
    return jnp.asarray(np.stack([np.asarray(sequence) for sequence in part.sequences]), float)


def _splits(dataset: Dataset) -> Splits:
    cuts = (slice(i * _PARTS, (i + 1) * _PARTS) for i in range(3))
    return Splits(*(dataset.select(cut) for cut in cuts))


def _model(latent: int, obs: int, *, key: Key[Array, ""]) -> avfkit.LDS:
    """The authors' initial values: A turns by pi/20 in a random plane, Q = P1 = I."""
    dynamics_key, emission_key = jr.split(key)
    matrix = jr.normal(emission_key, (obs, latent)) / np.sqrt(latent)
    emission = LinearGaussian(matrix, jnp.zeros(obs), jnp.zeros(obs))
    return avfkit.LDS.create(FreeDynamics.rotation(latent, key=dynamics_key), emission=emission)


def _centred(model: Any, train: Dataset) -> Any:
    """The emission's bias at the mean of the observations."""
    mean = _stacked(train).mean((0, 1))
    return eqx.tree_at(
        lambda m: m.emission.bias, model, replace_fn=lambda bias: mean.astype(bias.dtype)
    )


def _own(model: avfkit.AbstractModel, *, key: Key[Array, ""]) -> avfkit.DirectFilter:
    return avfkit.DirectFilter.create(model, width=_HIDDEN, depth=2, key=key)


def _svae(model: avfkit.AbstractModel, *, key: Key[Array, ""]) -> avfkit.StructuredSmoother:
    options = {"head": FullGaussianHead, "width": _HIDDEN, "depth": 0}
    return avfkit.StructuredSmoother(
        Conditional(model.obs_size, model.latent_size, **options, key=key)
    )


def _rival(
    trunk: Callable[..., Any],
    head: Callable[..., Any],
    model: avfkit.AbstractModel,
    *,
    key: Key[Array, ""],
    **options: Any,
) -> avfkit.AmortizedSmoother:
    trunk_key, head_key = jr.split(key)
    reader = trunk(model.obs_size, _HIDDEN, key=trunk_key)
    return avfkit.AmortizedSmoother(
        reader, head(reader.out_size, model.latent_size, **options, key=head_key)
    )


def _exact(model: avfkit.AbstractModel, *, key: Key[Array, ""]) -> avfkit.KalmanSmoother:
    del model, key
    return avfkit.KalmanSmoother()


SMOOTHERS: Mapping[str, Any] = {
    "svae": _svae,
    "rnn-mf": partial(_rival, BidirectionalRNN, avfkit.FactorisedHead),
    "rnn-ar-l": partial(_rival, BidirectionalRNN, avfkit.LinearHead),
    "rnn-ar-nl": partial(_rival, BidirectionalRNN, avfkit.NonlinearHead, hidden_size=_HIDDEN),
    "cnn-ar-l": partial(_rival, partial(TemporalCNN, kernel=_KERNEL), avfkit.LinearHead),
    "kalman": _exact,
}
"""The methods of the paper that see the whole sequence, and the exact posterior."""
