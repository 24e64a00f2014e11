"""The registries: a new model or method costs one line here and inherits every law."""

import os
from functools import partial

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

import avfkit
from avfkit.inference import errors, learned_step
from avfkit.nn import (
    BernoulliHead,
    BidirectionalRNN,
    Conditional,
    DiscretisedGaussianHead,
    FullGaussianHead,
    GaussianHead,
    LinearGaussian,
    TemporalCNN,
)
from tests.reference import dense_posterior

OBS, LATENT = 4, 3


def random_lds(seed=0, *, latent=LATENT, obs=OBS, q=0.2, r=0.3, emission=None):
    """A stable linear-Gaussian LDS with full covariances and a non-zero bias."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(latent, latent)))[0]
    root = rng.normal(size=(latent, latent)) / latent
    noise = q * np.eye(latent) + q * root @ root.T
    if emission is None:
        matrix, bias = rng.normal(size=(obs, latent)), rng.normal(size=obs)
        variance = r * rng.uniform(0.5, 1.5, size=obs)
        emission = LinearGaussian(jnp.array(matrix), jnp.array(bias), jnp.log(jnp.array(variance)))
    return avfkit.LDS.from_parameters(
        rng.normal(size=latent),
        np.eye(latent) + root @ root.T,
        0.9 * rotation,
        0.1 * rng.normal(size=latent),
        noise,
        emission=emission,
    )


def gappy_problem(length):
    """An LDS, a sequence that lacks its third step and an entry of its fifth, and log p(x)."""
    lds, xs = random_lds(4, latent=2, obs=3), np.random.default_rng(1).normal(size=(length, 3))
    xs[2] = np.nan
    xs[4, 1] = np.nan
    emission, seen = lds.emission, ~np.isnan(xs)
    arrays = (emission.matrix, emission.bias, np.exp(np.asarray(emission.log_var)))
    log_p = dense_posterior(lds.chain, *arrays, np.nan_to_num(xs), seen)[2]
    return lds, jnp.array(xs), log_p


class Wider(avfkit.AbstractScanFilter):
    """The exact proposal, less sure than it should be and shifted: poor, with bounded weights."""

    shift: float = 0.0
    through_past: bool = True

    def init(self, model):
        del model

    def posterior(self, carry, problem, *, key):
        q, iterations, carry = avfkit.KalmanFilter().posterior(carry, problem, key=key)
        q = avfkit.FullGaussian(q.mean + self.shift, q.log_scale + 0.3, q.lower)
        return q, iterations, carry


def _mlp_lds(key):
    emission = Conditional(LATENT, OBS, head=GaussianHead, width=5, depth=1, key=key)
    return random_lds(1, emission=emission)


def _vrnn(key, head):
    return avfkit.VRNN(OBS, LATENT, hidden_size=6, width=5, depth=2, head=head, key=key)


def _srnn(key, head, **options):
    return avfkit.SRNN(OBS, LATENT, hidden_size=6, width=5, depth=1, head=head, key=key, **options)


MODELS = {
    "lds": lambda key: random_lds(0),
    "lds-mlp": _mlp_lds,
    "vrnn-bernoulli": lambda key: _vrnn(key, BernoulliHead),
    "vrnn-gaussian": lambda key: _vrnn(key, GaussianHead),
    "vrnn-discretised": lambda key: _vrnn(key, partial(DiscretisedGaussianHead, window=0.1)),
    "srnn-bernoulli": lambda key: _srnn(key, BernoulliHead),
    "srnn-avf-form": lambda key: _srnn(key, GaussianHead, embed_depth=0, latent_context=False),
    "svg": lambda key: avfkit.SVG((8, 8), LATENT, code_size=4, hidden_size=4, channels=2, key=key),
}

SGD = optax.sgd(0.01)


def _learned(model, key, **options):
    return avfkit.LearnedUpdate(model, width=8, key=key, **options)


FILTERS = {
    "own": lambda m, key: avfkit.DirectFilter.create(m, width=5, depth=1, key=key),
    "own-residual": lambda m, key: avfkit.DirectFilter.create(
        m, width=5, depth=1, residual_mean=True, key=key
    ),
    "own-recurrent": lambda m, key: avfkit.RecurrentFilter.create(m, hidden_size=4, key=key),
    "avf": lambda m, key: avfkit.IterativeFilter(_learned(m, key), 2),
    "avf-errors": lambda m, key: avfkit.IterativeFilter(
        _learned(m, key, signal=errors, gate_bias=1.0), 1
    ),
    "avf-step": lambda m, key: avfkit.IterativeFilter(
        _learned(m, key, rule=learned_step, normalise_mean=True, encode_observation=True),
        1,
        avfkit.MonteCarlo(2),
    ),
    "vfem": lambda m, key: avfkit.IterativeFilter(avfkit.GradientUpdate(SGD), 3),
    "vfem-full": lambda m, key: avfkit.IterativeFilter(
        avfkit.GradientUpdate(SGD, avfkit.FullGaussian), 2, avfkit.Cubature()
    ),
    "kalman": lambda m, key: avfkit.KalmanFilter(),
    "structured": lambda m, key: avfkit.StructuredFilter(_potential(key, FullGaussianHead)),
    "marginal-structured": lambda m, key: avfkit.MarginalFilter(
        avfkit.StructuredFilter(_potential(key, GaussianHead))
    ),
    "marginal-kalman": lambda m, key: avfkit.MarginalFilter(avfkit.KalmanFilter()),
    "marginal-avf": lambda m, key: avfkit.MarginalFilter(
        avfkit.IterativeFilter(_learned(m, key), 1)
    ),
}


def _potential(key, head):
    return Conditional(OBS, LATENT, head=head, width=5, depth=1, key=key)


def _rival(trunk, head, **options):
    def make(model, key):
        trunk_key, head_key = jr.split(key)
        reader = trunk(model.obs_size, 4, key=trunk_key)
        return avfkit.AmortizedSmoother(
            reader, head(reader.out_size, LATENT, width=5, **options, key=head_key)
        )

    return make


SMOOTHERS = {
    "kalman-smoother": lambda m, key: avfkit.KalmanSmoother(),
    "svae": lambda m, key: avfkit.StructuredSmoother(_potential(key, FullGaussianHead)),
    "svae-diagonal": lambda m, key: avfkit.StructuredSmoother(_potential(key, GaussianHead)),
    "svae-masked": lambda m, key: avfkit.Masked(
        avfkit.StructuredSmoother(_potential(key, GaussianHead)), jnp.array(0.4)
    ),
    "rnn-mf": _rival(BidirectionalRNN, avfkit.FactorisedHead),
    "rnn-ar-l": _rival(BidirectionalRNN, avfkit.LinearHead),
    "rnn-ar-nl": _rival(BidirectionalRNN, avfkit.NonlinearHead, hidden_size=4),
    "cnn-ar-l": _rival(partial(TemporalCNN, kernel=3, depth=2, features=4), avfkit.LinearHead),
}
INFERENCES = FILTERS | SMOOTHERS

NEEDS_LINEAR = {"kalman", "marginal-kalman", "kalman-smoother"}
NEEDS_LDS = {
    *("marginal-avf", "structured", "marginal-structured"),
    *("svae", "svae-diagonal", "svae-masked"),
}


def serves(inference, model):
    """Whether the method can serve the model, by the architecture's table."""
    if inference in NEEDS_LINEAR:
        return model == "lds"
    return inference not in NEEDS_LDS or model.startswith("lds")


