"""Every public name: how it is called with good arguments, or why there is nothing to get wrong.

A new public name costs one line here and is called with bad arguments of every kind.
"""

import inspect
import re
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

import avfkit
from avfkit import data, inference, interop, kalman, nn, train


class Entry(NamedTuple):
    """A public function with good arguments.

    Attributes:
        call: the function.
        arguments: good arguments by name; its arrays, integers and keys are spoilt one at a time.
        traced: whether it computes with JAX, so that shapes and kinds show when it is traced.
        spoilt: the names that are spoilt; all by default.
        costly: whether a call takes seconds: it is called with what must be refused, and that only.
    """

    call: Callable[..., Any]
    arguments: dict[str, Any]
    traced: bool = True
    spoilt: tuple[str, ...] | None = None
    costly: bool = False


T, D, N = 3, 2, 2
KEY = jr.key(0)
MATRIX = 0.5 * np.eye(D) + 0.1
EYE = np.eye(D)
RNG = np.random.default_rng(0)
XS = RNG.normal(size=(T, N))
ROLL = (RNG.uniform(size=(T, 88)) < 0.1).astype(float)
CHAIN = kalman.Chain(*(jnp.array(a) for a in (np.zeros(D), EYE, MATRIX, np.ones(D), EYE)))
POTENTIALS = kalman.diagonal_potentials(jnp.array(XS), jnp.ones((T, D)))
PATH = kalman.unrolled(CHAIN, T)
STEP = kalman.Conditionals(*(a[1] for a in PATH))
POTENTIAL = kalman.Potentials(*(a[1] for a in POTENTIALS))
ELEMENT = kalman.element(STEP, POTENTIAL)
EMISSION = nn.LinearGaussian(jnp.array(MATRIX), jnp.zeros(N), jnp.zeros(N))
LDS = avfkit.LDS.from_parameters(np.zeros(D), EYE, MATRIX, np.zeros(D), EYE, emission=EMISSION)
OWN = avfkit.DirectFilter.create(LDS, width=3, depth=1, key=KEY)
AVF = avfkit.IterativeFilter(avfkit.LearnedUpdate(LDS, width=3, key=KEY), 1)
FULL = avfkit.FullGaussian.from_covariance(jnp.zeros(D), jnp.array(EYE))
SOUND = data.Dataset("d", [XS + 1.0, XS[:2]], rate=8.0, window=0.1)
MUSIC = data.Dataset("m", [ROLL, ROLL[:2]])
OBSERVED = np.array([True, False, True])
BATCH = data.Batch(XS[None], np.ones((1, T), bool))
ONLINE = avfkit.OnlineFilter(LDS, OWN)
STREAM = ONLINE.init(key=KEY)
PAIR = {"model": LDS, "inference": OWN, "xs": XS, "key": KEY}
SIZES = {"num_sequences": (1, 1, 1), "length": 3, "noise": 0.1, "seed": 0}


def _net(make, **sizes):
    """A network: its sizes and its key are what can be wrong."""
    return Entry(make, {**sizes, "key": KEY})


def _loss(tree, batch):
    loss = train.batch_loss(avfkit.free_energy)
    return loss(tree, batch, key=KEY, step=jnp.array(0))[0]


def _kl(mean, log_var):
    """The divergence of a Gaussian that is made here, and so checked when it is made."""
    return avfkit.kl(avfkit.DiagonalGaussian(mean, log_var), FULL)


def _online_loss(tree, batch):
    loss = avfkit.online_e_step_loss(optax.sgd(0.1))
    return loss(tree, batch, key=KEY, step=jnp.array(0))[0]


def _calibrated(pit, levels):
    return avfkit.Calibration(pit, pit).coverage(levels)


def _dropped(rate):
    return train.with_dropout(lambda *_, **__: None, [train.Drop(lambda tree: tree, rate)])


