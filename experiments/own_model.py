"""Your own model on your own data, trained by amortized variational filtering.

    python experiments/own_model.py --out runs/own

A deep Kalman filter (Krishnan, Shalit and Sontag 2015): a Markov chain of latents with learned,
nonlinear steps. A model is a class with a handful of methods; everything else comes with it. The
data are noisy circles, drawn at different speeds.
"""

import argparse
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

import avfkit
from avfkit import nn
from avfkit.data import Dataset, Splits
from avfkit_experiments import Recipe, run


class DeepKalman(avfkit.AbstractMarkovModel):
    """p(z_t | z_{t-1}) and p(x_t | z_t), each a Gaussian whose moments a network outputs."""

    emission: nn.Conditional
    dynamics: nn.Conditional
    obs_size: int = eqx.field(static=True)
    latent_size: int = eqx.field(static=True)

    def __init__(self, obs_size: int, latent_size: int, *, key: Key[Array, ""]) -> None:
        emission_key, dynamics_key = jr.split(key)
        make: Callable = lambda *sizes, key: nn.Conditional(  # noqa: E731
            *sizes, head=nn.GaussianHead, width=32, depth=1, key=key
        )
        self.emission = make(latent_size, obs_size, key=emission_key)
        self.dynamics = make(latent_size, latent_size, key=dynamics_key)
        self.obs_size, self.latent_size = obs_size, latent_size

    def initial(self) -> avfkit.AbstractGaussian:
        """A standard normal."""
        return avfkit.DiagonalGaussian(jnp.zeros(self.latent_size), jnp.zeros(self.latent_size))

    def transition(self, z: Float[Array, " latent"]) -> avfkit.AbstractGaussian:
        """p(z_t | z_{t-1})."""
        return self.dynamics(z)


def circles(name: str, number: int, seed: int) -> Dataset:
    """Points on noisy circles; lengths and speeds differ. A NaN would mark a missing entry."""
    random = np.random.default_rng(seed)
    steps = [np.arange(random.integers(20, 40)) for _ in range(number)]
    angles = [random.uniform(0.2, 0.5) * t + random.uniform(0, 6) for t in steps]
    points = [np.stack([np.cos(a), np.sin(a)], 1) for a in angles]
    return Dataset(name, tuple(p + 0.1 * random.normal(size=p.shape) for p in points))


def main(out: str, steps: int = 1_000) -> dict:
    """Trains, scores and writes `out/result.json`; made again, it resumes."""
    splits = Splits(circles("train", 200, 0), circles("valid", 50, 1), circles("test", 50, 2))
    model_key, update_key = jr.split(jr.key(0))
    model = DeepKalman(obs_size=2, latent_size=4, key=model_key)
    update = avfkit.LearnedUpdate(model, width=64, encode_observation=True, key=update_key)
    inference = avfkit.IterativeFilter(update, num_iterations=1)
    recipe = Recipe(steps=steps, batch_size=32, length=20, clip=10.0, score_batch=50)
    return run((model, inference), splits, recipe, folder=out, seed=0, name="circles").result


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="runs/own")
    print(main(parser.parse_args().out)["test"]["free_energy_per_step"])
