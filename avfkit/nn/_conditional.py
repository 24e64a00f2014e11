"""Networks that output distributions: a trunk of hidden layers, then a head."""

from collections.abc import Callable
from typing import Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Key

from .._arrays import as_float
from .._checked import Count, Size, check_fields, checked
from .._distributions import AbstractDistribution, DiagonalGaussian
from ._affine import affine_of_parts

Output = TypeVar("Output", bound=AbstractDistribution)


class Conditional(eqx.Module, Generic[Output]):
    """A conditional distribution p(. | inputs): `depth` hidden layers of `width`, then a head.

    Call it with several vectors to condition on all of them. A VRNN's prior, likelihood and own
    filter are each one of these.

    **Example**

    ```python
    prior = nn.Conditional(200, 20, head=nn.GaussianHead, width=500, depth=4, key=key)
    ```
    """

    layers: tuple[eqx.nn.Linear, ...]
    head: Callable[[Float[Array, " hidden"]], Output]
    activation: Callable = eqx.field(static=True)
    in_size: int = eqx.field(static=True)
    out_size: int = eqx.field(static=True)

    @checked
    def __init__(
        self,
        in_size: Size,
        out_size: Size,
        *,
        head: Callable,
        width: Size,
        depth: Count,
        activation: Callable = jax.nn.relu,
        key: Key[Array, ""],
    ) -> None:
        """`head` is a class or function called as `head(width, out_size, key=key)`."""
        *layer_keys, head_key = jax.random.split(key, depth + 1)
        sizes = [in_size, *[width] * depth]
        pairs = zip(sizes[:-1], sizes[1:], layer_keys, strict=True)
        self.layers = tuple(eqx.nn.Linear(a, b, key=k) for a, b, k in pairs)
        self.head = head(sizes[-1], out_size, key=head_key)
        self.activation = activation
        self.in_size, self.out_size = in_size, out_size

    def __call__(self, *inputs: Float[Array, "..."]) -> Output:
        """The distribution given the inputs, concatenated in order."""
        if not self.layers:
            return self.head(jnp.concatenate(inputs))
        hidden = self.activation(affine_of_parts(self.layers[0], *inputs))
        for layer in self.layers[1:]:
            hidden = self.activation(layer(hidden))
        return self.head(hidden)


class LinearGaussian(eqx.Module):
    """The linear-Gaussian emission p(x | z) = N(C z + d, diag(r)), held with log r.

    **Example**

    ```python
    emission = nn.LinearGaussian.from_parameters(C, d, r)
    ```
    """

    matrix: Float[Array, "obs latent"]
    bias: Float[Array, " obs"]
    log_var: Float[Array, " obs"]

    def __check_init__(self) -> None:
        """Refuses arrays that do not fit together."""
        check_fields(self)

    @classmethod
    def from_parameters(cls, C: ArrayLike, d: ArrayLike, r: ArrayLike) -> "LinearGaussian":  # noqa: N803
        """From the matrix C `[obs, latent]`, bias d `[obs]` and noise variances r `[obs]`.

        Raises:
            ValueError: a shape does not match, or a variance is not positive.
        """
        matrix, bias, variance = as_float("C", C), as_float("d", d), as_float("r", r)
        if matrix.ndim != 2:
            raise ValueError(f"C has shape {matrix.shape}; expected [obs, latent].")
        for name, array in [("d", bias), ("r", variance)]:
            if array.shape != matrix.shape[:1]:
                raise ValueError(
                    f"{name} has shape {array.shape}; expected {matrix.shape[:1]}, one entry for "
                    "each row of C."
                )
        if not isinstance(variance, Tracer) and not np.all(np.asarray(variance) > 0.0):
            raise ValueError(
                f"r holds {np.asarray(variance).min():g}; expected positive noise variances."
            )
        return cls(matrix, bias, jnp.log(variance))

    def __call__(self, z: Float[Array, " latent"]) -> DiagonalGaussian:
        """The distribution of the observation at this latent."""
        return DiagonalGaussian(self.matrix @ z + self.bias, self.log_var)
