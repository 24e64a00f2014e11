"""AVF's detached EM scheme for the models' own filters: what each gradient teaches."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit._inference import StepProblem
from avfkit._model import prepare, step_keys
from tests.helpers import make, observations

KEY = jr.key(0)
NAMES = ["own", "own-recurrent"]


def case(name):
    model, own = make("vrnn-gaussian", name)
    detached = type(own).create(
        model, **SIZES[name], through_past=False, key=jr.split(jr.key(0))[1]
    )
    return model, own, detached, observations("vrnn-gaussian", 4).at[2, 1].set(jnp.nan)


SIZES = {"own": {"width": 5, "depth": 1}, "own-recurrent": {"hidden_size": 4}}


@eqx.filter_jit
def gradient(model, inference, xs):
    @eqx.filter_grad
    def run(tree):
        return avfkit.free_energy(*tree, xs, key=KEY)

    return run((model, inference))


def constant(tree):
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(jax.lax.stop_gradient(arrays), rest)


def encoded(filter, carry, problem):
    """q_t and the filter's memory, written out: features and context are the model's."""
    features = problem.model.features(problem.x)
    if isinstance(filter, avfkit.DirectFilter):
        return filter.encoder(jnp.append(features, problem.model.context(problem.state))), carry
    carry = filter.memory(carry, features)
    return filter.head(carry[-1][0]), carry


def norm(tree):
    return max(np.abs(leaf).max() for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("name", NAMES)
def test_the_value_is_that_of_end_to_end_training(name):
    model, own, detached, xs = case(name)
    found = avfkit.free_energy(model, detached, xs, key=KEY)
    np.testing.assert_allclose(found, avfkit.free_energy(model, own, xs, key=KEY), rtol=1e-12)
    trace = detached.infer(model, xs, key=KEY)
    assert trace.iterations.shape == (4, 2)


@pytest.mark.parametrize("name", NAMES)
def test_the_model_learns_as_if_the_draws_were_data(name):
    """The M-step: a gradient in theta of log p(x, z) - log q(z) along the fixed path."""
    model, _, detached, raw = case(name)
    xs, seen = prepare(model, raw, None)
    trace = detached.infer(model, raw, key=KEY)
    keys, fixed = step_keys(4, key=KEY), constant(detached)

    @eqx.filter_jit
    @eqx.filter_grad
    def m_step(model):
        state, carry, total = model.init(), detached.init(model), 0.0
        for t in range(4):
            prior = model.prior(state)
            problem = StepProblem(model, state, prior, xs[t], seen[t], 1.0)
            q, carry = encoded(fixed, jax.lax.stop_gradient(carry), problem)
            likelihood = model.likelihood(state, trace.z[t])
            total += avfkit.kl(q, prior) - likelihood.log_prob(xs[t], seen[t])
            drawn = likelihood.sample(key=jr.split(keys[t], 3)[2])
            x = jnp.where(seen[t], xs[t], jax.lax.stop_gradient(drawn))
            state = model.next(state, x, trace.z[t])
        return total

    found, expected = gradient(model, detached, raw)[0], m_step(model)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_end_to_end_training_goes_through_the_draws(name):
    model, own, detached, xs = case(name)
    ends = [gradient(model, inference, xs)[0] for inference in (own, detached)]
    assert norm(jax.tree.map(lambda a, b: a - b, *ends)) > 1e-3


def test_the_encoder_learns_from_each_step_alone():
    """The E-step: the reconstruction teaches it too, model and past fixed."""
    model, _, detached, raw = case("own")
    xs, seen = prepare(model, raw, None)
    trace = detached.infer(model, raw, key=KEY)
    states = model.states(xs, seen, trace.z, key=KEY)  # up to what is imputed after step 2

    @eqx.filter_jit
    @eqx.filter_grad
    def e_step(encoder, t):
        state = jax.tree.map(lambda leaf: leaf[t], states)
        problem = StepProblem(model, state, model.prior(state), xs[t], seen[t], 1.0)
        q = encoder(jnp.append(model.features(xs[t]), model.context(state)))
        noise = jr.normal(jr.split(step_keys(4, key=KEY)[t], 3)[0], (2, 1, 3))
        return problem.free_energy(q, noise[1])

    parts = [e_step(detached.encoder, jnp.array(t)) for t in range(3)]
    expected = jax.tree.map(lambda *leaves: sum(leaves), *parts)
    found = gradient(model, detached, raw[:3])[1].encoder
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_a_memory_of_its_own_is_learned_through_time():
    model, _, detached, xs = case("own-recurrent")
    assert norm(gradient(model, detached, xs)[1].memory) > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_missing_steps_teach_nothing(name):
    model, _, detached, xs = case(name)
    longer = jnp.concatenate([xs, jnp.full((2, 4), jnp.nan)])
    found, expected = gradient(model, detached, longer), gradient(model, detached, xs)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)
