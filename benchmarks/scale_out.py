"""Sequences per second of a training run, against the number of devices that share its batch.

No claim: where there are several devices, it says what they are worth. Run from the repository's
root, on a machine with several GPUs, or with the cores of a CPU as devices:

    python benchmarks/scale_out.py
    python benchmarks/scale_out.py --devices 1 2 4 8 --batch 256
    python benchmarks/scale_out.py --cores --length 40 --steps 4

With `--cores` a device is a process that keeps to one core (on Linux), joined to the others by
`jax.distributed`: what two of them lose is the waiting for one another and for the memory that they
share. Virtual devices (`--virtual 4`) share all cores: they show that the program runs and gives
the same losses, and say nothing about speed.

A run is a VRNN with AVF (K = 1) trained by `avfkit.train.fit` on piano rolls drawn at random, by
fresh processes that see so many devices. Weak scaling: the batch grows with the devices (`--batch`
is that of one). Strong scaling: it does not. Before anything is timed, runs on one device and on
all must give the same losses. The runs take turns; the first steps, which compile and warm up, are
left out.

Writes `benchmarks/results/scale_out_gpu.json` (or `_cpu`: JAX's default backend).
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
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
    parser.add_argument("--cores", action="store_true", help="a process on each core is a device")
    parser.add_argument("--virtual", type=int, help="make a CPU so many devices: no speed")
    parser.add_argument("--run", type=int, nargs=2, help=argparse.SUPPRESS)  # devices, batch
    parser.add_argument("--join", type=int, nargs=2, help=argparse.SUPPRESS)  # process, port
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


def join(process: int, port: int, count: int) -> None:
    """Keep to one core, and meet the other processes."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[process]})  # before XLA counts cores
    import jax

    place = {"num_processes": count, "process_id": process}
    jax.distributed.initialize(f"localhost:{port}", **place)


def free_port() -> int:
    """One that nobody listens to."""
    with socket.socket() as server:
        server.bind(("localhost", 0))
        return server.getsockname()[1]


def seen(devices: int, chosen: argparse.Namespace) -> dict[str, str]:
    """The environment of a process that sees so many devices, or one of its own."""
    here = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    if chosen.cores:
        return here | {"JAX_PLATFORMS": "cpu"}
    if chosen.virtual:
        flags = f"--xla_force_host_platform_device_count={devices}"
        return here | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    return here | {"CUDA_VISIBLE_DEVICES": ",".join(map(str, range(devices)))}


def elsewhere(devices: int, batch: int, steps: int, chosen: argparse.Namespace) -> dict[str, Any]:
    """The same in fresh processes that see so many devices."""
    command = [sys.executable, __file__, "--run", str(devices), str(batch)]
    command += ["--steps", str(steps), "--length", str(chosen.length)]
    port = str(free_port())
    joins = [["--join", str(process), port] for process in range(devices)]
    options = {"env": seen(devices, chosen), "stdout": subprocess.PIPE, "text": True}
    started = [
        subprocess.Popen([*command, *join], **options) for join in (joins if chosen.cores else [[]])
    ]
    said = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        sys.exit(f"a run on {devices} devices failed")
    found = json.loads(said[0].splitlines()[-1])
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
        if chosen.join:
            join(*chosen.join, chosen.run[0])
        return print(json.dumps(run(chosen.length, chosen.run[1], chosen.steps)))
    # What is timed runs on the same devices, and needs their memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp()  # each program compiles once
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    import jax
    from measure import cores, provenance, ratio, spread, write

    there = cores() if chosen.cores else chosen.virtual or jax.device_count()
    counts = chosen.devices or [2**k for k in range(there.bit_length()) if 2**k <= there]
    if len(counts) == 1:
        return print("There is one device, and nothing to compare it with.")
    backend = jax.default_backend()
    speeds = not chosen.virtual and (chosen.cores or backend != "cpu")
    result: dict[str, Any] = {"batch_of_one": chosen.batch, "length": chosen.length}
    result |= {"says_something_about_speed": speeds, "rounds": chosen.rounds}
    result |= {"a_device_is": "a process on one core" if chosen.cores else "what JAX calls one"}
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
    return write(f"scale_out_{backend}", result)


if __name__ == "__main__":
    main()
