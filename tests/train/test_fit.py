import json

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from avfkit.train import fit
from train.regression import data, loss, make_tree, same_bits, train, validate


def quadratic(tree, batch, *, key, step):
    del key, step
    return jnp.sum((tree - batch) ** 2), {}


def constant(step):
    del step
    return np.ones(2, np.float32)


def start():
    return jnp.zeros(2, jnp.float32)


def small(tree=None, loss=quadratic, data=constant, **changes):
    options = {"optimizer": optax.sgd(0.25), "num_steps": 8, "key": jr.key(0), "log_every": 2}
    return fit(start() if tree is None else tree, loss, data, **(options | changes))


def message_of(error, **arguments):
    with pytest.raises(error) as caught:
        small(**arguments)
    return str(caught.value)


def test_it_learns():
    result = train(num_steps=200, optimizer=optax.adam(3e-2), validate_every=50)
    assert validate(result.tree) == result.best_score < 0.5 * validate(make_tree())
    assert result.step == 200
    assert result.seconds > result.compile_seconds > 0
    assert result.tree["activation"] is jnp.tanh


def test_the_steps_are_those_of_optax():
    tree, optimizer = make_tree(), optax.adam(1e-2)
    params, static = eqx.partition(tree, eqx.is_inexact_array)
    opt_state = optimizer.init(params)
    for step in range(3):
        key = jr.fold_in(jr.key(3), step)

        def objective(params, step=step, key=key):
            tree = eqx.combine(params, static)
            return loss(tree, data(step), key=key, step=jnp.array(step))[0]

        grads = jax.grad(objective)(params)
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimizer.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
    last = eqx.filter(train(num_steps=3, validate=None).last, eqx.is_inexact_array)
    for found, expected in zip(jax.tree.leaves(last), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_callers_arrays_survive():
    tree, key, kept = make_tree(), jr.key(1), []

    def keep(tree):
        kept.append(tree)
        return -float(len(kept))

    result = small(tree, loss, data, key=key, validate=keep, validate_every=2)
    arrays = jax.tree.leaves(eqx.filter((tree, key, kept, result), eqx.is_array))
    assert not any(array.is_deleted() for array in arrays if isinstance(array, jax.Array))
    assert same_bits(tree, make_tree())
    assert key == jr.key(1)
    assert not same_bits(kept[0], kept[1])
    assert same_bits(result.tree, kept[-1])


def test_numpy_arrays_are_trained_and_survive():
    tree = np.zeros(2, np.float32)
    assert np.allclose(small(tree).tree, 1, atol=0.01)
    assert np.array_equal(tree, np.zeros(2))


def test_the_step_is_traced_once():
    traces = []

    def counted(tree, batch, *, key, step):
        assert isinstance(step, jax.Array) and step.dtype == jnp.int32
        traces.append(step)
        weight = jnp.minimum(step.astype(tree.dtype), 5)
        return quadratic(tree, batch, key=key, step=step)[0] * weight, {"weight": weight}

    weak = jnp.asarray(0.5)
    assert weak.weak_type
    options = {"num_steps": 12, "log_every": 1, "optimizer": optax.adam(0.1)}
    result = small(weak, counted, lambda step: 2.0 * step, **options)
    assert [record["weight"] for record in result.history] == [0, 1, 2, 3, 4, *[5] * 7]
    assert len(traces) == 1


def test_the_key_of_a_step_is_folded_in():
    def drawn(tree, batch, *, key, step):
        return jnp.sum(tree * batch), {"draw": jr.uniform(key)}

    history = small(loss=drawn, key=jr.key(5), log_every=1).history
    expected = [float(jr.uniform(jr.fold_in(jr.key(5), step))) for step in range(8)]
    np.testing.assert_allclose([record["draw"] for record in history], expected, rtol=1e-6)


def test_two_learning_rates():
    rates = {"slow": optax.sgd(0.01), "fast": optax.sgd(0.1), "frozen": optax.set_to_zero()}
    labels = {"a": "slow", "b": "fast", "c": "frozen"}

    def objective(tree, batch, *, key, step):
        return sum(jnp.sum(leaf * batch) for leaf in tree.values()), {}

    tree = {name: start() for name in labels}
    last = small(tree, objective, optimizer=optax.multi_transform(rates, labels)).last
    np.testing.assert_allclose([last[name][0] for name in "abc"], [-0.08, -0.8, 0], rtol=1e-5)


def test_an_optimizer_may_look_at_the_loss():
    plateau = optax.contrib.reduce_on_plateau(factor=0.5, patience=1)
    flat = small(loss=lambda tree, batch, **_: (jnp.sum(tree * 0), {}), optimizer=plateau)
    assert same_bits(flat.last, start())


def test_only_floating_point_arrays_move():
    tree = {"w": start(), "count": jnp.array(3), "key": jr.key(2)}

    def objective(tree, batch, *, key, step):
        return jnp.sum((tree["w"] - batch) ** 2), {"count": tree["count"]}

    last = small(tree, objective, num_steps=1).last
    assert last["count"] == 3 and last["key"] == jr.key(2)
    assert np.array_equal(last["w"], [0.5, 0.5])


def test_it_stops_early_and_keeps_the_best():
    scores = iter([3.0, 1.0, 2.0, 1.0, 4.0, 0.0])
    seen = []

    def script(tree):
        seen.append(tree)
        return next(scores)

    result = small(num_steps=60, validate=script, validate_every=5, patience=3)
    assert (result.step, result.best_score) == (25, 1.0)
    assert same_bits(result.tree, seen[1]) and not same_bits(result.tree, result.last)
    rows = [record for record in result.history if record["kind"] == "validation"]
    assert [row["score"] for row in rows] == [3, 1, 2, 1, 4]
    assert [row["best_score"] for row in rows] == [3, 1, 1, 1, 1]


def test_without_validation_the_last_tree_counts():
    result = small()
    assert same_bits(result.tree, result.last)
    assert result.best_score == np.inf


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_stops_the_run(bad, tmp_path):
    def data(step):
        return np.full(2, bad if step == 5 else 1, np.float32)

    def objective(tree, batch, *, key, step):
        return jnp.sum(tree * batch), {}

    tree = jnp.full(2, 9, jnp.float32)
    arguments = {"tree": tree, "loss": objective, "data": data, "checkpoint_every": 2}
    message = message_of(FloatingPointError, folder=tmp_path, num_steps=50, **arguments)
    assert message == (
        f"the loss is {bad} at step 5 (counted from 0). Not finite: the gradient of the tree (1 of "
        f"1 parameters). The last good checkpoint is {tmp_path / 'checkpoint.avfkit'}, after 4 "
        "steps."
    )
    kept = small(folder=tmp_path, num_steps=4, **arguments)
    assert kept.step == 4 and np.isfinite(kept.last).all()
    assert [record["step"] for record in kept.history] == [2, 4]


def test_an_update_that_is_not_finite_stops_the_run(tmp_path):
    def objective(tree, batch, *, key, step):
        return jnp.sum(jnp.sqrt(tree)), {}  # finite at 0, but its slope is not

    message = message_of(FloatingPointError, loss=objective, folder=tmp_path, checkpoint_every=1)
    assert message == (
        "the loss is 0.0 at step 0 (counted from 0), but the update is not finite. Not finite: the "
        "gradient of the tree (1 of 1 parameters). The last good checkpoint is "
        f"{tmp_path / 'checkpoint.avfkit'}, after 0 steps."
    )


def test_a_run_shorter_than_its_interval_is_validated_at_the_end():
    result = small(num_steps=3, validate=lambda tree: 7.0, validate_every=9)
    assert result.best_score == 7.0


def test_the_end_of_a_run_is_checked_too():
    def objective(tree, batch, *, key, step):
        return jnp.sum(tree * jnp.log(-batch)), {}

    message = message_of(FloatingPointError, loss=objective, log_every=100)
    assert message == (
        "the loss is nan at step 0 (counted from 0). Not finite: the gradient of the tree (1 of 1 "
        "parameters)."
    )


def test_a_score_must_be_finite():
    message = message_of(FloatingPointError, validate=lambda tree: np.nan, validate_every=3)
    assert message == "validate returned nan after 3 steps."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_steps": 0}, "num_steps is 0, expected at least 1."),
        ({"log_every": 0}, "log_every is 0, expected at least 1."),
        ({"checkpoint_every": -1}, "checkpoint_every is -1, expected at least 1."),
        ({"validate_every": 0}, "validate_every is 0, expected at least 1."),
        ({"patience": 2}, "patience is 2, but there is no validate to wait for."),
        (
            {"validate": lambda tree: 0.0, "validate_every": 1, "patience": 0},
            "patience is 0, expected at least 1.",
        ),
        (
            {"tree": {"f": jnp.tanh, "n": 3}},
            "tree has no floating-point array, expected at least one to train.",
        ),
        (
            {"loss": lambda tree, batch, **_: (tree, {})},
            "loss returned an array of shape (2,), expected a scalar.",
        ),
        (
            {"loss": lambda tree, batch, **_: (tree.sum(), {"kl": tree[None]})},
            "metric 'kl' has shape (1, 2), expected a scalar or a vector.",
        ),
        (
            {"loss": lambda tree, batch, **_: (tree.sum(), {"step": tree.sum()})},
            "loss returned a metric named 'step', which fit writes itself.",
        ),
        (
            {"loss": lambda tree, batch, **_: (tree.sum(), {"gradient_norm": tree.sum()})},
            "loss returned a metric named 'gradient_norm', which fit writes itself.",
        ),
        (
            {"validate": lambda tree: (0.0, {"kind": 1}), "validate_every": 1},
            "validation logs a value named 'kind', which fit writes itself.",
        ),
        (
            {"validate": lambda tree: (0.0, {"kl": np.zeros((1, 2))}), "validate_every": 1},
            "kl is float64 of shape (1, 2); expected words, a number or a vector to log.",
        ),
    ],
)
def test_bad_arguments(arguments, message):
    assert message_of(ValueError, **arguments) == message


def test_metrics_are_strict_json(tmp_path):
    def objective(tree, batch, *, key, step):
        return jnp.sum(tree * batch), {"ratio": step / (step - 1), "flag": step > 2, "n": step}

    result = small(loss=objective, folder=tmp_path, log_every=1, num_steps=4)
    text = (tmp_path / "metrics.jsonl").read_text()
    lines = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    assert lines == result.history
    assert [line["ratio"] for line in lines] == [0.0, None, 2.0, 1.5]
    assert lines[3]["flag"] is True and lines[3]["n"] == 3 and lines[3]["kind"] == "train"
