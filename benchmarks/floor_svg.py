"""The convolutions of a training step of SVG-KTH and nothing else, as XLA runs avfkit's.

Convolutions are linear, so JAX's derivatives of this are convolutions again, and nothing but them.
Frames are halved by leaving pixels out and doubled by repeating them.
"""

from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
from floor_products import fit, forward, network, update_gradients, update_network

from avfkit.nn._convolution import convolve, spread

Kernels = list[list[jax.Array]]
CODE, LATENT, HIDDEN = 128, 512, 256


def kernels(*stages: tuple[int, ...], key: jax.Array) -> Kernels:
    """Those of 3 x 3 pixels, for each stage."""
    made = []
    for sizes in stages:
        pairs = zip(sizes[:-1], sizes[1:], strict=True)
        made.append([jr.normal(key, (b, a, 3, 3)) / (9 * a) ** 0.5 for a, b in pairs])
    return made


def svg(*, key: jax.Array) -> dict[str, Any]:
    """The networks of SVG-KTH. The LSTMs, some thousandths of the arithmetic, are left out."""
    down = (1, 64, 64), (64, 128, 128), (128, 256, 256, 256), (256, 512, 512, 512)
    up = (512, 512, 512, 256), (256, 256, 256, 128), (128, 128, 64), (64, 64)
    ends = {"code": (CODE, 512, 4, 4), "first": (512, CODE, 4, 4), "last": (2, 64, 3, 3)}
    made = {name: jr.normal(key, shape) / shape[1] for name, shape in ends.items()}
    made |= {"down": kernels(*down, key=key), "up": kernels(*up, key=key)}
    head = network(HIDDEN, CODE, key=key)
    update = update_network(LATENT, depth=1, key=key)
    return made | {"head": head, "update": update}


def same(image: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution that keeps the size."""
    return convolve(image, kernel, before=1, after=1)


def encode(nets: dict[str, Any], frame: jax.Array) -> jax.Array:
    """The convolutions from a frame to its code."""
    image = frame.reshape(64, 64, 1)
    for stage in nets["down"]:
        for kernel in stage:
            image = same(image, kernel)
        image = image[::2, ::2]
    return convolve(image, nets["code"], before=0, after=0)[0, 0]


def decode(nets: dict[str, Any], code: jax.Array) -> jax.Array:
    """The convolutions from a code to the two channels of a frame."""
    image = spread(code[None, None], nets["first"], stride=1, before=0, size=(4, 4))
    for stage in nets["up"]:
        image = jnp.repeat(jnp.repeat(image, 2, 0), 2, 1)
        for kernel in stage:
            image = same(image, kernel)
    return spread(image, nets["last"], stride=1, before=1, size=(64, 64))


def svg_floor(nets: dict[str, Any], xs: jax.Array, *, num_iterations: int) -> Any:
    """All convolutions of one training step, and the products of the update network."""
    frames, batch = xs.reshape(-1, xs.shape[-1]), xs.shape[1]
    pictures = {name: nets[name] for name in ("down", "code", "first", "up", "last")}
    decode_all = jax.vmap(decode, (None, 0))

    def step(q: jax.Array, _: None) -> tuple[jax.Array, tuple]:
        update_read = []
        for iteration in range(num_iterations + 1):
            code = forward(nets["head"], fit(q, HIDDEN))[0]
            image, back = jax.vjp(lambda code: decode_all(pictures, code), code)
            gradient = back(image)[0]
            if iteration < num_iterations:
                estimate = fit(jnp.concatenate([gradient, q], -1), 4 * LATENT)
                q, read = forward(nets["update"], estimate)
                update_read.append(read)
        code = forward(nets["head"], fit(q, HIDDEN))[0]
        return fit(q, 2 * LATENT) * 1e-2, (code, update_read)

    start = jnp.ones((batch, 2 * LATENT))
    codes, update_read = jax.lax.scan(step, start, None, length=len(xs))[1]

    # The M-step, and the encoder: all frames at once.
    def all_frames(pictures: dict[str, Any], codes: jax.Array) -> tuple[jax.Array, jax.Array]:
        return decode_all(pictures, codes), jax.vmap(encode, (None, 0))(pictures, frames)

    found, back = jax.vjp(all_frames, pictures, codes.reshape(-1, CODE))
    return back(found), update_gradients(nets, update_read)
