"""How close AVF and variational filtering EM come to the exact filter, at three noise levels.

    python experiments/lds.py

A linear-Gaussian system whose filtering posterior is diagonal (diagonal dynamics, orthogonal
columns in C), so that a diagonal q_t can be exact and what is left is what inference missed. The
expectation over the past is exact (`MarginalFilter`), so that the exact filter's free energy is
-log p(x). The model is the true one and stays as it is: only inference is learned.

Writes `results/lds/METHOD-SNR.json`: free energies in nats per step of 50 test sequences, and the
gap to the exact filter.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import jax
import jax.random as jr
import numpy as np
import optax

import avfkit
from avfkit import data, train
from avfkit.inference import learned_step, signed_log
from avfkit_experiments._provenance import provenance, write_json

RESULTS = Path(__file__).parents[1] / "results" / "lds"
SNRS = (0.1, 1.0, 10.0)  # state noise over observation noise
STATE_NOISE, LATENT, OBS, LENGTH = 0.1, 3, 6, 60
ITERATIONS = {"avf": 5, "vfem": 150}


def world(snr: float) -> avfkit.LDS:
    """The system: three leaky integrators, seen through six orthogonal mixtures."""
    rng = np.random.default_rng(0)
    matrix = np.linalg.qr(rng.normal(size=(OBS, LATENT)))[0]
    emission = avfkit.nn.LinearGaussian.from_parameters(
        matrix, np.zeros(OBS), np.full(OBS, STATE_NOISE / snr)
    )
    noise = STATE_NOISE * np.eye(LATENT)
    dynamics = np.diag([0.99, 0.9, 0.7])
    return avfkit.LDS.from_parameters(
        np.zeros(LATENT), np.eye(LATENT), dynamics, np.zeros(LATENT), noise, emission=emission
    )


def sequences(model: avfkit.LDS, name: str, number: int, *, seed: int) -> data.Dataset:
    """Draws from the system."""
    draw = jax.jit(jax.vmap(lambda key: avfkit.sample(model, LENGTH, key=key)[0]))
    return data.Dataset(name, tuple(np.asarray(draw(jr.split(jr.key(seed), number)))))


def avf(model: avfkit.LDS, *, steps: int, seed: int) -> avfkit.MarginalFilter:
    """AVF, its update network trained on draws of the system."""
    update = avfkit.LearnedUpdate(
        model, width=64, rule=learned_step, normalise=signed_log, gate_bias=-4.0, key=jr.key(seed)
    )
    inner = avfkit.IterativeFilter(update, ITERATIONS["avf"], avfkit.Cubature())

    def loss(filter: Any, batch: Any, *, key: Any, step: Any) -> tuple:
        tree = (model, avfkit.MarginalFilter(filter))
        return train.batch_loss(avfkit.free_energy)(tree, batch, key=key, step=step)

    rate = optax.cosine_decay_schedule(3e-3, steps, 0.01)
    fitted = train.fit(
        inner,
        loss,
        data.batches(sequences(model, "train", 64, seed=seed + 1), 8, length=20, seed=seed),
        optimizer=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate)),
        num_steps=steps,
        key=jr.key(seed + 2),
    )
    return avfkit.MarginalFilter(fitted.tree)


def vfem(model: avfkit.LDS, snr: float) -> avfkit.MarginalFilter:
    """Variational filtering EM: Adam on mean and log-variance."""
    del model, snr
    rate = optax.exponential_decay(0.3, 1, 0.97)
    update = avfkit.GradientUpdate(optax.adam(rate))
    return avfkit.MarginalFilter(
        avfkit.IterativeFilter(update, ITERATIONS["vfem"], avfkit.Cubature())
    )


def main(args: argparse.Namespace) -> None:
    """Every method at every noise level."""
    for snr in SNRS:
        model = world(snr)
        test = data.pad(sequences(model, "test", 50, seed=99))
        exact = avfkit.evaluate(
            model, avfkit.MarginalFilter(avfkit.KalmanFilter()), [test], key=jr.key(0)
        ).all_steps
        for name in ("avf", "vfem"):
            began = time.perf_counter()
            method = avf(model, steps=args.steps, seed=args.seed) if name == "avf" else None
            method = vfem(model, snr) if method is None else method
            found = avfkit.evaluate(model, method, [test], key=jr.key(0))
            seconds = {"training and evaluation": time.perf_counter() - began}
            write_json(
                RESULTS / f"{name}-snr{snr:g}.json",
                {
                    "name": f"{'AVF' if name == 'avf' else 'VF-EM'}, {ITERATIONS[name]} iterations",
                    "snr": snr,
                    "exact": exact,
                    "gap": found.all_steps - exact,
                    "test": {
                        "free_energy_per_step": {
                            "all_steps": found.all_steps,
                            "per_iteration": found.per_iteration,
                        }
                    },
                    "provenance": provenance("python experiments/lds.py", args.seed, seconds),
                },
            )
            print(
                f"SNR {snr:<5g}{name:<6}{found.all_steps:.4f}  exact {exact:.4f}  "
                f"gap {found.all_steps - exact:.4f} nats per step",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    jax.config.update("jax_enable_x64", True)
    main(parser.parse_args())
