"""How far inference methods are from the exact posterior, in nats: exact ones, AVF and its rivals.

Claim: Kalman, VF-EM with a full covariance and the structured methods with exact potentials pass
the certificate, `avfkit.certify`, within 0.01 nats per step. Of what is learned nothing is claimed;
how far it is gets reported. Run from the repository's root; it takes minutes:

    python benchmarks/certificate.py

The problems are linear and Gaussian, two latents, three observations and twelve steps, each missing
with a probability of 0.2, at three signal-to-noise ratios. An amortized method is trained for each
problem, with the true model held fixed, on fresh sequences from that model. Writes
`benchmarks/results/certificate.json`, method by method, and goes on where it stopped if versions
and settings are the same: KL to what the method could get right, gap to -log p(x), calibration and
leak, as `Certificate` defines them.
"""

import argparse
import json
import time
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from measure import RESULTS, provenance, write

import avfkit
from avfkit.inference import learned_step, signed_log
from avfkit.nn import (
    BidirectionalRNN,
    Conditional,
    FullGaussianHead,
    LinearGaussian,
    TemporalCNN,
)

LATENT, OBS, LENGTH, MISSING = 2, 3, 12, 0.2
SNRS = (0.1, 1.0, 10.0)
BATCH, RATE, WIDTH = 32, 3e-3, 32
VFEM_ITERATIONS, AVF_ITERATIONS = 300, 4


class ExactPotential(eqx.Module):
    """What x_t says of z_t in a linear-Gaussian model: the potential an SVAE has to learn."""

    emission: LinearGaussian

    def __call__(self, x):
        """The likelihood of x as a Gaussian over z."""
        matrix, bias, log_var = self.emission.matrix, self.emission.bias, self.emission.log_var
        weighed = matrix.T * jnp.exp(-log_var)
        cov = jnp.linalg.inv(weighed @ matrix)
        return avfkit.FullGaussian.from_covariance(cov @ weighed @ (x - bias), cov)


def potential(key):
    """A network in its place."""
    return Conditional(OBS, LATENT, head=FullGaussianHead, width=WIDTH, depth=1, key=key)


def rival(trunk, head, model, *, key):
    """One of the rivals of Zhao and Linderman (2023): what reads the sequence, and the family."""
    trunk_key, head_key = jr.split(key)
    reader = trunk(OBS, 16, key=trunk_key)
    return avfkit.AmortizedSmoother(
        reader, head(reader.out_size, LATENT, width=WIDTH, key=head_key)
    )


def vfem(family):
    """Variational filtering EM: nothing is learned, every step is a descent."""
    rule = avfkit.GradientUpdate(optax.adam(0.05), family)
    return avfkit.IterativeFilter(rule, VFEM_ITERATIONS, avfkit.Cubature())


def avf(model, *, key):
    """AVF as in the preset `lds`: layer normalisation would leave little of two latents."""
    options = {"rule": learned_step, "normalise": signed_log, "gate_bias": -4.0}
    update = avfkit.LearnedUpdate(model, width=WIDTH, **options, key=key)
    return avfkit.IterativeFilter(update, AVF_ITERATIONS, avfkit.Cubature())


FIXED = {
    "Kalman filter": lambda m, *, key: avfkit.KalmanFilter(),
    "Kalman filter, beliefs": lambda m, *, key: avfkit.MarginalFilter(avfkit.KalmanFilter()),
    "Kalman smoother": lambda m, *, key: avfkit.KalmanSmoother(),
    "SVAE, exact potentials": lambda m, *, key: avfkit.StructuredSmoother(
        ExactPotential(m.emission)
    ),
    "causal SVAE, exact potentials": lambda m, *, key: avfkit.StructuredFilter(
        ExactPotential(m.emission)
    ),
    "VF-EM, full covariance": lambda m, *, key: vfem(avfkit.FullGaussian),
    "VF-EM, diagonal": lambda m, *, key: vfem(avfkit.DiagonalGaussian),
}
LEARNED = {
    f"AVF, diagonal, {AVF_ITERATIONS} iterations": avf,
    "own filter, diagonal": partial(avfkit.DirectFilter.create, width=WIDTH, depth=1),
    "own recurrent filter, diagonal": partial(avfkit.RecurrentFilter.create, hidden_size=16),
    "SVAE": lambda m, *, key: avfkit.StructuredSmoother(potential(key)),
    "causal SVAE": lambda m, *, key: avfkit.StructuredFilter(potential(key)),
    "RNN-MF": partial(rival, BidirectionalRNN, avfkit.FactorisedHead),
    "RNN-AR-L": partial(rival, BidirectionalRNN, avfkit.LinearHead),
    "RNN-AR-NL": partial(rival, BidirectionalRNN, partial(avfkit.NonlinearHead, hidden_size=16)),
    "CNN-AR-L": partial(
        rival, partial(TemporalCNN, kernel=5, depth=2, features=16), avfkit.LinearHead
    ),
}


