"""The particle filter's bound against exact answers, and against the bounds it lies between."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import avfkit
from avfkit._particles import _systematic
from tests.helpers import Wider, gappy_problem, make, observations, random_lds

KEY = jr.key(0)


@pytest.fixture(scope="module")
def problem():
    return gappy_problem(6)


@eqx.filter_jit
def bounds(objective, problem, inference, number, options):
    lds, xs, _ = problem
    keys = jr.split(KEY, number)
    return jax.vmap(lambda key: objective(lds, inference, xs, key=key, **options))(keys)


@pytest.mark.parametrize("num_samples", [4, 16])
def test_the_estimate_of_p_is_unbiased(problem, num_samples):
    """With a proposal so poor that almost every step resamples."""
    values = bounds(avfkit.fivo, problem, Wider(), 4_000, {"num_samples": num_samples})
    ratios = np.exp(-values - problem[2])
    error = ratios.std() / np.sqrt(len(ratios))
    assert error < 0.05
    assert abs(ratios.mean() - 1.0) < 4 * error
    assert values.mean() > -problem[2]


def test_the_exact_proposal_leaves_little_variance(problem):
    options = {"num_samples": 16}
    exact = bounds(avfkit.fivo, problem, avfkit.KalmanFilter(), 500, options)
    prior = avfkit.IterativeFilter(avfkit.GradientUpdate(optax.sgd(0.0)), 0)
    bootstrap = bounds(avfkit.fivo, problem, prior, 500, options)
    assert exact.std() < 0.5 * bootstrap.std()
    many = bounds(avfkit.fivo, problem, avfkit.KalmanFilter(), 20, {"num_samples": 500})
    np.testing.assert_allclose(many, -problem[2], atol=0.3)


def test_it_lies_between_the_free_energy_and_minus_log_p(problem):
    energy = bounds(avfkit.free_energy, problem, Wider(), 2_000, {})
    for fewer, more in [(1, 4), (4, 16)]:
        loose = bounds(avfkit.fivo, problem, Wider(), 2_000, {"num_samples": fewer})
        tight = bounds(avfkit.fivo, problem, Wider(), 2_000, {"num_samples": more})
        assert tight.mean() < loose.mean() - 4 * (tight.std() + loose.std()) / np.sqrt(2_000)
    assert -problem[2] < tight.mean() < energy.mean()


def test_resampling_pays_on_a_long_sequence():
    """Whole paths degenerate with the length; resampled ones do not (Maddison et al. 2017)."""
    lds = random_lds(4, latent=2, obs=3)
    xs, _ = avfkit.sample(lds, 60, key=KEY)
    case, options = (lds, xs, None), {"num_samples": 8}
    filtered = bounds(avfkit.fivo, case, Wider(), 200, options)
    whole = bounds(avfkit.iwae, case, Wider(), 200, options)
    assert filtered.mean() < whole.mean() - 6 * (filtered.std() + whole.std()) / np.sqrt(200)


@pytest.mark.parametrize("name", ["avf", "own"])
def test_one_particle_is_iwae_with_one_sample(name):
    model, inference = make("vrnn-gaussian", name)
    xs = observations("vrnn-gaussian", 4).at[1, 0].set(jnp.nan)

    def value_and_grad(objective):
        @eqx.filter_jit
        @eqx.filter_value_and_grad
        def run(tree):
            return objective(*tree, xs, key=KEY, num_samples=1, context=1)

        return run((model, inference))

    found, expected = value_and_grad(avfkit.fivo), value_and_grad(avfkit.iwae)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert any(np.abs(leaf).max() > 1e-4 for leaf in jax.tree.leaves(found[1][1]))


def test_nothing_observed_neither_weighs_nor_resamples(problem):
    lds, xs, _ = problem
    nothing = jnp.full((3, 3), jnp.nan)
    with_gap = jnp.concatenate([xs[:1], nothing])
    found = avfkit.fivo(lds, Wider(), with_gap, key=KEY, num_samples=4)
    expected = avfkit.fivo(lds, Wider(), xs[:1], key=KEY, num_samples=4)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert avfkit.fivo(lds, Wider(), nothing, key=KEY, num_samples=4) == 0.0


@pytest.mark.parametrize("length", [3, 6])
def test_padding_changes_nothing(problem, length):
    """Not a bit, whatever stands there, with particles that differ in weight at every step."""
    lds, xs, _ = problem
    padded = jnp.full((8, 3), 7.0).at[:6].set(xs)
    hidden = jnp.where(jnp.arange(8)[:, None] < length, padded, jnp.nan)
    seen = jnp.arange(8) < length

    def run(xs, observed=None):
        keys = jr.split(KEY, 5)
        return jax.vmap(
            lambda key: avfkit.fivo(lds, Wider(), xs, observed, key=key, num_samples=4)
        )(keys)

    expected = run(xs[:length])
    np.testing.assert_array_equal(run(padded, seen), expected)
    np.testing.assert_array_equal(run(hidden), expected)
    assert (run(padded) > expected + 1.0).all()
    weights = [Wider().infer(lds, xs[:length], key=key).log_weight for key in jr.split(KEY, 4)]
    spread = np.std(weights, axis=0)
    assert (spread[~np.isnan(xs[:length]).all(1)] > 0.1).all()


def test_a_context_is_neither_scored_nor_missing(problem):
    lds, xs, _ = problem

    def run(observed=None, context=0):
        return float(
            avfkit.fivo(lds, Wider(), xs, observed, key=KEY, num_samples=4, context=context)
        )

    assert len({run(context=2), run(jnp.arange(6) >= 2), run()}) == 3


def test_a_context_is_filtered_and_not_scored(problem):
    """One more particle filter: of the rest, from where q leaves the context."""
    lds, xs, _ = problem
    values = bounds(avfkit.fivo, problem, Wider(), 4_000, {"num_samples": 4, "context": 2})
    single = bounds(avfkit.iwae, problem, Wider(), 4_000, {"num_samples": 1, "context": 2})
    ratio = np.exp(-values).mean() / np.exp(-single).mean()
    np.testing.assert_allclose(ratio, 1.0, atol=0.1)
    assert values.mean() < single.mean()


def test_systematic_resampling_keeps_what_each_particle_is_due():
    weights = np.array([0.5, 0.26, 0.24, 0.0])
    draws = jax.vmap(lambda key: _systematic(jnp.log(weights), key=key))(jr.split(KEY, 4_000))
    counts = (np.asarray(draws)[:, :, None] == np.arange(4)).sum(1)
    assert (counts >= np.floor(4 * weights)).all() and (counts <= np.ceil(4 * weights)).all()
    np.testing.assert_allclose(counts.mean(0), 4 * weights, atol=0.03)


@pytest.mark.parametrize("method", [avfkit.KalmanSmoother(), avfkit.MarginalFilter(Wider())])
def test_what_does_not_step_is_refused(problem, method):
    with pytest.raises(TypeError) as error:
        avfkit.fivo(problem[0], method, problem[1], key=KEY, num_samples=2)
    assert str(error.value) == (
        "fivo needs a filter (a subclass of AbstractFilter), which proposes step by step; "
        f"{type(method).__name__} is not one. Use IterativeFilter or DirectFilter, or iwae, which "
        "serves every method that draws a joint path."
    )


def test_bad_numbers_are_named(problem):
    lds, xs, _ = problem
    with pytest.raises(ValueError, match="^num_samples is 0; expected at least 1.$"):
        avfkit.fivo(lds, Wider(), xs, key=KEY, num_samples=0)
    with pytest.raises(ValueError, match="^context is 6; expected from 0 to 5 for 6 steps.$"):
        avfkit.fivo(lds, Wider(), xs, key=KEY, num_samples=2, context=6)
