"""One bouncing digit: a film whose only uncertainty is where the digit goes after a wall.

    python experiments/one_digit.py --out runs/one-digit/own-0

A small SVG on the stochastic moving digits of avfkit, with a single digit in 16 x 16 pixels: small
enough to train on a laptop, and the moments at which its future is open can be read off the film.
"""

import argparse
from typing import Any

import jax.random as jr

import avfkit
from avfkit import data
from avfkit_experiments import Recipe, run

SIZE = 16


def films(train: int = 4_000) -> data.Splits:
    """One digit of 8 x 8 pixels in films of 20 frames."""
    return data.moving_digits(size=SIZE, num_digits=1, digit_size=8, num_films=(train, 100, 100))


def make(inference: str, seed: int) -> tuple:
    """The untrained (model, filter); inference is "own" or "avf"."""
    model_key, filter_key = jr.split(jr.key(seed))
    sizes: dict[str, Any] = {"code_size": 32, "hidden_size": 64, "channels": 8}
    model = avfkit.SVG((SIZE, SIZE), 8, **sizes, key=model_key)
    if inference == "own":
        return model, avfkit.RecurrentFilter.create(model, hidden_size=64, key=filter_key)
    update = avfkit.LearnedUpdate(model, width=128, encode_observation=True, key=filter_key)
    return model, avfkit.IterativeFilter(update, num_iterations=1)  # pyright: ignore[reportCallIssue]


def main(out: str, *, inference: str = "own", steps: int = 3_000, seed: int = 0) -> dict:
    """Trains, scores and writes `out/result.json` and `out/weights.avfkit`; resumes."""
    recipe = Recipe(
        steps=steps,
        batch_size=16,
        length=16,
        theta_rate=3e-3,
        phi_rate=3e-3,
        cosine=True,
        clip=500.0,
        validate_every=250,
        patience=0,
        score_batch=50,
    )
    command = f"python experiments/one_digit.py --inference {inference} --steps {steps}"
    return run(
        make(inference, seed),
        films(),
        recipe,
        folder=out,
        seed=seed,
        name=f"SVG, one digit, {'own filter' if inference == 'own' else 'AVF'}",
        command=f"{command} --seed {seed}",
        hyperparameters={"inference": inference, "iterations": int(inference == "avf")},
        baselines={"pixels": data.pixel_baseline},
    ).result


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--inference", choices=("own", "avf"), default="own")
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="runs/one-digit")
    chosen = parser.parse_args()
    options = {"inference": chosen.inference, "steps": chosen.steps, "seed": chosen.seed}
    print(main(chosen.out, **options)["test"]["free_energy_per_step"])