KALMAN = {
    "filter": Entry(kalman.filter, {"chain": CHAIN, "potentials": POTENTIALS}),
    "smoother": Entry(kalman.smoother, {"chain": CHAIN, "potentials": POTENTIALS}),
    "log_normaliser": Entry(kalman.log_normaliser, {"chain": PATH, "potentials": POTENTIALS}),
    "posterior": Entry(kalman.posterior, {"chain": CHAIN, "potentials": POTENTIALS}),
    "conditionals": Entry(kalman.conditionals, {"chain": CHAIN, "potentials": POTENTIALS}),
    "marginals": Entry(kalman.marginals, {"path": PATH}),
    "sample": Entry(kalman.sample, {"path": PATH, "key": KEY}),
    "divergence": Entry(kalman.divergence, {"q": PATH, "p": CHAIN}),
    "unrolled": Entry(kalman.unrolled, {"chain": PATH, "length": T}),
    "predict": Entry(kalman.predict, {"chain": CHAIN, "mean": CHAIN.bias, "cov": CHAIN.noise_cov}),
    "update": Entry(
        kalman.update,
        {"mean": CHAIN.bias, "cov": jnp.array(EYE), "precision": jnp.array(EYE)}
        | {"linear": CHAIN.bias},
    ),
    "element": Entry(kalman.element, {"prior": STEP, "potential": POTENTIAL}),
    "combine": Entry(kalman.combine, {"earlier": ELEMENT, "later": ELEMENT}),
    "diagonal_potentials": Entry(
        kalman.diagonal_potentials,
        {"mean": XS, "variance": np.ones((T, D)), "observed": np.ones(T, bool)},
    ),
    "full_potentials": Entry(
        kalman.full_potentials,
        {"mean": XS, "precision": np.stack([EYE] * T), "observed": np.ones(T, bool)},
    ),
    "linear_gaussian_potentials": Entry(
        kalman.linear_gaussian_potentials,
        {"emission_matrix": MATRIX, "emission_bias": np.zeros(N), "emission_var": np.ones(N)}
        | {"xs": XS, "observed": np.ones((T, N), bool)},
    ),
    **dict.fromkeys(
        ("Chain", "Conditionals", "Potentials", "Element"),
        "a record of arrays; the functions that take it check it",
    ),
    **dict.fromkeys(
        ("Filtered", "Posterior", "Smoothed", "Marginals"), "a record that functions return"
    ),
    "Markov": "a type alias",
}

NN = {
    "affine": Entry(
        nn.affine,
        {"linear": eqx.nn.Linear(D, D, key=KEY), "inputs": np.ones(D)},
        spoilt=("inputs",),
    ),
    "clipped_leaky_relu": Entry(nn.clipped_leaky_relu, {"values": XS}),
    "BernoulliHead": _net(nn.BernoulliHead, in_size=D, out_size=N),
    "GaussianHead": _net(nn.GaussianHead, in_size=D, out_size=N),
    "FullGaussianHead": _net(nn.FullGaussianHead, in_size=D, out_size=N),
    "DiscretisedGaussianHead": _net(nn.DiscretisedGaussianHead, in_size=D, out_size=N, window=0.1),
    "BidirectionalRNN": _net(nn.BidirectionalRNN, in_size=D, hidden_size=2),
    "TemporalCNN": _net(nn.TemporalCNN, in_size=D, hidden_size=2, kernel=2, features=2, depth=1),
    "Conditional": _net(
        partial(nn.Conditional, head=nn.GaussianHead), in_size=D, out_size=N, width=2, depth=1
    ),
    "DeepMemory": _net(nn.DeepMemory, in_size=D, hidden_size=2, depth=1),
    "Memory": _net(nn.Memory, in_size=D, hidden_size=2),
    "Highway": _net(nn.Highway, in_size=D, width=2, depth=1),
    "FrameDecoder": _net(
        partial(nn.FrameDecoder, widths=(1, 1, 1)), latent_size=D, size=4, noise=0.1
    ),
    "FrameEncoder": _net(partial(nn.FrameEncoder, widths=(1, 1, 1)), size=4, out_size=D),
    "ImageDecoder": _net(partial(nn.ImageDecoder, channels=1), size=8, code_size=2, out_channels=1),
    "ImageEncoder": _net(partial(nn.ImageEncoder, channels=1), size=8, code_size=2),
    "LinearGaussian": Entry(
        nn.LinearGaussian, {"matrix": MATRIX, "bias": np.zeros(N), "log_var": np.zeros(N)}
    ),
    "DiagonalDynamics": Entry(nn.DiagonalDynamics, {"unbounded": np.zeros(D)}),
    "FreeDynamics": Entry(nn.FreeDynamics, {"free": MATRIX}),
    "RotationDynamics": Entry(
        nn.RotationDynamics, {"turn": np.ones(1), "unbounded": np.zeros(()), "frame": EYE}
    ),
    "StableDynamics": Entry(
        nn.StableDynamics,
        {"left": np.ones(1), "right": np.ones(1), "unbounded": np.zeros(D), "frame": EYE},
    ),
    "AbstractDynamics": "abstract",
    "LOG_VAR_RANGE": "a constant",
}

