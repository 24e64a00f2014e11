"""How long a stream waits for one step of a filter.

Claim: with the models of the book a step takes a few milliseconds on one core. Run from the
repository's root:

    python benchmarks/streaming_latency.py

`OnlineFilter.step` in float32, one stream, until its numbers are there: an LDS of 4 latents and 8
observed entries (exact, and by a structured VAE's potentials), and a VRNN of 88 entries, 32 latents
and 200 units (its own filter, AVF with K = 1 and K = 5, an update network of 512 units).
Competitors take turns, one step each. Writes `benchmarks/results/streaming_latency.json`: median and 99th
percentile in milliseconds, wall time and processor time of all threads, and the bytes of a state.
"""

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.random as jr
import numpy as np
from measure import interleaved, provenance, write

import avfkit

OBS, LATENT = 8, 4


def filters() -> dict[str, avfkit.OnlineFilter]:
    """The competitors, untrained: latency does not depend on the weights."""
    keys = jr.split(jr.key(0), 5)
    lds, kalman = system(), avfkit.MarginalFilter(avfkit.KalmanFilter())
    head = avfkit.nn.FullGaussianHead
    net = avfkit.nn.Conditional(OBS, LATENT, head=head, width=64, depth=2, key=keys[0])
    causal = avfkit.MarginalFilter(avfkit.StructuredFilter(net))
    vrnn = avfkit.VRNN(88, 32, hidden_size=200, width=200, depth=1, key=keys[1])
    own = avfkit.DirectFilter.create(vrnn, width=200, depth=1, key=keys[2])
    update = avfkit.LearnedUpdate(vrnn, width=512, depth=2, key=keys[3])
    found = {
        "LDS, Kalman filter": (lds, kalman),
        "LDS, structured filter": (lds, causal),
        "VRNN, own filter": (vrnn, own),
        "VRNN, AVF, K = 1": (vrnn, avfkit.IterativeFilter(update, 1)),
        "VRNN, AVF, K = 5": (vrnn, avfkit.IterativeFilter(update, 5)),
    }
    return {name: avfkit.OnlineFilter(*pair) for name, pair in found.items()}


def system() -> avfkit.LDS:
    """A slowly turning latent of four numbers seen by eight sensors."""
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(LATENT, LATENT)))[0]
    seen = rng.normal(size=(OBS, LATENT)), np.zeros(OBS), np.full(OBS, 0.1)
    emission = avfkit.nn.LinearGaussian.from_parameters(*seen)
    eye = np.eye(LATENT)
    return avfkit.LDS.from_parameters(
        np.zeros(LATENT), eye, 0.97 * rotation, np.zeros(LATENT), 0.1 * eye, emission=emission
    )


def stepper(online: avfkit.OnlineFilter) -> Callable[[], Any]:
    """A function that filters the next observation of an endless stream."""
    xs = (np.random.default_rng(0).random((64, online.model.obs_size)) < 0.5).astype(np.float32)
    kept = {"state": online.init(key=jr.key(1)), "t": 0}

    def step() -> None:
        kept["state"], now = online.step(kept["state"], xs[kept["t"] % len(xs)])
        kept["t"] += 1
        jax.block_until_ready(now)

    return step


def percentiles(times: list[float]) -> dict[str, float]:
    """Median and 99th percentile, in milliseconds."""
    return {
        "p50_ms": round(float(np.percentile(times, 50)), 3),
        "p99_ms": round(float(np.percentile(times, 99)), 3),
    }


def main(steps: int) -> None:
    """Measure all competitors and keep the result."""
    facts, competitors = provenance(), filters()
    times = interleaved({name: stepper(online) for name, online in competitors.items()}, steps)
    rows = {}
    for name, online in competitors.items():
        leaves = jax.tree.leaves(online.init(key=jr.key(1)))
        size = sum(leaf.nbytes for leaf in leaves)
        found = {kind: percentiles(values) for kind, values in times[name].items()}
        rows[name] = {**found, "state_bytes": size}
    write("streaming_latency", {"steps": steps, "filters": rows, "provenance": facts})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2_000, help="steps of each filter")
    main(parser.parse_args().steps)
