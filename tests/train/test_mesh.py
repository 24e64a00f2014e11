import json
import subprocess
import sys

import pytest

from train.regression import environment

PROGRAM = """
import json, sys
import jax, numpy as np
from avfkit.train._mesh import all_devices, shard
from train.regression import data, fit, jr, loss, make_tree, optax, validate

traces = []

def spy(step):
    size = 8 if step % 2 else 6  # 6 sequences cannot be shared by 4 devices
    return jax.tree.map(lambda leaf: leaf[:size], data(step))

def traced(tree, batch, *, key, step):
    traces.append(batch["x"].shape[0])
    return loss(tree, batch, key=key, step=step)

options = {"optimizer": optax.adam(1e-2), "num_steps": 12, "key": jr.key(3), "log_every": 3}
result = fit(make_tree(), traced, spy, validate=validate, validate_every=4, **options)
arrays = [leaf for leaf in jax.tree.leaves(result.last) if isinstance(leaf, jax.Array)]
leaves = [np.asarray(leaf).tolist() for leaf in arrays]
losses = [record["loss"] for record in result.history if record["kind"] == "train"]
parts = [
    [part.data.shape[0] for part in shard(spy(step), all_devices())["x"].addressable_shards]
    for step in (0, 1)
]
devices = len(arrays[0].sharding.device_set)
print(json.dumps([jax.device_count(), devices, traces, parts, losses, leaves]))
"""


def run(num_devices):
    flags = f"--xla_force_host_platform_device_count={num_devices}"
    command = [sys.executable, "-c", PROGRAM]
    settings = environment(XLA_FLAGS=flags, JAX_PLATFORMS="cpu", JAX_ENABLE_X64="1")
    done = subprocess.run(command, env=settings, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_one_device_is_four_devices():
    one, four = run(1), run(4)
    assert one[:4] == [1, 1, [6, 8], [[6], [8]]]
    assert four[:4] == [4, 4, [6, 8], [[6] * 4, [2] * 4]]
    assert four[4] == pytest.approx(one[4], rel=1e-12)
    assert flat(four[5]) == pytest.approx(flat(one[5]), rel=1e-10, abs=1e-14)


def flat(nested):
    return sum((flat(item) for item in nested), []) if isinstance(nested, list) else [nested]
