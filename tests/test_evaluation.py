"""Evaluation in padded batches equals one sequence at a time."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit import data
from tests.helpers import make, random_lds

KEY = jr.key(0)


def ragged(lengths, obs):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, obs)).astype(np.float32) for length in lengths]


def test_padded_batches_equal_one_at_a_time():
    model, inference = make("vrnn-gaussian", "avf")
    sequences = ragged([3, 7, 5], 4)
    together = avfkit.evaluate(model, inference, [data.pad(sequences)], key=KEY)
    energies, steps = [], np.array([3, 7, 5])
    for index, xs in enumerate(sequences):
        trace = inference.infer(model, xs, key=jr.fold_in(KEY, index))
        energies.append(float(trace.free_energy.sum()))
    np.testing.assert_allclose(together.all_steps, sum(energies) / steps.sum(), rtol=1e-6)
    np.testing.assert_allclose(together.mean_of_sequences, np.mean(energies / steps), rtol=1e-6)
    np.testing.assert_allclose(together.all_steps, together.reconstruction + together.kl, rtol=1e-6)
    assert len(together.per_iteration) == 3 and together.steps == 15


def test_context_and_missing_steps_are_not_counted():
    lds = random_lds(0, latent=2, obs=3)
    kalman = avfkit.MarginalFilter(avfkit.KalmanFilter())
    (xs,) = ragged([6], 3)
    xs[4] = np.nan
    found = avfkit.evaluate(lds, kalman, [data.pad([xs])], key=KEY, context=1)
    terms = kalman.infer(lds, xs, key=KEY).free_energy
    assert found.steps == 4
    np.testing.assert_allclose(found.all_steps, float(terms[1:].sum()) / 4, rtol=1e-6)


def test_nothing_to_score_is_said():
    lds = random_lds(0, latent=2, obs=3)
    kalman = avfkit.KalmanFilter()
    with pytest.raises(ValueError, match="^batches is empty; expected at least one batch of seq"):
        avfkit.evaluate(lds, kalman, [], key=KEY)
    batch = data.Batch(np.zeros((1, 2, 3)), np.ones((1, 2), bool))
    message = "^no step is scored: all are missing, or within the context of 2.$"
    with pytest.raises(ValueError, match=message):
        avfkit.evaluate(lds, kalman, [batch], key=KEY, context=2)


def test_samples_follow_the_model():
    lds = random_lds(0, latent=2, obs=3)
    keys = jr.split(KEY, 20_000)
    import jax

    xs, zs = jax.jit(jax.vmap(lambda key: avfkit.sample(lds, 3, key=key)))(keys)
    chain = lds.chain
    mean, cov = chain.initial_mean, chain.initial_cov
    for t in range(3):
        np.testing.assert_allclose(zs[:, t].mean(0), mean, atol=0.05)
        np.testing.assert_allclose(jnp.cov(zs[:, t].T), cov, atol=0.1)
        expected = lds.emission.matrix @ mean + lds.emission.bias
        np.testing.assert_allclose(xs[:, t].mean(0), expected, atol=0.1)
        mean, cov = avfkit.kalman.predict(chain, mean, cov)
    with pytest.raises(ValueError, match="^length is 0; expected at least 1.$"):
        avfkit.sample(lds, 0, key=KEY)
