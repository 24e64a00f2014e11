"""Convolutions and their gradients: avfkit's, channels last, beside XLA's own, channels first.

Claim: the layers of the pendulum's networks cost less than half of the processor time that
Equinox's layers cost, and those of SVG, whose training step has them inside a loop over time, less
than a third. Run from the repository's root:

    python benchmarks/convolutions.py

For each layer one unit is its value for some pictures, and the gradient with respect to weights and
pictures: at once for 500 frames (pendulum), or step by step in a loop (SVG). Both must agree before
the clock starts. On a device other than a CPU both are XLA's.

Writes `benchmarks/results/convolutions.json`.
"""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from measure import interleaved, provenance, ratio, summary, write

from avfkit.nn._convolution import convolve, spread


class Layer(NamedTuple):
    """A convolution, or one that doubles the picture."""

    inputs: int
    outputs: int
    size: int  # pixels a side of the input
    kernel: int
    stride: int
    doubles: bool = False


class Case(NamedTuple):
    """The layers of a model, the pictures in a batch, and the steps of the loop."""

    layers: list[Layer]
    batch: int
    steps: int


CASES = {
    "pendulum": Case(
        [Layer(1, 32, 24, 3, 1), Layer(32, 64, 24, 3, 2), Layer(64, 32, 12, 3, 2)]
        + [Layer(32, 64, 6, 3, 2, True), Layer(64, 32, 12, 3, 2, True), Layer(32, 1, 24, 3, 1)],
        batch=500,
        steps=1,
    ),
    "svg-moving-digits-small": Case(
        [Layer(1, 8, 32, 4, 2), Layer(8, 16, 16, 4, 2), Layer(16, 32, 8, 4, 2)]
        + [Layer(64, 16, 4, 4, 2, True), Layer(32, 8, 8, 4, 2, True), Layer(16, 2, 16, 4, 2, True)],
        batch=8,
        steps=12,
    ),
    "svg-kth, part of an encoder": Case(
        [Layer(64, 64, 64, 3, 1), Layer(64, 128, 32, 3, 1), Layer(128, 256, 16, 3, 1)]
        + [Layer(256, 512, 8, 3, 1)],
        batch=2,
        steps=2,
    ),
}


def last(layer: Layer, weight: jax.Array, image: jax.Array) -> jax.Array:
    """Of avfkit, of a picture [height, width, channels]."""
    if not layer.doubles:
        before, after = (layer.kernel - 1) // 2, (layer.kernel - 1) // 2
        return convolve(image, weight, stride=layer.stride, before=before, after=after)
    size, before = (2 * layer.size, 2 * layer.size), layer.kernel - 3
    return spread(image, weight, stride=2, before=before, size=size)


def first(layer: Layer, weight: jax.Array, image: jax.Array) -> jax.Array:
    """Of XLA, of a picture [channels, height, width]."""
    k, before = layer.kernel, layer.kernel - 3
    strides, dilated, ends = (layer.stride,) * 2, (1, 1), ((k - 1) // 2, (k - 1) // 2)
    if layer.doubles:
        strides, dilated, ends = (1, 1), (2, 2), (k - 1 - before, 1 + before)
        weight = weight[:, :, ::-1, ::-1]
    found = jax.lax.conv_general_dilated(image[None], weight, strides, (ends, ends), dilated)
    return found[0]


def work(function: Callable, layer: Layer, weight: jax.Array, images: jax.Array) -> Callable:
    """The gradient of weights and pictures `[steps, batch, ...]`, step by step if there are any."""

    def loss(weight: jax.Array, images: jax.Array) -> jax.Array:
        found = jax.vmap(lambda image: function(layer, weight, image))(images)
        return jnp.sum(jnp.square(found))

    gradient = jax.value_and_grad(loss, (0, 1))

    @jax.jit
    def both(weight: jax.Array, images: jax.Array) -> tuple:
        if len(images) == 1:
            value, (grad, changes) = gradient(weight, images[0])
            return value, grad, changes[None]

        def step(total: tuple, images: jax.Array) -> tuple:
            value, (grad, change) = gradient(weight, images)
            return (total[0] + value, total[1] + grad), change

        zero = jnp.zeros(()), jnp.zeros_like(weight)
        (value, grad), changes = jax.lax.scan(step, zero, images)
        return value, grad, changes

    return lambda: jax.block_until_ready(both(weight, images))


def measured(layer: Layer, case: Case, rounds: int) -> dict[str, list[float]]:
    """Processor milliseconds of each turn of both."""
    shape = (case.steps, case.batch, layer.size, layer.size, layer.inputs)
    images = jr.normal(jr.key(0), shape)
    kernel = (layer.outputs, layer.inputs, layer.kernel, layer.kernel)
    weight = jr.normal(jr.key(1), kernel) / np.sqrt(layer.inputs * layer.kernel**2)
    ours = work(last, layer, weight, images)
    xla = work(first, layer, weight, jnp.moveaxis(images, -1, 2))
    (value, grad, changes), (other, expected, channels_first) = ours(), xla()
    np.testing.assert_allclose(value, other, rtol=1e-3)
    scale = float(jnp.abs(expected).max())
    np.testing.assert_allclose(grad, expected, atol=1e-3 * scale)
    np.testing.assert_allclose(changes, jnp.moveaxis(channels_first, 2, -1), atol=1e-3)
    times = interleaved({"xla": xla, "avfkit": ours}, rounds)
    return {name: each["cpu"] for name, each in times.items()}


def main() -> None:
    """Measure each layer of each model, and write the totals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", default=list(CASES), help="which; all by default")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each")
    options = parser.parse_args()
    result: dict[str, Any] = {"claim": {"pendulum": 2, "svg": 3}, "rounds": options.rounds}
    result["provenance"] = provenance()
    for name in options.cases:
        case, totals = CASES[name], {"xla": 0.0, "avfkit": 0.0}
        each = [measured(layer, case, options.rounds) for layer in case.layers]
        turns = {who: [sum(t) for t in zip(*(m[who] for m in each), strict=True)] for who in totals}
        result[name] = {
            "batch": case.batch,
            "steps": case.steps,
            "processor": {who: summary(times) for who, times in turns.items()},
            "ratio": ratio(turns["xla"], turns["avfkit"]),
            "layers": [
                {**layer._asdict(), "ratio": ratio(times["xla"], times["avfkit"])}
                for layer, times in zip(case.layers, each, strict=True)
            ],
        }
        write("convolutions", result)


if __name__ == "__main__":
    main()
