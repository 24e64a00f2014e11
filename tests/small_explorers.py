"""Explorers around small untrained models, in seconds; also the first cell of a toy chapter."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

import avfkit
from avfkit import kalman
from avfkit.nn import BernoulliHead, GaussianHead, LinearGaussian
from avfkit_widgets import (
    FilmExplorer,
    GapExplorer,
    IterationExplorer,
    MaskExplorer,
    PosteriorExplorer,
    RollExplorer,
    ScanExplorer,
    StreamExplorer,
)

RANDOM = np.random.RandomState(7)
XS = np.round(np.cumsum(RANDOM.randn(14, 3), 0), 3)
ROLL = (RANDOM.rand(12, 40) < 0.12).astype(float)
FILM = np.round(RANDOM.rand(6, 8, 6) * 255) / 255
PIXELS = RANDOM.randn(48, 2)
TRUTH = np.round(np.cumsum(RANDOM.randn(6, 2), 0), 3)


def read(z):
    """Two numbers of a latent of two."""
    return np.array([0.1, -0.2]) + z @ np.array([[1.0, 0.3], [-0.4, 0.8]])


def pair(obs, head, iterations=3):
    """An untrained VRNN and an AVF filter."""
    model_key, update_key = jr.split(jr.key(0))
    model = avfkit.VRNN(obs, 2, hidden_size=5, width=5, depth=1, head=head, key=model_key)
    update = avfkit.LearnedUpdate(model, width=5, depth=1, gate_bias=-1.0, key=update_key)
    return model, avfkit.IterativeFilter(update, iterations)


def iteration_explorer(**changes):
    options = dict(max_iterations=3, samples=(1, 2, 4), window=(3, 10), key=jr.key(1))
    return IterationExplorer(*pair(3, GaussianHead), XS, **options | changes)


def roll_explorer(**changes):
    return RollExplorer(
        *pair(40, BernoulliHead, 2), ROLL, **dict(lowest=40, key=jr.key(2)) | changes
    )


def film_explorer(**changes):
    model, inference = pair(48, GaussianHead, 2)
    return FilmExplorer(model, inference, FILM, (8, 6), **dict(key=jr.key(3)) | changes)


def chain(steps):
    """A latent of two numbers that turns, and a potential on it at each step."""
    parts = [[1.0, 0.0], np.eye(2), [[0.9, -0.3], [0.3, 0.9]], [0.0, 0.2], 0.3 * np.eye(2)]
    seen = np.random.RandomState(2).randn(steps, 2)
    potentials = kalman.diagonal_potentials(jnp.asarray(seen), jnp.ones((steps, 2)))
    return kalman.Chain(*(jnp.asarray(part, float) for part in parts)), potentials


def scan_explorer(**changes):
    return ScanExplorer(*chain(18), **changes)


def posterior_explorer(**changes):
    options = dict(sizes=((1, 2), (2, 3)), snrs=(0.1, 1), reaches=(0, 2), length=9)
    options |= dict(family="filter")
    return PosteriorExplorer(**options | changes)


def turning(obs):
    """A latent that turns, seen by that many pixels."""
    matrix = PIXELS[:obs] / 4
    emission = LinearGaussian.from_parameters(matrix, np.full(obs, 0.5), np.full(obs, 0.2))
    turn = np.array([[0.8, -0.5], [0.5, 0.8]])
    eye = np.eye(2)
    return avfkit.LDS.from_parameters(
        np.zeros(2), eye, turn, np.zeros(2), 0.1 * eye, emission=emission
    )


def mask_explorer(**changes):
    film, smoother = FILM.reshape(6, 48), avfkit.KalmanSmoother()
    options = dict(shape=(8, 6), clean=film, starts=(1, 3, 5), lengths=(0, 2, 4), key=jr.key(4))
    given = dict(truth=TRUTH, readout=read) | changes
    truth, readout = given.pop("truth"), given.pop("readout")
    return MaskExplorer(turning(48), smoother, film, truth, readout, **options | given)


def stream_explorer(**changes):
    kalman = avfkit.MarginalFilter(avfkit.KalmanFilter())
    xs, hidden = XS[:10, :2], np.ones((10, 2), bool)
    hidden[3:6], hidden[7, 0] = False, False
    gaps = {"nothing": np.ones((10, 2), bool), "some": hidden}
    online = avfkit.OnlineFilter(turning(2), kalman)
    return StreamExplorer(online, xs, gaps, **dict(horizon=3, gap="some", key=jr.key(5)) | changes)


def noisy(snr):
    """A world of two latents, with a diagonal filter short of its posterior."""
    emission = LinearGaussian.from_parameters(PIXELS[:3], np.zeros(3), np.full(3, 0.3 / snr))
    turn = np.array([[0.8, -0.5], [0.5, 0.8]])
    return avfkit.LDS.from_parameters(
        np.zeros(2), np.eye(2), turn, np.zeros(2), 0.3 * np.eye(2), emission=emission
    )


def gap_explorer(**changes):
    vfem = avfkit.IterativeFilter(avfkit.GradientUpdate(optax.adam(0.2)), 1, avfkit.Cubature())
    options = dict(snrs=(0.5, 2), missing=(0, 40), iterations=(1, 4), length=5, num_sequences=3)
    return GapExplorer(noisy, vfem, **options | dict(num_samples=2, key=jr.key(4)) | changes)


MAKERS = {
    "gap": gap_explorer,
    "iteration": iteration_explorer,
    "roll": roll_explorer,
    "film": film_explorer,
    "mask": mask_explorer,
    "posterior": posterior_explorer,
    "scan": scan_explorer,
    "stream": stream_explorer,
}
