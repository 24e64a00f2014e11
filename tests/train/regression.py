"""A regression problem that needs the key, the step and two modules; and comparisons of bits."""

import json
import os
import signal
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from avfkit.train import fit, linear_anneal

ROOT = Path(__file__).parents[2]


def make_tree(seed=0, width=5):
    first, second = jr.split(jr.key(seed))
    hidden = eqx.nn.Linear(3, width, key=first)
    return {"hidden": hidden, "out": eqx.nn.Linear(width, 1, key=second), "activation": jnp.tanh}


def predict(tree, x):
    return jax.vmap(lambda row: tree["out"](tree["activation"](tree["hidden"](row))))(x)


def loss(tree, batch, *, key, step):
    weight = linear_anneal(20)(step)
    noise = 0.1 * weight * jr.normal(key, batch["x"].shape)
    error = jnp.mean((predict(tree, batch["x"] + noise) - batch["y"]) ** 2)
    return error, {"weight": weight}


def data(step):
    x = np.random.default_rng((7, step)).normal(size=(8, 3)).astype(jnp.result_type(float))
    return {"x": x, "y": np.sin(x.sum(1, keepdims=True))}


def validate(tree):
    batch = data(10_000)
    return float(jnp.mean((predict(tree, batch["x"]) - batch["y"]) ** 2))


def train(folder=None, *, num_steps=30, data=data, **changes):
    """One run with everything on; `changes` are given to `fit`."""
    options = {
        "optimizer": optax.adam(1e-2),
        "key": jr.key(3),
        "hyperparameters": {"width": 5, "sizes": (1, 2)},
        "validate": validate,
        "validate_every": 6,
        "checkpoint_every": 5,
        "log_every": 4,
    }
    options.update(changes)
    return fit(make_tree(), loss, data, num_steps=num_steps, folder=folder, **options)


def environment(**changes):
    """The environment of another process that computes as this one does."""
    path = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    wide = str(int(jax.config.read("jax_enable_x64")))
    return os.environ | {"PYTHONPATH": path, "JAX_ENABLE_X64": wide} | changes


def killed_at(step_of_death):
    """Data whose reading kills the process."""

    def deadly(step):
        if step == step_of_death:
            os.kill(os.getpid(), signal.SIGKILL)
        return data(step)

    return deadly


def same_bits(a, b):
    """Whether two pytrees have the same structure, and every array the same dtype and bytes."""
    a, b = eqx.filter(a, eqx.is_array), eqx.filter(b, eqx.is_array)
    return jax.tree.structure(a) == jax.tree.structure(b) and all(
        x.dtype == y.dtype and np.asarray(x).tobytes() == np.asarray(y).tobytes()
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def without_times(records):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in records]


def read_metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


if __name__ == "__main__":  # python regression.py FOLDER STEP_OF_DEATH
    train(Path(sys.argv[1]), data=killed_at(int(sys.argv[2])))
