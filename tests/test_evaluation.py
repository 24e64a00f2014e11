"""Evaluation in padded batches equals one sequence at a time."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit import data
from avfkit.nn import LinearGaussian
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


def test_no_grouping_and_no_padding_changes_a_result():
    """The key of a sequence is its number in the data set, whatever batch it comes in."""
    sequences = ragged([3, 9, 5, 7], 4)
    sequences[1][4:6] = np.nan
    sequences[3][2, 1] = np.nan
    dataset = data.Dataset("d", sequences)
    model, own = make("vrnn-gaussian", "own")
    options = {"context": 1, "num_samples": 2}
    one_at_a_time, pairs, whole = (
        avfkit.evaluate(model, own, batches, key=KEY, **options)
        for batches in (
            data.evaluation_batches(dataset, 1),
            data.evaluation_batches(dataset, 2, buckets=[16]),
            [data.pad(dataset)],
        )
    )
    for other in (pairs, whole):
        for a, b in zip(one_at_a_time, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9)
    assert whole.steps == 24 - 2 - 4


def test_sequences_without_numbers_are_counted():
    model, own = make("vrnn-gaussian", "own")
    first, second = ragged([4, 4], 4)
    split = avfkit.evaluate(model, own, [data.pad([first]), data.pad([second])], key=KEY)
    whole = avfkit.evaluate(model, own, [data.pad([first, second])], key=KEY)
    np.testing.assert_allclose(split.all_steps, whole.all_steps, rtol=1e-9)


def test_bits_are_per_observed_entry():
    lds = random_lds(0, latent=2, obs=3)
    kalman = avfkit.MarginalFilter(avfkit.KalmanFilter())
    (xs,) = ragged([6], 3)
    xs[4], xs[2, 1] = np.nan, np.nan
    found = avfkit.evaluate(lds, kalman, [data.pad([xs])], key=KEY, context=1)
    nats = float(avfkit.free_energy(lds, kalman, xs, key=KEY, context=1))
    np.testing.assert_allclose(found.bits_per_entry, nats / (4 * 3 - 1) / np.log(2), rtol=1e-6)
    assert (found.iwae, found.iwae_standard_error, found.fivo) == (None, None, None)


def test_bounds_are_ordered_and_carry_their_spread():
    lds = random_lds(0, latent=2, obs=3)
    own = avfkit.DirectFilter.create(lds, width=5, depth=1, key=KEY)
    batch = data.pad(ragged([3, 5, 4] * 20, 3))
    exact = avfkit.evaluate(lds, avfkit.KalmanSmoother(), [batch], key=KEY, num_samples=2)
    found = avfkit.evaluate(lds, own, [batch], key=KEY, num_samples=8)
    assert exact.fivo is None and exact.fivo_standard_error is None
    assert exact.iwae is not None and found.iwae is not None and found.fivo is not None
    assert exact.iwae < found.iwae < found.all_steps and exact.iwae < found.fivo < found.all_steps
    assert exact.iwae_standard_error > 0.0
    iwae = eqx.filter_jit(avfkit.iwae)
    log_p = [float(iwae(lds, avfkit.KalmanSmoother(), x, s, key=KEY, num_samples=1))
             for x, s in zip(batch.x[:3], batch.observed[:3], strict=True)]  # fmt: skip
    few = avfkit.evaluate(
        lds, avfkit.KalmanSmoother(), [data.Batch(batch.x[:3], batch.observed[:3])],
        key=KEY, num_samples=1,
    )  # fmt: skip
    np.testing.assert_allclose(few.iwae, sum(log_p) / 12, rtol=1e-9)
    residual = np.array(log_p) - np.array([3, 5, 4]) * sum(log_p) / 12
    error = np.sqrt((residual**2).sum() * 3 / 2) / 12
    np.testing.assert_allclose(few.iwae_standard_error, error, rtol=1e-6)


def test_a_sequence_within_the_context_adds_nothing_to_a_bound():
    lds = random_lds(0, latent=2, obs=3)
    long, short = ragged([4, 1], 3)
    options = {"key": KEY, "num_samples": 2, "context": 1}
    both = avfkit.evaluate(lds, avfkit.KalmanFilter(), [data.pad([long]), data.pad([short])],
                           **options)  # fmt: skip
    alone = avfkit.evaluate(lds, avfkit.KalmanFilter(), [data.pad([long])], **options)
    assert (both.iwae, both.fivo, both.steps) == (alone.iwae, alone.fivo, alone.steps)


def test_what_each_entry_of_the_latent_carries():
    """Entry 1 neither enters the emission nor is it moved: its KL is zero and it is not active."""
    matrix = np.array([[1.0, 0.0], [-2.0, 0.0], [0.5, 0.0]])
    emission = LinearGaussian.from_parameters(matrix, np.zeros(3), np.full(3, 0.1))
    eye = np.eye(2)
    lds = avfkit.LDS.from_parameters(
        np.zeros(2), eye, 0.5 * eye, np.zeros(2), eye, emission=emission
    )
    kalman, sequences = avfkit.MarginalFilter(avfkit.KalmanFilter()), ragged([3, 7, 5], 3)
    sequences[1][2] = np.nan
    found = avfkit.evaluate(lds, kalman, [data.pad(sequences)], key=KEY, context=1)
    nats, means = [], []
    for index, xs in enumerate(sequences):
        trace = kalman.infer(lds, xs, key=jr.fold_in(KEY, index))
        scored = ~np.isnan(xs).all(1) & (np.arange(len(xs)) >= 1)
        per_entry = [
            avfkit.kl_per_dimension(*(jax.tree.map(lambda leaf, t=t: leaf[t], g) for g in pair))
            for pair in [(trace.posterior, trace.prior)]
            for t in np.flatnonzero(scored)
        ]
        nats += per_entry
        means += [*np.asarray(trace.posterior.mean)[scored]]
    np.testing.assert_allclose(found.kl_per_dimension, np.mean(nats, 0), atol=1e-9)
    np.testing.assert_allclose(found.mean_variance, np.var(means, 0), atol=1e-9)
    assert found.kl_per_dimension[0] > 0.5 and found.kl_per_dimension[1] < 1e-9
    assert found.active_units == 1 and found.collapse == ""
    asleep = found._replace(kl_per_dimension=[0.5, 0.0, 0.009])
    assert asleep.collapse == (
        "posterior collapse: 2 of 3 entries of the latent carry less than 0.01 nats per step."
    )


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
