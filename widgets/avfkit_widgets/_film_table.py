"""What the film explorer shows, as pure functions: frames before and after they were seen."""

import math

import numpy as np
from jaxtyping import Array, Float, Key

import avfkit

from ._figures import format_nats
from ._plot import Scene, box, grey, nice_axis, step_ticks, strip
from ._runs import check_sequence, evaluate_run, iteration_slider, stopped
from ._table import AbstractTable, Arrays, Slider, Values

GAP = 16


class FilmTable(AbstractTable):
    """A filtered film: data, prediction and reconstruction of a frame, and what each frame costs.

    Each grid point filters the whole film, with the same key: `avfkit.one_step` and `infer`.
    """

    kind = "film"
    title = "Film explorer"
    description = (
        "Three pictures side by side, a frame of the film, its prediction before it was seen and "
        "its reconstruction; below, the free energy of each frame."
    )
    legend = (("energy", "free energy"),)

    def __init__(
        self,
        model: avfkit.AbstractModel,
        inference: avfkit.AbstractInference,
        film: Float[np.ndarray, "time pixels"],
        shape: tuple[int, int],
        *,
        max_iterations: int | None,
        key: Key[Array, ""],
    ) -> None:
        film = _check_film(film, shape, model.obs_size)
        ks = iteration_slider(inference, max_iterations)
        self._most = ks[0].choices[-1] if ks else 0
        self._given = (model, inference, film, key)
        frames = tuple(range(1, len(film) + 1))
        spoken = tuple(f"frame {t}" for t in frames)
        self.sliders = (*ks, Slider("step", "Frame", frames, spoken, tabulated=False))
        self.constants = {"data": film}
        self.bits = dict(data=8, prediction=8, reconstruction=8, energy=16)
        self.ranges = {name: (0.0, 1.0) for name in ("data", "prediction", "reconstruction")}
        ends = [self.evaluate(dict(iterations=k))["energy"] for k in {0, self._most}]
        self.extras = {
            "shape": list(shape),
            "iterates": bool(ks),
            "energy_axis": nice_axis(float(np.min(ends)), float(np.max(ends)), 2),
            "energy_title": "free energy of each frame, nats",
            "step_title": "frame",
            "step_ticks": step_ticks(1, len(film)),
        }

    def evaluate(self, values: Values) -> dict[str, np.ndarray]:
        """The arrays of one K."""
        model, inference, film, key = self._given
        method = stopped(inference, self._most, values.get("iterations", 0))
        found = evaluate_run(model, method, film, key=key)
        return {
            "prediction": found.prediction,
            "reconstruction": found.reconstruction,
            "energy": found.free_energy,
        }

    def scene(self, values: Values, arrays: Arrays, width: float) -> Scene:
        """Three frames, and the energies below them."""
        t, (height, across) = values["step"] - 1, self.extras["shape"]
        side = min(200, math.floor((width - 2 * GAP) / 3))
        tall, start = side * height / across, (width - 3 * side - 2 * GAP) / 2
        paths, texts, images, frames = {}, [], [], ""
        for i, mark in enumerate(("data", "prediction", "reconstruction")):
            left = start + i * (side + GAP)
            picture = arrays[mark][t].reshape(height, across)
            images.append((left, 26, side, tall, grey(picture)))
            frames += box(left, left + side, 26, 26 + tall)
            texts.append((left + side / 2, 16, "middle", mark))
        paths["frame"] = frames
        below = strip(self.extras, {"energy": arrays["energy"]}, t, width, tall + 68)
        return Scene({**paths, **below.paths}, [*texts, *below.texts], images, below.height)

    def sentence(self, values: Values, arrays: Arrays) -> str:
        """What the frame costs, and how far prediction and reconstruction are from it."""
        step, t, pixels = values["step"], values["step"] - 1, arrays["data"].shape[1]
        energy, opening = float(arrays["energy"][t]), "Frame"
        if self.extras["iterates"]:
            k = values["iterations"]
            opening = f"After {k} iteration{'' if k == 1 else 's'}, frame"
        errors = [
            float(np.abs(arrays[name][t] - arrays["data"][t]).mean())
            for name in ("prediction", "reconstruction")
        ]
        bits = energy / (pixels * math.log(2))
        return (
            f"{opening} {step} of {len(arrays['energy'])} costs {format_nats(energy)} nats, "
            f"{bits:.2f} bits per pixel; a pixel is off by {errors[0]:.3f} on average in the "
            f"prediction and by {errors[1]:.3f} in the reconstruction."
        )


def _check_film(
    film: Float[np.ndarray, "time pixels"], shape: tuple[int, int], size: int
) -> Float[np.ndarray, "time pixels"]:
    if math.prod(shape) != size:
        raise ValueError(f"shape is {shape}; expected {size} pixels, the model's obs_size.")
    film = check_sequence("film", film, size)
    if film.min() < 0 or film.max() > 1:
        raise ValueError(f"film has values from {film.min():g} to {film.max():g}; expected 0 to 1.")
    return film
