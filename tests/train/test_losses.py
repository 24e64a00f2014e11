from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from avfkit.train import batch_loss, fit, linear_anneal


class Batch(NamedTuple):
    x: np.ndarray
    observed: np.ndarray


def nats(model, inference, x, observed, *, key, context=0, kl_weight=1.0):
    """As many nats as there are observed entries from `context` on, times what one entry costs."""
    del key
    observed = observed[:, None] if observed.ndim < x.ndim else observed
    seen = (observed & ~jnp.isnan(x))[context:]
    return (model + kl_weight * inference) * jnp.sum(seen).astype(model.dtype)


def about(value):
    return pytest.approx(value, rel=1e-6)


def of(batch, tree=(2.0, 3.0), step=0, **options):
    tree = tuple(jnp.array(value) for value in tree)
    loss = batch_loss(nats, **options)
    value, metrics = loss(tree, batch, key=jr.key(0), step=jnp.array(step, jnp.int32))
    return float(value), {name: float(metric) for name, metric in metrics.items()}


def batch(observed_per_step=True):
    x = jnp.zeros((2, 4, 2)).at[0, 1].set(jnp.nan).at[1, 0, 0].set(jnp.nan)
    observed = jnp.array([[True, True, True, False], [True, False, False, False]])
    if not observed_per_step:
        observed = jnp.repeat(observed[..., None], 2, axis=-1).at[0, 0, 1].set(False)
    return Batch(x, observed)


def test_it_is_per_step_with_any_observation():
    assert of(batch()) == (about(5.0 * 5 / 3), {"observed_steps": 3})
    assert of(batch(observed_per_step=False)) == (about(5.0 * 4 / 3), {"observed_steps": 3})


def test_context_is_neither_scored_nor_counted():
    assert of(batch(), context=1) == (5.0 * 2 / 1, {"observed_steps": 1})


def test_a_negative_context_is_refused():
    with pytest.raises(ValueError) as caught:
        batch_loss(nats, context=-1)
    assert str(caught.value) == "context is -1, expected at least 0."


def test_nothing_observed_is_no_division_by_zero():
    empty = Batch(jnp.zeros((2, 4, 2)), jnp.zeros((2, 4), bool))
    assert of(empty) == (0.0, {"observed_steps": 0})


def test_the_kl_weight_follows_the_step():
    anneal = linear_anneal(10)
    assert of(batch(), step=0, kl_weight=anneal)[0] == about(2.0 * 5 / 3)
    value, metrics = of(batch(), step=5, kl_weight=anneal)
    assert (value, metrics["kl_weight"]) == (about(3.5 * 5 / 3), 0.5)
    assert of(batch(), step=11, kl_weight=anneal)[0] == about(5.0 * 5 / 3)


def test_what_the_objective_adds_is_averaged_as_the_loss():
    def with_terms(model, inference, x, observed, *, key):
        value = nats(model, inference, x, observed, key=key)
        return value, {"half": 0.5 * value, "both": jnp.stack([value, 2.0 * value])}

    loss = batch_loss(with_terms)
    value, metrics = loss(
        (jnp.array(2.0), jnp.array(3.0)), batch(), key=jr.key(0), step=jnp.array(0)
    )
    assert metrics["half"] == about(float(value) / 2) and metrics["observed_steps"] == 3
    np.testing.assert_allclose(metrics["both"], [value, 2 * value], rtol=1e-6)


def test_every_sequence_has_its_own_key():
    def draw(model, inference, x, observed, *, key):
        return jr.normal(key)

    key = jr.key(7)
    value, _ = batch_loss(draw)((0, 0), batch(), key=key, step=jnp.array(0))
    expected = sum(jr.normal(k) for k in jr.split(key, 2)) / 3
    assert value == about(float(expected))


def test_annealing_in_a_run_compiles_once():
    traces = []

    def objective(model, inference, x, observed, *, key, kl_weight):
        traces.append(kl_weight)
        return jnp.sum((x - model) ** 2) + kl_weight * inference**2

    loss = batch_loss(objective, kl_weight=linear_anneal(4))
    made = Batch(np.ones((2, 3, 1)), np.ones((2, 3), bool))
    tree = (jnp.zeros(()), jnp.ones(()))
    options = {"optimizer": optax.sgd(0.1), "num_steps": 6, "key": jr.key(0), "log_every": 1}
    history = fit(tree, loss, lambda step: made, **options).history
    assert [record["kl_weight"] for record in history] == [0, 0.25, 0.5, 0.75, 1, 1]
    assert len(traces) == 1


def test_linear_anneal():
    weights = jax.vmap(linear_anneal(4))(jnp.arange(6, dtype=jnp.int32))
    assert np.array_equal(weights, [0, 0.25, 0.5, 0.75, 1, 1])
    with pytest.raises(ValueError) as caught:
        linear_anneal(0)
    assert str(caught.value) == "num_steps is 0, expected at least 1."
