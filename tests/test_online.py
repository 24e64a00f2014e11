"""The E-step learned at every time step: equal to the per-batch loss where it must be."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import avfkit
from avfkit import data
from avfkit.train import batch_loss, fit, linear_anneal
from tests.helpers import make, random_lds

KEY = jr.key(0)
STEP = jnp.array(3)


def batch_of(length, size=3):
    xs = np.random.default_rng(0).normal(size=(size, length, 4)).astype(jnp.result_type(float))
    observed = np.ones((size, length), bool)
    observed[0, -1] = False
    return data.Batch(xs, observed)


@pytest.fixture(scope="module")
def pair():
    return make("vrnn-gaussian", "avf")


def differences(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(np.abs(np.asarray(x, float) - np.asarray(y, float)).max() for x, y in pairs)


def arrays(tree):
    return eqx.filter(tree, eqx.is_inexact_array)


@eqx.filter_jit
def evaluated(loss, tree, batch):
    def run(tree):
        value, _, *learned = loss(tree, batch, key=KEY, step=STEP)
        return value, arrays(learned)

    (value, learned), gradient = eqx.filter_value_and_grad(run, has_aux=True)(tree)
    return value, learned, gradient


@pytest.mark.parametrize("context", [0, 1])
def test_without_learning_it_is_the_loss_of_the_batch(pair, context):
    model, avf = pair
    options = {"kl_weight": linear_anneal(10), "context": context}
    still = optax.sgd(0.0)
    online = avfkit.Online.create(avf, still)
    loss = avfkit.online_e_step_loss(still, **options)
    found, (tree,), gradient = evaluated(loss, (model, online), batch_of(3))
    per_batch = batch_loss(avfkit.free_energy, **options)
    expected, _, reference = evaluated(per_batch, (model, avf), batch_of(3))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert differences(gradient[0], reference[0]) < 1e-12
    assert differences(arrays(tree[1].inference), arrays(avf)) == 0.0
    assert all(np.all(leaf == 0.0) for leaf in jax.tree.leaves(gradient[1]))


def test_one_time_step_is_one_step_of_the_optimizer(pair):
    model, avf = pair
    adam, batch = optax.adam(0.01), batch_of(1, size=2)
    batch.observed[:] = True
    tree = (model, avfkit.Online.create(avf, adam))
    found = evaluated(avfkit.online_e_step_loss(adam), tree, batch)[1][0][1].inference
    gradient = evaluated(batch_loss(avfkit.free_energy), (model, avf), batch)[2][1]
    with jax.numpy_dtype_promotion("standard"):
        updates, _ = adam.update(gradient, adam.init(arrays(avf)))
    assert differences(found, arrays(eqx.apply_updates(avf, updates))) < 1e-12
    assert differences(found, arrays(avf)) > 0.005


def test_each_step_is_inferred_by_what_the_last_has_taught(pair):
    """By hand: one optimizer step after each of three time steps."""
    model, avf = pair
    sgd, batch = optax.sgd(0.1), batch_of(3)
    tree = (model, avfkit.Online.create(avf, sgd))
    found, (learned,), _ = evaluated(avfkit.online_e_step_loss(sgd), tree, batch)
    keys, total, x_dtype = jr.split(KEY, 3), 0.0, batch.x.dtype
    loops = [(model.init(), ())] * 3
    loops = jax.tree.map(lambda *leaves: jnp.stack(leaves), *loops)

    @eqx.filter_jit
    def step(avf, loops, t):
        def one(loop, x, seen, key):
            entries = jnp.broadcast_to(seen, x.shape)
            key = jr.fold_in(key, t)
            return avf.step(model, (loop[0], None), x, entries, key=key)

        seen = jnp.array(batch.observed)[:, t]
        (states, _), trace = jax.vmap(one)(loops, jnp.array(batch.x)[:, t], seen, keys)
        energies = jnp.where(seen, trace.iterations[:, 1:].mean(1), 0.0)
        return energies.sum() / seen.sum().astype(x_dtype), ((states, ()), trace)

    for t in range(3):
        teach = eqx.filter_grad(step, has_aux=True)
        gradient, (loops, trace) = teach(avf, loops, jnp.array(t))
        total += trace.free_energy.sum()
        avf = eqx.apply_updates(avf, jax.tree.map(lambda g: -0.1 * g, gradient))
    np.testing.assert_allclose(found, total / 8, rtol=1e-9)
    assert differences(learned[1].inference, arrays(avf)) < 1e-9


def test_padding_and_missing_steps_teach_nothing(pair):
    model, avf = pair
    adam, short = optax.adam(0.01), batch_of(2)
    tree = (model, avfkit.Online.create(avf, adam))
    tail = np.full((3, 2, 4), 7.0, short.x.dtype)
    hidden = np.zeros((3, 2), bool)
    xs, observed = np.concatenate([short.x, tail], 1), np.concatenate([short.observed, hidden], 1)
    loss = avfkit.online_e_step_loss(adam)
    found = evaluated(loss, tree, data.Batch(xs, observed))
    expected = evaluated(loss, tree, short)
    for a, b in zip(found, expected, strict=True):
        assert differences(a, b) < 1e-12
    nothing = data.Batch(short.x, np.zeros((3, 2), bool))
    value, (learned,), _ = evaluated(loss, tree, nothing)
    assert value == 0.0 and differences(learned[1], arrays(tree[1])) == 0.0


def test_an_avf_learns():
    """On an LDS of which the model is known: its free energy nears that of the exact filter."""
    lds = random_lds(0)
    xs, _ = jax.vmap(lambda key: avfkit.sample(lds, 8, key=key))(jr.split(KEY, 40))
    batch = data.Batch(np.asarray(xs), np.ones((40, 8), bool))
    avf = avfkit.IterativeFilter(avfkit.LearnedUpdate(lds, width=16, key=KEY), 1)
    adam = optax.adam(3e-3)
    result = fit(
        (lds, avfkit.Online.create(avf, adam)),
        avfkit.online_e_step_loss(adam),
        lambda step: batch,
        optimizer=optax.set_to_zero(),
        num_steps=60,
        key=KEY,
        log_every=60,
    )
    model, online = result.tree

    def score(inference):
        return avfkit.evaluate(lds, inference, [batch], key=jr.key(1)).all_steps

    exact, before, after = score(avfkit.KalmanFilter()), score(avf), score(online.inference)
    assert differences(arrays(model), arrays(lds)) == 0.0
    assert after - exact < 0.6 * (before - exact)


def test_the_optimizer_of_fit_moves_the_model_only(pair):
    model, avf = pair
    tree = (model, avfkit.Online.create(avf, optax.sgd(0.0)))
    loss = avfkit.online_e_step_loss(optax.sgd(0.0))
    options = {"optimizer": optax.adam(0.01), "num_steps": 2, "key": KEY}
    last = fit(tree, loss, lambda step: batch_of(2), **options).last
    assert differences(arrays(last[1]), arrays(tree[1])) == 0.0
    assert differences(arrays(last[0]), arrays(model)) > 0.005


def test_what_cannot_learn_so_is_named(pair):
    model, own = make("vrnn-gaussian", "own")
    sgd = optax.sgd(0.1)
    with pytest.raises(ValueError) as error:
        avfkit.online_e_step_loss(sgd)(
            (model, avfkit.Online.create(own, sgd)), batch_of(2), key=KEY, step=STEP
        )
    assert str(error.value) == (
        "online_e_step_loss needs a filter that iterates, such as an IterativeFilter with "
        "num_iterations of 1 or more; this DirectFilter does not. Use "
        "train.batch_loss(free_energy)."
    )
    loss = avfkit.online_e_step_loss(sgd, context=2)
    with pytest.raises(ValueError, match="^context is 2; expected from 0 to 1 for 2 steps.$"):
        loss((model, avfkit.Online.create(own, sgd)), batch_of(2), key=KEY, step=STEP)