ALL_PAIRS = [(m, i) for m in MODELS for i in INFERENCES if serves(i, m)]
REFUSED = [(m, i) for m in MODELS for i in INFERENCES if not serves(i, m)]

# Compiling is what the laws cost. Every pair is traced once (test_every_pair_runs); the laws are
# run on all pairs of the first models and methods, and on these of the others. The long run,
# `AVFKIT_EVERY_PAIR=1 pytest tests/test_laws.py tests/test_streaming.py`, holds all of them to all.
EVERY = os.environ.get("AVFKIT_EVERY_PAIR") == "1"
CHOSEN = {
    "vrnn-discretised": {"own", "avf-errors", "vfem"},
    "srnn-bernoulli": {"own-residual", "avf-errors"},
    "srnn-avf-form": {"own", "avf-step"},
    "svg": {"own-recurrent", "avf", "vfem"},
}
NEWER = {
    *("own-residual", "own-recurrent", "avf-errors"),
    *("rnn-mf", "rnn-ar-l", "rnn-ar-nl", "cnn-ar-l"),
}
PAIRS = [
    (m, i)
    for m, i in ALL_PAIRS
    if EVERY
    or (i in CHOSEN[m] if m in CHOSEN else i not in NEWER or m in ("vrnn-gaussian", "lds-mlp"))
]
FILTER_PAIRS = [(m, i) for m, i in PAIRS if i in FILTERS]


def make(model, inference, seed=0):
    """One (model, inference) pair of the registry."""
    model_key, inference_key = jr.split(jr.key(seed))
    built = MODELS[model](model_key)
    return built, INFERENCES[inference](built, inference_key)


def observations(model, length, seed=0):
    """A sequence the model can score: zeros and ones for a Bernoulli likelihood."""
    xs = np.random.default_rng(seed).normal(size=(length, 64 if model == "svg" else OBS))
    return jnp.array(xs > 0.5, jnp.result_type(float)) if "bernoulli" in model else jnp.array(xs)