DATA = {
    "Dataset": Entry(
        partial(data.Dataset, "d"),
        {"sequences": [XS], "observed": [np.ones(T, bool)], "offset": 0.0, "scale": 2.0}
        | {"window": 0.1, "rate": 8.0},
        traced=False,
    ),
    "Levels": Entry(
        data.Levels, {"raw": np.zeros((T, N), np.int16), "offset": 0, "scale": 1.0}, traced=False
    ),
    "pad": Entry(data.pad, {"data": [XS, XS[:2]], "length": 4}, traced=False),
    "batches": Entry(
        data.batches,
        {"dataset": SOUND, "batch_size": 2, "length": 2, "seed": 0},
        traced=False,
        spoilt=("batch_size", "length", "seed"),
    ),
    "evaluation_batches": Entry(
        data.evaluation_batches,
        {"dataset": SOUND, "batch_size": 2},
        traced=False,
        spoilt=("batch_size",),
    ),
    "bucket_lengths": Entry(data.bucket_lengths, {"longest": 20}, traced=False),
    "linear_prediction_baseline": Entry(
        data.linear_prediction_baseline,
        {"train": SOUND, "test": SOUND, "order": 1},
        traced=False,
        spoilt=("order",),
    ),
    "lds": Entry(
        data.lds,
        {"latent_size": D, "obs_size": N, "q": 0.1, "r": 0.1, "num_sequences": 1, "length": 2}
        | {"seed": 0},
        traced=False,
    ),
    "pendulum": Entry(data.pendulum, SIZES, traced=False, spoilt=("length", "seed", "noise")),
    "bouncing_ball": Entry(
        data.bouncing_ball, SIZES, traced=False, spoilt=("length", "seed", "noise")
    ),
    "voices": Entry(
        partial(data.voices, (1, 1, 1)),
        {"seconds": 0.1, "samples_per_step": 200, "seed": 0},
        traced=False,
    ),
    "synthesise": Entry(data.synthesise, {"roll": ROLL, "rate": 100}, traced=False),
    "to_midi": Entry(lambda roll: data.to_midi(roll, "a.mid"), {"roll": ROLL}, traced=False),
    "to_wav": Entry(partial(data.to_wav, "a.wav"), {"wave": XS[:, 0] / 9, "rate": 8}, traced=False),
    "to_gif": Entry(
        partial(data.to_gif, "a.gif"), {"film": np.zeros((2, 4, 4)), "fps": 5.0}, traced=False
    ),
    "waveform": Entry(
        data.waveform, {"data": SOUND, "frames": XS}, traced=False, spoilt=("frames",)
    ),
    "cache_folder": "names a folder, makes none",
    **dict.fromkeys(
        ("bernoulli_baseline", "bernoulli_frequencies", "markov_baseline", "pixel_baseline"),
        "takes data sets, which are checked when they are made",
    ),
    **dict.fromkeys(
        (
            "chorales",
            "films",
            "jsb",
            "kth",
            "moving_digits",
            "moving_mnist",
            "polyphonic",
            "speech_commands",
            "timit",
            "timit_sample",
        ),
        "reads files; tests/data gives it bad ones",
    ),
    **dict.fromkeys(
        (
            "BallPaths",
            "BallTruth",
            "Batch",
            "EvaluationBatch",
            "LDSTruth",
            "PendulumPaths",
            "PendulumTruth",
            "Score",
            "Splits",
            "Batches",
            "EvaluationBatches",
        ),
        "a record that functions return",
    ),
}

