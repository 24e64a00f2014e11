"""The layers of image networks, against Equinox's, whose channels come first."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from avfkit.nn._images import Block

KEY = jr.key(0)
LAYERS = {
    "halves": (eqx.nn.Conv2d, (16, 32, 4, 2, 1)),
    "to one pixel": (eqx.nn.Conv2d, (16, 8, 6)),
    "same size": (eqx.nn.Conv2d, (16, 8, 3, 1, 1)),
    "doubles": (eqx.nn.ConvTranspose2d, (16, 32, 4, 2)),
    "from few pixels": (eqx.nn.ConvTranspose2d, (16, 8, 4)),
    "same size, transposed": (eqx.nn.ConvTranspose2d, (16, 8, 3, 1)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_block_is_equinox_s_layers(name):
    kind, sizes = LAYERS[name]
    padding = {} if name == "from few pixels" or kind is eqx.nn.Conv2d else {"padding": 1}
    block = Block(kind(*sizes, **padding, key=KEY))
    spread = jr.normal(jr.key(1), (2, block.norm.channels))
    block = eqx.tree_at(lambda b: (b.norm.weight, b.norm.bias), block, tuple(spread))
    images = jr.normal(jr.key(2), (2, 16, 6, 6))

    @jax.jit
    def both():
        normal = jax.vmap(lambda image: block.norm(block.convolution(image)))(images)
        ours = jax.vmap(block)(jnp.moveaxis(images, 1, -1))
        return jnp.moveaxis(ours, -1, 1), jax.nn.leaky_relu(normal, 0.2)

    np.testing.assert_allclose(*both(), atol=1e-10)
