"""One run on whatever devices there are. As a program it prints what it found, as JSON.

python devices.py                       # one process, with the devices that XLA_FLAGS gives it
python devices.py FOLDER PORT PROCESS   # one process of two, of one device each
"""

import json
import sys
import warnings

import jax
import numpy as np

from avfkit.train._leaves import to_bytes
from avfkit.train._mesh import all_devices, shard
from train.regression import data, fit, jr, loss, make_tree, optax, validate


def uneven(step):
    size = 8 if step % 2 else 6  # 6 sequences cannot be shared by 4 devices
    return jax.tree.map(lambda leaf: leaf[:size], data(step))


def train(folder=None, *, num_steps=12, data=data, loss=loss, **changes):
    """One run; a vector is logged, and a key is among the leaves."""

    def watched(tree, batch, *, key, step):
        value, metrics = loss(tree, batch, key=key, step=step)
        return value, metrics | {"x": batch["x"][:, 0]}

    tree = make_tree() | {"key": jr.key(5)}
    options = {"optimizer": optax.adam(1e-2), "key": jr.key(3), "log_every": 3, "validate_every": 4}
    options |= {"validate": validate, "num_steps": num_steps, "checkpoint_every": 5}
    return fit(tree, watched, data, folder=folder, **(options | changes))


def outcome(result):
    """The numbers of a run, as JSON holds them."""
    trees = (result.tree, result.last)
    leaves = [leaf for leaf in jax.tree.leaves(trees) if hasattr(leaf, "shape")]
    leaves = [jr.key_data(leaf) if leaf.dtype == jr.key(0).dtype else leaf for leaf in leaves]
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in result.history]
    return {"history": rows, "leaves": [np.asarray(leaf).tolist() for leaf in leaves]}


def on_these_devices():
    """Steps of two batch sizes, and how they were placed."""
    traces = []

    def counted(tree, batch, *, key, step):
        traces.append(batch["x"].shape[0])
        return loss(tree, batch, key=key, step=step)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = train(data=uneven, loss=counted)
        placed = [shard(uneven(step), all_devices())["x"] for step in (0, 1)]
    return {
        **outcome(result),
        "devices": len(result.last["out"].weight.sharding.device_set),
        "traces": traces,
        "parts": [[part.data.shape[0] for part in x.addressable_shards] for x in placed],
        "warnings": sorted({str(each.message) for each in caught}),
    }


def as_one_of_two(folder, port, process):
    """A run at a stretch, a run that is resumed, and what is refused."""
    jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=process)
    whole = train()
    train(folder, num_steps=7)
    resumed = train(folder)
    share = {"data": lambda step: jax.tree.map(lambda leaf: leaf[process::2], data(step))}
    refused = [{"key": jr.key(process)}, share, {"folder": folder, "key": jr.key(4)}]
    return {
        **outcome(whole),
        "devices": jax.device_count(),
        "resumed": bits(resumed) == bits(whole),
        "refused": [refusal(**changes) for changes in refused],
    }


def bits(result):
    return [part.tobytes() for part in to_bytes((result.tree, result.last))]


def refusal(**changes):
    try:
        train(**changes)
    except (ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    folder, port, process = sys.argv[1:] or (None, 0, 0)
    found = on_these_devices() if folder is None else as_one_of_two(folder, port, int(process))
    print(json.dumps(found))