@eqx.filter_jit
def trained(model, inference, steps, *, key):
    """The method after so many steps of Adam on fresh sequences; compiled once for all problems."""
    params, static = eqx.partition(inference, eqx.is_inexact_array)
    adam = optax.adam(optax.cosine_decay_schedule(RATE, steps))
    optimizer = optax.chain(optax.clip_by_global_norm(10.0), adam)

    def loss(params, key):
        def one(key):
            draw_key, gap_key, infer_key = jr.split(key, 3)
            xs, _ = avfkit.sample(model, LENGTH, key=draw_key)
            observed = jr.bernoulli(gap_key, 1.0 - MISSING, (LENGTH,)).at[0].set(True)
            method = eqx.combine(params, static)
            return avfkit.free_energy(model, method, xs, observed, key=infer_key)

        return jnp.mean(jax.vmap(one)(jr.split(key, BATCH))) / LENGTH

    def step(carry, key):
        params, memory = carry
        updates, memory = optimizer.update(jax.grad(loss)(params, key), memory)
        return (optax.apply_updates(params, updates), memory), None

    start = (params, optimizer.init(params))
    (params, _), _ = jax.lax.scan(step, start, jr.split(key, steps))
    return eqx.combine(params, static)


def learned(make, steps):
    """A method made, and trained, for each problem."""

    def build(model, *, key):
        make_key, train_key = jr.split(key)
        return trained(model, make(model, key=make_key), steps, key=train_key)

    return build


def entry(certificate, seconds):
    """A certificate as JSON."""
    columns = {
        name: [None if np.isnan(value) else round(float(value), 6) for value in values]
        for name, values in {
            "kl": certificate.errors,
            "gap": certificate.gap,
            "gap_error": certificate.gap_error,
            "calibration": certificate.calibration,
            "leak": certificate.leak,
        }.items()
    }
    words = {"target": certificate.target, "excess": round(certificate.excess, 6)}
    return words | columns | {"seconds": round(seconds, 1)}


def main(steps: int, tolerance: float) -> None:
    """Certify every method that is not in the file yet, and keep each at once."""
    options = {"shapes": ((LATENT, OBS, LENGTH),), "snrs": SNRS, "missing": MISSING}
    problems = avfkit.linear_gaussian_problems(key=jr.key(0), **options)
    result = {
        "claim": {"exact_methods_within_nats_per_step": tolerance},
        "problems": {"snr": list(SNRS), "latent": LATENT, "obs": OBS, "length": LENGTH}
        | {"missing": MISSING},
        "training": {"steps": steps, "batch": BATCH, "rate": RATE},
    }
    path, facts = RESULTS / "certificate.json", provenance()
    before = json.loads(path.read_text()) if path.is_file() else {}
    same = before.get("provenance", {}).get("versions") == facts["versions"]
    found = before["methods"] if same and result.items() <= before.items() else {}
    for name, build in (FIXED | {n: learned(make, steps) for n, make in LEARNED.items()}).items():
        if name in found:
            continue
        began = time.process_time()
        certificate = avfkit.certify(
            build, key=jr.key(1), problems=problems, num_draws=64, tolerance=tolerance
        )
        found[name] = {"learned": name in LEARNED} | entry(certificate, time.process_time() - began)
        print(f"{name}\n{certificate}", flush=True)
        write("certificate", result | {"methods": found, "provenance": facts}, quiet=True)
        jax.clear_caches()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3000, help="of training, for each problem")
    parser.add_argument("--tolerance", type=float, default=1e-2, help="nats per step forgiven")
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    main(arguments.steps, arguments.tolerance)
