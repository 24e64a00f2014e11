"""What stops a run names the first bad step and its terms; what is logged tells how it goes."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from avfkit.data import Batch
from avfkit.train import TextProgress, batch_loss, fit
from train.regression import read_metrics


def tree():
    """Four parameters in two parts, and what is no parameter."""
    return {"model": {"a": jnp.ones(2), "b": jnp.ones(3), "n": 3}, "filter": (jnp.ones(()),) * 2}


def loss(tree, batch, *, key, step):
    """At step 3 the term `kl` is NaN, through `filter[1]` alone."""
    del key
    reconstruction = jnp.sum(tree["model"]["a"] * batch) + 2.0 * jnp.sum(tree["model"]["b"])
    reconstruction += 3.0 * tree["filter"][0]
    kl = jnp.where(step == 3, jnp.nan, 1.0) * jnp.log(tree["filter"][1])
    return reconstruction + kl, {"reconstruction": reconstruction, "kl": kl, "ratio": 1 / step}


def train(loss=loss, tree=tree, **changes):
    options = {"optimizer": optax.sgd(0.01), "num_steps": 3, "key": jr.key(0), "log_every": 1}
    return fit(tree(), loss, lambda step: np.ones(2), **(options | changes))


def message(**changes):
    with pytest.raises(FloatingPointError) as caught:
        train(**({"num_steps": 20} | changes))
    return str(caught.value)


BAD_KL = "the loss is nan at step 3 (counted from 0). Not finite: kl; the gradient of "


def test_it_names_the_first_bad_step_and_its_terms():
    found = message(log_every=10)  # six steps later: by then everything is NaN
    assert found == BAD_KL + "['filter'][1] (1 of 4 parameters)."


def test_a_metric_that_is_not_finite_is_no_fault():
    history = train().history  # `ratio` is 1 / 0 at the first step
    assert [record["ratio"] for record in history] == [None, 1.0, 0.5]


def test_the_last_good_checkpoint_is_named_and_loads(tmp_path):
    found = message(log_every=1, checkpoint_every=2, folder=tmp_path)
    kept = tmp_path / "checkpoint.avfkit"
    assert found == (
        BAD_KL + "['filter'][1] (1 of 4 parameters). The last good checkpoint is "
        f"{kept}, after 2 steps."
    )
    again = train(num_steps=2, checkpoint_every=2, folder=tmp_path)
    assert again.step == 2 and np.isfinite(again.last["filter"][1])
    assert found == message(log_every=1, checkpoint_every=2, folder=tmp_path)  # and resumed


def test_many_parameters_are_counted():
    def objective(tree, batch, *, key, step):
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(tree)) * jnp.log(-batch[0]), {}

    def many():
        return [jnp.ones(1) for _ in range(5)]

    assert message(loss=objective, tree=many) == (
        "the loss is nan at step 0 (counted from 0). Not finite: the gradient of [0], [1], [2] and "
        "2 more (5 of 5 parameters)."
    )


def test_an_optimizer_that_spoils_a_finite_gradient_is_told_apart():
    def infinite(updates, params):
        return {**updates, "filter": (jnp.full((), jnp.inf),) * 2}

    spoil = optax.stateless(infinite)
    assert message(optimizer=spoil).endswith(
        "at step 0 (counted from 0), but the update is not finite. Not finite: ratio; the update "
        "of ['filter'][0], ['filter'][1] (2 of 4 parameters)."
    )


def test_an_optimizer_may_mend_a_gradient():
    mend = optax.chain(optax.zero_nans(), optax.sgd(0.01))

    def objective(tree, batch, *, key, step):
        return jnp.sum(tree["model"]["b"] - 1.0) + jnp.sqrt(0.0 * tree["filter"][0]), {}

    assert train(loss=objective, optimizer=mend).step == 3


def test_norms_of_the_gradient_and_of_its_parts():
    first = train(num_steps=1).history[0]
    parts = {"['model']": np.sqrt(2 * 1 + 3 * 4), "['filter']": np.sqrt(9 + 1)}
    for part, norm in parts.items():
        np.testing.assert_allclose(first[f"gradient_norm{part}"], norm, rtol=1e-6)
    np.testing.assert_allclose(first["gradient_norm"], np.sqrt(24), rtol=1e-6)


def test_vectors_are_logged_and_read_again(tmp_path):
    def objective(model, inference, x, observed, *, key):
        return jnp.sum(model * x), {"kl": jnp.stack([jnp.sum(x), jnp.sum(x) / 0.0])}

    batch = Batch(np.ones((2, 4, 1)), np.ones((2, 4), bool))
    validate = lambda tree: (1.0, {"kl_per_dimension": [0.5, np.nan], "units": 3})  # noqa: E731
    done = fit(
        (jnp.ones(()), jnp.ones(())),
        batch_loss(objective),
        lambda step: batch,
        optimizer=optax.sgd(0.1),
        num_steps=2,
        key=jr.key(0),
        log_every=1,
        folder=tmp_path,
        validate=validate,
        validate_every=1,
    )
    assert done.history == read_metrics(tmp_path)
    assert [record["kl"] for record in done.history if record["kind"] == "train"] == [[1, None]] * 2
    assert done.history[1]["kl_per_dimension"] == [0.5, None] and done.history[1]["units"] == 3


def test_a_warning_is_shown_when_it_changes(capsys):
    words = iter(["", "asleep", "asleep", "half asleep", "", "asleep"])

    def validate(tree):
        warning = next(words)
        return 1.0, {"warning": warning} if warning else {}

    train(loss=lambda tree, batch, **_: (jnp.sum(tree["model"]["a"]), {}), num_steps=6,
          validate=validate, validate_every=1, log_every=9, progress=TextProgress())  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("step ")] == [
        "warning: asleep",
        "warning: half asleep",
        "warning: asleep",
    ]
    assert lines[1:3] == [
        "step 2/6  validation  best_score 1.0000  score 1.0000",
        "warning: asleep",
    ]
