"""Highway layers: each gate decides how much of the old value is carried on.

Reference: Srivastava, Greff and Schmidhuber (2015); Marino et al. (2018), appendix B.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .._checked import Size, checked
from ._affine import affine


class HighwayLayer(eqx.Module):
    """h' = g * carried + (1 - g) * elu(W v), with g = sigmoid(A v).

    The first layer carries a linear embedding of its input, which has another size; later layers
    carry the input itself.
    """

    branches: eqx.nn.Linear
    embed: bool = eqx.field(static=True)

    @checked
    def __init__(self, in_size: Size, width: Size, *, embed: bool, key: Key[Array, ""]) -> None:
        self.branches = eqx.nn.Linear(in_size, width * (3 if embed else 2), key=key)
        self.embed = embed

    def __call__(
        self, inputs: Float[Array, " inputs"], branches: Float[Array, " branches"]
    ) -> Float[Array, " width"]:
        """Gate between the carried value and the new one, given what `branches` made of v."""
        parts = jnp.split(branches, 3 if self.embed else 2)
        gate, new = jax.nn.sigmoid(parts[0]), jax.nn.elu(parts[1])
        return gate * (parts[2] if self.embed else inputs) + (1.0 - gate) * new


class Highway(eqx.Module):
    """A stack of highway layers with ELU units: the trunk of an iterative inference model.

    **Example**

    ```python
    trunk = nn.Highway(in_size=400, width=1024, depth=2, key=key)
    ```
    """

    layers: tuple[HighwayLayer, ...]

    @checked
    def __init__(self, in_size: Size, *, width: Size, depth: Size, key: Key[Array, ""]) -> None:
        keys = jax.random.split(key, depth)
        first = HighwayLayer(in_size, width, embed=True, key=keys[0])
        rest = [HighwayLayer(width, width, embed=False, key=k) for k in keys[1:]]
        self.layers = (first, *rest)

    def __call__(self, inputs: Float[Array, " inputs"]) -> Float[Array, " width"]:
        """The last layer's output."""
        return self.walk(inputs)[0]

    def walk(
        self, inputs: Float[Array, " inputs"], products: tuple[Array, ...] | None = None
    ) -> tuple[Float[Array, " width"], tuple[Array, ...]]:
        """The last layer's output, and on the way to it each layer's W v and A v.

        Args:
            inputs: of the first layer.
            products: those of an earlier walk with the same inputs. They are not computed again;
                their gradient is.
        """
        found = []
        for index, layer in enumerate(self.layers):
            known = None if products is None else products[index]
            found.append(affine(layer.branches, inputs, known))
            inputs = layer(inputs, found[-1])
        return inputs, tuple(found)
