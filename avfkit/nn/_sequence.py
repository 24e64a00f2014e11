"""Networks over time: what the rivals of the structured VAE read a sequence with.

Both map `[time, in]` to `[time, out_size]`, and each step of the output depends on the past, the
present and the future. `embed` comes first and reads one step at a time, such as a frame.

Reference: Zhao and Linderman (2023), section 2.2; sizes from the authors' code.
"""

from collections.abc import Callable
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from .._checked import Size, checked
from ._initial import he_normal

Embedding: TypeAlias = Callable[[Float[Array, " in"]], Float[Array, " embedded"]]

_EMBED_WIDTH = 20


class BidirectionalRNN(eqx.Module):
    """A GRU that reads the steps forwards and one that reads them backwards, side by side.

    Step t of the output is what the first knows after x_1..x_t and the second after x_T..x_t. By
    default a layer of 20 ReLU units and a linear map to `hidden_size` read each step before. Both
    GRUs start from zeros, with Equinox's initial weights; the layers before start with He's.

    **Example**

    ```python
    trunk = nn.BidirectionalRNN(5, 10, key=key)
    features = trunk(xs)  # [time, 20]
    frames = nn.BidirectionalRNN(576, 10, embed=nn.FrameEncoder(24, 10, key=a), key=b)
    ```

    Reference: Zhao and Linderman (2023), section 2.2: RNN-MF, RNN-AR-L and RNN-AR-NL.
    """

    embed: Embedding
    forward: eqx.nn.GRUCell
    backward: eqx.nn.GRUCell
    out_size: int = eqx.field(static=True)

    @checked
    def __init__(
        self,
        in_size: Size,
        hidden_size: Size,
        *,
        embed: Embedding | None = None,
        key: Key[Array, ""],
    ) -> None:
        """Of `hidden_size` units per direction.

        Raises:
            ValueError: if `embed` does not map a vector of `in_size` to a vector.
        """
        embed_key, start, forward, backward = jr.split(key, 4)
        if embed is None:
            mlp = eqx.nn.MLP(in_size, hidden_size, _EMBED_WIDTH, depth=1, key=embed_key)
            embed = he_normal(mlp, key=start)
        width = _width(embed, in_size)
        self.embed = embed
        self.forward = eqx.nn.GRUCell(width, hidden_size, key=forward)
        self.backward = eqx.nn.GRUCell(width, hidden_size, key=backward)
        self.out_size = 2 * hidden_size

    def __call__(
        self, xs: Float[Array, "time in"], inside: Bool[Array, " time"] | None = None
    ) -> Float[Array, "time out"]:
        """The hidden vectors of both directions at each step, the forward one first.

        The backward GRU starts at the last step that is `inside` the sequence; by default all are.
        """
        inputs = jax.vmap(self.embed)(xs)
        inside = jnp.ones(len(xs), bool) if inside is None else inside
        cells = jax.tree.map(lambda *leaves: jnp.stack(leaves), self.forward, self.backward)
        both = jnp.stack([inputs, inputs[::-1]])
        read = jax.vmap(lambda cell, x: x @ cell.weight_ih.T + cell.bias, out_axes=1)(cells, both)
        reached = jnp.stack([jnp.ones_like(inside), inside[::-1]], axis=1)

        def step(hidden: Array, given: tuple[Array, Array]) -> tuple[Array, Array]:
            following = jax.vmap(_turned)(cells, given[0], hidden)
            hidden = jnp.where(given[1][:, None], following, 0.0)
            return hidden, hidden

        start = jnp.zeros((2, self.forward.hidden_size), inputs.dtype)
        found = jax.lax.scan(step, start, (read, reached))[1]
        return jnp.concatenate([found[:, 0], found[::-1, 1]], axis=1)


def _turned(
    cell: eqx.nn.GRUCell, read: Float[Array, " gates"], hidden: Float[Array, " hidden"]
) -> Float[Array, " hidden"]:
    """One step of a GRU whose products with the inputs are known: they need no loop."""
    reset, keep, new = jnp.split(read, 3)
    reset_, keep_, new_ = jnp.split(cell.weight_hh @ hidden, 3)
    keep = jax.nn.sigmoid(keep + keep_)
    new = jnp.tanh(new + jax.nn.sigmoid(reset + reset_) * (new_ + jnp.asarray(cell.bias_n)))
    return new + keep * (hidden - new)


class TemporalCNN(eqx.Module):
    """Convolutions over time, a ReLU behind each, then a linear map per step; no loop.

    Step t of the output sees `depth * ((kernel - 1) // 2)` steps back and `depth * (kernel // 2)`
    ahead; beyond the ends of the sequence there are zeros. By default nothing comes before. All
    layers start with He's weights.

    **Example**

    ```python
    trunk = nn.TemporalCNN(5, 10, kernel=20, key=key)
    features = trunk(xs)  # [time, 10]
    ```

    Reference: Zhao and Linderman (2023), sections 2.2 and 4.1: CNN-AR-L, kernels of 10, 20 and 50.
    """

    embed: Embedding
    convolutions: tuple[eqx.nn.Conv1d, ...]
    linear: eqx.nn.Linear
    out_size: int = eqx.field(static=True)

    @checked
    def __init__(
        self,
        in_size: Size,
        hidden_size: Size,
        *,
        kernel: Size = 10,
        features: Size = 32,
        depth: Size = 3,
        embed: Embedding | None = None,
        key: Key[Array, ""],
    ) -> None:
        """`depth` convolutions of `kernel` steps and `features` channels, then `hidden_size`.

        Raises:
            ValueError: if `kernel` or `depth` is below 1, or `embed` does not map a vector of
                `in_size` to a vector.
        """
        self.embed = eqx.nn.Identity() if embed is None else embed
        sizes = [_width(self.embed, in_size), *[features] * depth]
        start, last, *keys = jr.split(key, depth + 2)
        padding = (((kernel - 1) // 2, kernel // 2),)
        ends = zip(sizes[:-1], sizes[1:], keys, strict=True)
        convolutions = tuple(
            eqx.nn.Conv1d(a, b, kernel, padding=padding, key=k) for a, b, k in ends
        )
        linear = eqx.nn.Linear(features, hidden_size, key=last)
        self.convolutions, self.linear = he_normal((convolutions, linear), key=start)
        self.out_size = hidden_size

    def __call__(
        self, xs: Float[Array, "time in"], inside: Bool[Array, " time"] | None = None
    ) -> Float[Array, "time out"]:
        """The features of each step; what is not `inside` the sequence is as what lies beyond."""
        inside = jnp.ones(len(xs), bool) if inside is None else inside
        hidden = jnp.where(inside, jax.vmap(self.embed)(xs).T, 0.0)
        for convolution in self.convolutions:
            hidden = jnp.where(inside, jax.nn.relu(convolution(hidden)), 0.0)
        return jax.vmap(self.linear)(hidden.T)


def _width(embed: Embedding, in_size: Size) -> int:
    """The entries of what `embed` makes of a step."""
    found = eqx.filter_eval_shape(embed, jax.ShapeDtypeStruct((in_size,), jnp.result_type(float)))
    if not isinstance(found, jax.ShapeDtypeStruct) or found.ndim != 1:
        shape = getattr(found, "shape", type(found).__name__)
        raise ValueError(f"embed makes {shape} of a step of {in_size} entries; expected a vector.")
    return found.shape[0]