TRAIN = {
    "batch_loss": Entry(
        _loss,
        {"tree": (LDS, OWN), "batch": BATCH},
        spoilt=("batch",),
    ),
    "linear_anneal": Entry(train.linear_anneal, {"num_steps": 3}, traced=False),
    "with_dropout": Entry(_dropped, {"rate": 0.5}, traced=False),
    "fit": "trains for seconds; tests/train/test_fit.py gives it bad arguments",
    **dict.fromkeys(
        ("save", "load", "read_header", "fingerprint"), "files; tests/train and tests/data"
    ),
    **dict.fromkeys(
        ("AbstractProgress", "NoProgress", "TextProgress", "TqdmProgress"), "takes no argument"
    ),
    **dict.fromkeys(("Drop", "Fit", "CheckpointError"), "a record or an error"),
}

AVFKIT = {
    "free_energy": Entry(avfkit.free_energy, PAIR | {"observed": np.ones(T, bool), "context": 1}),
    "free_energy_terms": Entry(avfkit.free_energy_terms, PAIR | {"kl_weight": 0.5}),
    "iwae": Entry(avfkit.iwae, PAIR | {"num_samples": 2, "context": 1}),
    "fivo": Entry(
        avfkit.fivo, {"model": LDS, "filter": OWN, "xs": XS, "num_samples": 2, "key": KEY}
    ),
    "one_step": Entry(avfkit.one_step, PAIR),
    "continuation": Entry(avfkit.continuation, PAIR | {"length": 2}),
    "predictive_log_likelihood": Entry(
        avfkit.predictive_log_likelihood, PAIR | {"context": 1, "num_samples": 2}
    ),
    "imputation": Entry(
        avfkit.imputation, PAIR | {"observed": np.array([True, False, True]), "num_samples": 2}
    ),
    "sample": Entry(avfkit.sample, {"model": LDS, "length": 2, "key": KEY}),
    "coverage": Entry(
        avfkit.coverage, {"samples": np.stack([XS] * 3), "truth": XS, "levels": np.array([0.5])}
    ),
    "kl": Entry(_kl, {"mean": np.zeros(D), "log_var": np.zeros(D)}),
    "kl_per_dimension": "the entries that `kl` adds up",
    "DiagonalGaussian": Entry(
        avfkit.DiagonalGaussian, {"mean": np.zeros(D), "log_var": np.zeros(D)}
    ),
    "FullGaussian": Entry(
        avfkit.FullGaussian, {"mean": np.zeros(D), "log_scale": np.zeros(D), "lower": EYE}
    ),
    "Bernoulli": Entry(avfkit.Bernoulli, {"logits": np.zeros(D)}),
    "DiscretisedGaussian": Entry(
        lambda mean, log_var: avfkit.DiscretisedGaussian(mean, log_var, 0.1, 0.0),
        {"mean": np.zeros(D), "log_var": np.zeros(D)},
    ),
    "VRNN": _net(avfkit.VRNN, obs_size=N, latent_size=D, hidden_size=2, width=2, depth=1),
    "SRNN": _net(avfkit.SRNN, obs_size=N, latent_size=D, hidden_size=2, width=2, depth=1),
    "SVG": _net(partial(avfkit.SVG, (8, 8), channels=1), latent_size=D, code_size=2, hidden_size=2),
    "FactorisedHead": _net(avfkit.FactorisedHead, in_size=D, latent_size=D, width=2),
    "LinearHead": _net(avfkit.LinearHead, in_size=D, latent_size=D, width=2),
    "NonlinearHead": _net(avfkit.NonlinearHead, in_size=D, latent_size=D, hidden_size=2, width=2),
    "LearnedUpdate": Entry(
        avfkit.LearnedUpdate,
        {"model": LDS, "width": 2, "depth": 1, "key": KEY},
        spoilt=("width", "depth", "key"),
    ),
    "DirectFilter.create": _net(partial(avfkit.DirectFilter.create, LDS), width=2, depth=1),
    "RecurrentFilter.create": _net(
        partial(avfkit.RecurrentFilter.create, LDS), hidden_size=2, depth=1
    ),
    "LDS.from_parameters": Entry(
        partial(avfkit.LDS.from_parameters, emission=EMISSION),
        {"m1": np.zeros(D), "P1": EYE, "A": MATRIX, "b": np.ones(D), "Q": EYE},
    ),
    "MonteCarlo": Entry(avfkit.MonteCarlo, {"num_samples": 1}, traced=False),
    "IterativeFilter": Entry(
        partial(avfkit.IterativeFilter, avfkit.GradientUpdate(optax.sgd(0.1))),
        {"num_iterations": 1},
        traced=False,
    ),
    "Rematerialised": Entry(partial(avfkit.Rematerialised, OWN), {"every": 2}, traced=False),
    "Masked": Entry(
        partial(avfkit.Masked, avfkit.KalmanSmoother()),
        {"fraction": np.array(0.4)},
        traced=False,
    ),
    "particle_filter": Entry(
        avfkit.particle_filter,
        {"model": LDS, "filter": OWN, "xs": XS, "observed": OBSERVED, "key": KEY}
        | {"num_particles": 2},
    ),
    "OnlineFilter.init": Entry(ONLINE.init, {"key": KEY}, traced=False),
    "OnlineFilter.step": Entry(
        partial(ONLINE.step, STREAM), {"x": XS[0], "observed": np.ones(N, bool)}
    ),
    "OnlineFilter.run": Entry(partial(ONLINE.run, STREAM), {"xs": XS, "observed": OBSERVED}),
    "OnlineFilter.predict": Entry(
        partial(ONLINE.predict, STREAM), {"horizon": 2, "num_samples": 2, "key": KEY}
    ),
    "check_contract": Entry(avfkit.check_contract, PAIR | {"tolerance": 0.1}, costly=True),
    "evaluate": Entry(
        avfkit.evaluate,
        {"model": LDS, "inference": OWN, "batches": [BATCH], "key": KEY, "num_samples": 2}
        | {"context": 0},
        costly=True,
        spoilt=("key", "num_samples", "context"),
    ),
    "online_e_step_loss": Entry(
        _online_loss,
        {"tree": (LDS, avfkit.Online.create(AVF, optax.sgd(0.1))), "batch": BATCH},
        spoilt=("batch",),
    ),
    "certify": Entry(
        avfkit.certify, {"method": OWN, "key": KEY, "num_draws": 2, "tolerance": 0.1}, costly=True
    ),
    "gap": Entry(
        avfkit.gap,
        PAIR
        | {"observed": OBSERVED, "num_samples": 1, "num_draws": 2, "num_iterations": 1}
        | {"num_particles": 1},
    ),
    "linear_gaussian_problems": Entry(
        partial(avfkit.linear_gaussian_problems, shapes=[(D, N, T)]),
        {"snrs": [1.0], "missing": 0.2, "key": KEY},
    ),
    "crps": Entry(avfkit.crps, {"samples": np.stack([XS] * 3), "truth": XS}),
    "gaussian_crps": Entry(avfkit.gaussian_crps, {"gaussian": FULL, "truth": np.ones(D)}),
    "pit": Entry(
        avfkit.pit,
        {"distribution": FULL, "value": np.ones(D), "observed": np.ones(D, bool), "key": KEY},
    ),
    "calibration": Entry(
        avfkit.calibration, {"samples": np.stack([XS] * 3), "truth": XS, "key": KEY}
    ),
    "Calibration.coverage": Entry(_calibrated, {"pit": XS, "levels": np.array([0.5])}),
    "simulated_calibration": Entry(
        avfkit.simulated_calibration,
        {"model": LDS, "inference": OWN, "length": T, "observed": OBSERVED, "key": KEY}
        | {"num_problems": 1, "num_samples": 2},
    ),
    "predictive_calibration": Entry(
        avfkit.predictive_calibration, PAIR | {"observed": OBSERVED, "num_samples": 2}
    ),
    "compute_curve": Entry(
        partial(avfkit.compute_curve, {"own": (LDS, OWN)}),
        {"batch": BATCH, "turns": 1, "key": KEY},
        costly=True,
    ),
    "with_compute": Entry(
        partial(avfkit.with_compute, AVF), {"num_iterations": 1, "num_samples": 1}, traced=False
    ),
    **dict.fromkeys((name for name in dir(avfkit) if name.startswith("Abstract")), "abstract"),
    **dict.fromkeys(
        (
            *("Certificate", "Clause", "ComputePoint", "Contract", "Evaluation", "Filtered", "Gap"),
            *("Imputation", "OneStep", "OnlineState", "Particles", "Problem", "StepProblem"),
            "Trace",
        ),
        "a record that functions return",
    ),
    **dict.fromkeys(
        (
            *("AmortizedSmoother", "Autoregressive", "GaussMarkov", "GradientUpdate"),
            *("MarginalFilter", "Online", "StructuredFilter", "StructuredSmoother"),
        ),
        "holds modules that were checked when they were made",
    ),
    **dict.fromkeys(("Cubature", "KalmanFilter", "KalmanSmoother"), "takes no argument"),
}

