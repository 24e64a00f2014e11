"""Sequences per second of a training run, against the number of devices that share its batch.

No claim until it has been measured where there are several devices. Run from the repository's root,
on a machine with several GPUs:

    python benchmarks/scale_out.py
    python benchmarks/scale_out.py --devices 1 2 4 8 --batch 256

Virtual devices of a CPU (`--virtual 4`) share its cores: they show that the program runs and gives
the same losses, and say nothing about speed.

A run is a VRNN with AVF (K = 1) trained by `avfkit.train.fit` on piano rolls drawn at random, in a
process of its own that sees so many devices. Weak scaling: the batch grows with the devices
(`--batch` is that of one). Strong scaling: it does not. Before anything is timed, runs on one
device and on all must give the same losses. The processes take turns; the first steps, which
compile and warm up, are left out.

Writes `benchmarks/results/scale_out.json`.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

OBS, LATENT, HIDDEN, WIDTH, UPDATE = 88, 32, 300, 300, 512
WARM_UP = 5


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, nargs="+", help="how many; by default 1, 2, 4, ...")
    parser.add_argument("--batch", type=int, default=64, help="sequences in a batch of one device")
    parser.add_argument("--length", type=int, default=100, help="steps of a sequence")
    parser.add_argument("--steps", type=int, default=40, help="training steps that are timed")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each number of devices")
    parser.add_argument("--virtual", type=int, help="make a CPU so many devices: no speed")
    parser.add_argument("--run", type=int, nargs=2, help=argparse.SUPPRESS)  # devices, batch
    return parser.parse_args()


def run(length: int, batch: int, steps: int) -> dict[str, Any]:
    """Train in this process: losses, and seconds of the timed steps."""
    import jax
    import jax.random as jr
    import numpy as np
    import optax

    import avfkit
    from avfkit import data, train

    model_key, update_key = jr.split(jr.key(0))
    model = avfkit.VRNN(OBS, LATENT, hidden_size=HIDDEN, width=WIDTH, depth=1, key=model_key)
    update = avfkit.LearnedUpdate(model, width=UPDATE, depth=2, key=update_key)
    rng = np.random.default_rng(0)
    rolls = tuple(rng.random((length, OBS)) < 0.05 for _ in range(4 * batch))
    marks = []

    def loss(tree: Any, batch: Any, *, key: jax.Array, step: jax.Array) -> tuple:
        return train.batch_loss(avfkit.free_energy)(tree, batch, key=key, step=step)

    schedule = data.batches(data.Dataset("rolls", rolls), batch, seed=0)

    def clocked(step: int) -> Any:
        marks.append(time.perf_counter())
        return schedule(step)

    options = {"optimizer": optax.adam(1e-4), "key": jr.key(1), "log_every": WARM_UP}
    pair = (model, avfkit.IterativeFilter(update, 1))
    found = train.fit(pair, loss, clocked, num_steps=WARM_UP + steps, **options)
    jax.block_until_ready(found.last)
    return {
        "devices": jax.device_count(),
        "kind": jax.devices()[0].device_kind,
        "losses": [row["loss"] for row in found.history],
        "sequences_per_second": batch * steps / (time.perf_counter() - marks[WARM_UP]),
    }


def elsewhere(devices: int, batch: int, steps: int, chosen: argparse.Namespace) -> dict[str, Any]:
    """The same in a fresh process that sees so many devices."""
    flags = f"--xla_force_host_platform_device_count={devices}" if chosen.virtual else ""
    visible = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, range(devices)))}
    platform = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags} if chosen.virtual else visible
    command = [sys.executable, __file__, "--run", str(devices), str(batch)]
    command += ["--steps", str(steps), "--length", str(chosen.length)]
    done = subprocess.run(command, env=os.environ | platform, check=True, capture_output=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["devices"] == devices, f"asked for {devices} devices, found {found['devices']}"
    return found


def same_losses(most: int, chosen: argparse.Namespace) -> float:
    """The largest relative difference of the losses of one device and of all.

    Raises:
        AssertionError: it is not one of rounding.
    """
    batch = chosen.batch * most
    one, all_of_them = (elsewhere(n, batch, WARM_UP, chosen)["losses"] for n in (1, most))
    gap = max(abs(a - b) / abs(a) for a, b in zip(one, all_of_them, strict=True))
    assert gap < 1e-3, (one, all_of_them)
    return gap


def main() -> None:
    """Check, measure and write; or, in a process of its own, run once."""
    chosen = arguments()
    if chosen.run:
        return print(json.dumps(run(chosen.length, chosen.run[1], chosen.steps)))
    import jax
    from measure import provenance, ratio, spread, write

    there = chosen.virtual or jax.device_count()
    counts = chosen.devices or [2**k for k in range(there.bit_length()) if 2**k <= there]
    speeds = not chosen.virtual and jax.default_backend() != "cpu"
    result: dict[str, Any] = {"batch_of_one": chosen.batch, "length": chosen.length}
    result |= {"says_something_about_speed": speeds, "rounds": chosen.rounds}
    result["provenance"] = provenance("optax")
    result["loss_difference"] = same_losses(max(counts), chosen)
    for name, grows in (("weak", True), ("strong", False)):
        rates: dict[int, list[float]] = {count: [] for count in counts}
        for _ in range(chosen.rounds):
            for count in counts:
                batch = chosen.batch * (count if grows else max(counts))
                found = elsewhere(count, batch, chosen.steps, chosen)
                rates[count].append(found["sequences_per_second"])
                print(name, count, found["kind"], round(rates[count][-1], 1), flush=True)
        result[name] = {
            str(count): {
                "sequences_per_second": spread(rate),
                "over_fewest": ratio(rate, rates[min(counts)]),
            }
            for count, rate in rates.items()
        }
    return write("scale_out", result)


if __name__ == "__main__":
    main()
