"""He's initial weights, for the networks of the structured VAE.

Reference: He, Zhang, Ren and Sun (2015), "Delving deep into rectifiers"; the code of Zhao and
Linderman (2023) starts all its dense and convolutional layers so.
"""

from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key, PyTree

Module = TypeVar("Module", bound=PyTree)


def he_normal(module: Module, *, key: Key[Array, ""]) -> Module:
    """The module with new weights of variance 2 / inputs and zero biases in its layers.

    Its dense layers and convolutions, that is: recurrent cells and all else stay as they are. The
    normal distribution is cut at two standard deviations, as in JAX.
    """
    layers, structure = jax.tree.flatten(module, is_leaf=_is_layer)
    pairs = zip(layers, jr.split(key, len(layers)), strict=True)
    new = [_again(layer, key=k) if _is_layer(layer) else layer for layer, k in pairs]
    return jax.tree.unflatten(structure, new)


def _is_layer(node: PyTree) -> bool:
    return isinstance(node, eqx.nn.Linear | eqx.nn.Conv | eqx.nn.ConvTranspose)


def _again(layer: PyTree, *, key: Key[Array, ""]) -> PyTree:
    draw = jax.nn.initializers.he_normal(in_axis=1, out_axis=0)
    new = (draw(key, layer.weight.shape, layer.weight.dtype), jnp.zeros_like(layer.bias))
    return eqx.tree_at(lambda lay: (lay.weight, lay.bias), layer, new)
