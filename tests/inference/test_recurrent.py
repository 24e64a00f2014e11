"""SVG's own filter: a memory of the observations."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit._model import prepare
from tests.helpers import make, observations

KEY = jr.key(0)


def test_it_reads_the_observations_in_order_and_nothing_else():
    model, own = make("vrnn-gaussian", "own-recurrent")
    xs = observations("vrnn-gaussian", 3)
    one, other = (own.infer(model, xs, key=jr.key(seed)) for seed in (0, 1))
    assert not np.allclose(one.z, other.z)
    np.testing.assert_array_equal(one.posterior.mean, other.posterior.mean)  # not of the path
    state = own.memory.initial
    for t in range(3):
        state = own.memory(state, model.features(xs[t]))
        np.testing.assert_allclose(one.posterior.mean[t], own.head(state[-1][0]).mean, rtol=1e-10)


def test_it_trains_end_to_end_or_detached():
    model, own = make("vrnn-gaussian", "own-recurrent")
    xs = observations("vrnn-gaussian", 3)
    detached = avfkit.RecurrentFilter(own.memory, own.head, own.sizes, through_past=False)

    def last(filter):
        return jax.grad(lambda m: m.infer(model, xs, key=KEY).reconstruction[-1], allow_int=True)(
            filter
        ).head.linear.bias

    assert not np.allclose(last(own), last(detached))


GAP = slice(2, 4)  # of six steps


@pytest.fixture(params=[True, False], ids=["end to end", "detached"])
def gap(request):
    """A model, its recurrent filter, and a sequence of which two steps are missing."""
    model, own = make("vrnn-gaussian", "own-recurrent")
    own = avfkit.RecurrentFilter(own.memory, own.head, own.sizes, through_past=request.param)
    return model, own, observations("vrnn-gaussian", 6), jnp.ones(6, bool).at[GAP].set(False)


def test_in_a_gap_it_believes_the_prior(gap):
    model, own, xs, seen = gap
    trace = own.infer(model, xs, seen, key=KEY)
    q, p = trace.posterior, trace.prior
    for found, expected in ((q.mean, p.mean), (q.log_var, p.log_var)):
        np.testing.assert_array_equal(found[GAP], expected[GAP])
        assert (np.abs(found - expected).max(1)[np.asarray(seen)] > 1e-3).all()
    np.testing.assert_array_equal(trace.free_energy[GAP], 0.0)


@pytest.mark.parametrize("hidden", [7.0, -1e30, np.nan])
def test_over_a_gap_its_memory_reads_zeros(gap, hidden):
    model, own, xs, seen = gap
    raw = prepare(model, xs.at[GAP].set(hidden), seen)
    carried = own.filtered(model, *raw, key=KEY)[1][1]
    state = own.memory.initial
    for t in range(6):
        state = own.memory(state, model.features(xs[t] if seen[t] else jnp.zeros(4)))
        for found, expected in zip(jax.tree.leaves(carried), jax.tree.leaves(state), strict=True):
            np.testing.assert_allclose(found[t], expected, rtol=1e-10)
    whole = own.filtered(model, *prepare(model, xs, None), key=KEY)[1][1]
    assert not np.allclose(whole[-1][0][3], carried[-1][0][3])


def test_gradients_cross_a_gap_and_stay_finite(gap):
    model, own, xs, _ = gap
    hidden = xs.at[GAP].set(jnp.nan)

    @eqx.filter_jit
    @eqx.filter_grad
    def last(tree):
        return avfkit.free_energy(*tree, hidden, key=KEY, context=5)

    gradient = last((model, own))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    start = jax.tree.leaves(gradient[1].memory.initial)
    assert all(np.abs(leaf).max() > 1e-9 for leaf in start)


def test_another_model_is_refused():
    _, own = make("vrnn-gaussian", "own-recurrent")
    model, _ = make("svg", "own-recurrent")
    message = (
        r"^RecurrentFilter maps 5 features to a latent of 3; this SVG has 4 features and a latent "
        r"of 3\.$"
    )
    with pytest.raises(ValueError, match=message):
        own.infer(model, jnp.zeros((2, 64)), key=KEY)