INFERENCE = {
    "window": Entry(inference.window, {"length": T, "fraction": 0.4, "key": KEY}),
    **dict.fromkeys(
        (
            *("errors", "gradients", "layer_norm", "learned_step", "output_gate"),
            "signed_log",
        ),
        "a choice that LearnedUpdate calls, with arrays of its own",
    ),
    "natural_gradient": "takes a rate or a schedule; its tests have the bad ones",
}

INTEROP = {
    "to_xarray": Entry(
        interop.to_xarray, {"draws": XS, "xs": XS, "observed": OBSERVED}, traced=False
    ),
    "to_dynamax": "takes a model, which was checked when it was made",
    "from_dynamax": "takes parameters that dynamax has checked; tests/interop",
}

REGISTRY = {
    "": AVFKIT,
    "data": DATA,
    "diagnosis": {"TERMS": "a constant"},
    "inference": INFERENCE,
    "interop": INTEROP,
    "kalman": KALMAN,
    "models": {},
    "nn": NN,
    "train": TRAIN,
}
ENTRIES = {
    f"{part}.{name}".lstrip("."): entry
    for part, names in REGISTRY.items()
    for name, entry in names.items()
    if isinstance(entry, Entry)
}


def public_modules():
    """The parts of the library; the top is the empty name."""
    return {"", *(found[1] for m in sys.modules if (found := re.fullmatch(r"avfkit\.([a-z]+)", m)))}


def public_names(part):
    """The names of a part that are neither private, nor modules, nor found at the top as well."""
    module = getattr(avfkit, part) if part else avfkit
    found = {n: getattr(module, n) for n in dir(module) if n[0] != "_"}
    return {
        name
        for name, what in found.items()
        if not inspect.ismodule(what) and not (part and getattr(avfkit, name, None) is what)
    }
