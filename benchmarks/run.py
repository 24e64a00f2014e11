"""Runs a set of benchmarks, one after the other, and says which of them failed.

    python benchmarks/run.py short     # `make benchmarks`: minutes, on this machine
    python benchmarks/run.py gpu       # `make benchmarks-gpu`: needs a CUDA device

The short set has few rounds and small sizes, enough to see whether a claim still holds. What it
finds goes to `_build/benchmarks`, so that the results of the full runs, which the book shows, stay
what they are. The set for a GPU is run in full and writes to `benchmarks/results`.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHORT = [
    "start_up.py --rounds 5",
    "products.py --rounds 3",
    "streaming_latency.py --steps 200",
    "step_floor.py srnn-jsb --rounds 3",
    "memory.py --lengths 125 500",
    "convolutions.py svg-moving-digits-small --rounds 3",
    "message_passing.py --sizes 3 --lengths 200 --rounds 5",
    "grid.py --cells 3x100x10",
    "choices.py --parts factors solutions --rounds 3",
    "accuracy.py --sizes 3 --lengths 200",
    "growth.py --lengths 1000 10000 --batches 10 --rounds 3",
    "svae_iteration.py --lengths 100 500 --rounds 5 --methods svae-sequential rnn-mf",
    "scale_out.py --virtual 2 --batch 4 --length 20 --steps 5 --rounds 1",
]
GPU = [
    "svae_iteration.py --rounds 10 --lengths 100 200 500 1000 2000 5000 10000",
    "span.py",
    "precision.py",
    "scale_out.py",
]


def no_gpu() -> str:
    """Why the benchmarks for a GPU cannot run; nothing if they can."""
    import jax

    try:
        jax.devices("cuda")
    except RuntimeError:
        return (
            "These benchmarks need a CUDA device; JAX finds only "
            f"{jax.devices()[0].platform}. `nvidia-smi` must list a GPU, and JAX needs its plugin: "
            f"pip install 'jax[cuda12]=={jax.__version__}'."
        )
    return ""


def main() -> None:
    """Run the chosen set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=("short", "gpu"))
    name = parser.parse_args().name
    if name == "gpu" and (reason := no_gpu()):
        sys.exit(reason)
    folder = ROOT / "_build" / "benchmarks"
    kept = {"AVFKIT_BENCHMARKS": str(folder)} if name == "short" else {}
    failed = []
    for line in SHORT if name == "short" else GPU:
        print(f"\n== {line}", flush=True)
        began = time.perf_counter()
        script, *words = line.split()
        command = [sys.executable, str(ROOT / "benchmarks" / script), *words]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | kept)
        print(f"== {time.perf_counter() - began:.0f} s", flush=True)
        failed += [line] if done.returncode else []
    if failed:
        sys.exit("failed: " + "; ".join(failed))


if __name__ == "__main__":
    main()
