"""Ways to hold the dynamics matrix A of a linear chain by unconstrained numbers.

A gradient step on the numbers never leaves the family. All but `FreeDynamics` are stable by
construction: no singular value of A exceeds 1, so forecasts stay bounded however long.
"""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from .._checked import check_fields
from .._linalg import solve


class AbstractDynamics(eqx.Module):
    """A dynamics matrix."""

    def __check_init__(self) -> None:
        """Refuses arrays that do not fit together."""
        check_fields(self)

    @property
    @abstractmethod
    def size(self) -> int:
        """Entries of the latent."""

    @property
    @abstractmethod
    def matrix(self) -> Float[Array, "latent latent"]:
        """A, in z_t = A z_{t-1} + b + noise."""


class FreeDynamics(AbstractDynamics):
    """Any matrix, held as it is.

    **Example**

    ```python
    dynamics = avfkit.nn.FreeDynamics(0.9 * jnp.eye(3))
    ```
    """

    free: Float[Array, "latent latent"]

    @property
    def size(self) -> int:
        """Entries of the latent."""
        return len(self.free)

    @property
    def matrix(self) -> Float[Array, "latent latent"]:
        """The matrix itself."""
        return self.free

    @classmethod
    def rotation(
        cls, size: int, *, angle: float = np.pi / 20, key: Key[Array, ""]
    ) -> "FreeDynamics":
        """A turn by `angle` in a random plane and the identity elsewhere.

        The initial dynamics of the SVAE authors' code; in one dimension the identity.
        """
        return cls(_turn(size, angle, key=key))


class DiagonalDynamics(AbstractDynamics):
    """Independent leaky integrators: A = diag(tanh(a)).

    **Example**

    ```python
    dynamics = avfkit.nn.DiagonalDynamics.from_rates(jnp.array([0.99, 0.5]))
    ```
    """

    unbounded: Float[Array, " latent"]

    @classmethod
    def from_rates(cls, rates: Float[Array, " latent"]) -> "DiagonalDynamics":
        """From the diagonal, whose entries lie strictly between -1 and 1."""
        return cls(jnp.arctanh(rates))

    @property
    def size(self) -> int:
        """Entries of the latent."""
        return len(self.unbounded)

    @property
    def matrix(self) -> Float[Array, "latent latent"]:
        """The diagonal matrix."""
        return jnp.diag(jnp.tanh(self.unbounded))


class StableDynamics(AbstractDynamics):
    """Any matrix whose singular values are below 1: A = U diag(s) V, both rotations, 0 < s < 1.

    The authors clip the singular values of A to at most 1 after each optimizer step; here no step
    leaves the set, and gradients know of its boundary.

    Attributes:
        left: D (D - 1) / 2 numbers of U, which is the Cayley transform of a skew-symmetric matrix.
        right: those of V.
        unbounded: the logits of s.
        frame: a fixed rotation that U is multiplied by: where the numbers are zero.

    **Example**

    ```python
    dynamics = avfkit.nn.StableDynamics.rotation(3, key=key)
    ```
    """

    left: Float[Array, " numbers"]
    right: Float[Array, " numbers"]
    unbounded: Float[Array, " latent"]
    frame: Float[Array, "latent latent"]

    @classmethod
    def rotation(
        cls, size: int, *, angle: float = np.pi / 20, radius: float = 0.99, key: Key[Array, ""]
    ) -> "StableDynamics":
        """A turn by `angle` in a random plane, times `radius`."""
        numbers = jnp.zeros(size * (size - 1) // 2)
        logits = jnp.broadcast_to(_logit(radius), (size,))
        return cls(numbers, numbers, logits, _turn(size, angle, key=key))

    @property
    def size(self) -> int:
        """Entries of the latent."""
        return len(self.unbounded)

    @property
    def matrix(self) -> Float[Array, "latent latent"]:
        """U diag(s) V."""
        scales = jax.nn.sigmoid(self.unbounded)[:, None]
        frame = jax.lax.stop_gradient(self.frame)
        return frame @ cayley(self.left, self.size) @ (scales * cayley(self.right, self.size))


class RotationDynamics(AbstractDynamics):
    """A rotation that may fade: A = s R, with R a rotation and 0 < s < 1.

    Attributes:
        turn: D (D - 1) / 2 numbers of R, a Cayley transform: all rotations but those by pi.
        unbounded: the logit of s.
        frame: a fixed rotation that R is multiplied by: where the numbers are zero.

    **Example**

    ```python
    dynamics = avfkit.nn.RotationDynamics.rotation(2, key=key)
    ```

    Reference: Zhao and Linderman (2023), section 4.1, for dynamics that rotate.
    """

    turn: Float[Array, " numbers"]
    unbounded: Float[Array, ""]
    frame: Float[Array, "latent latent"]

    @classmethod
    def rotation(
        cls, size: int, *, angle: float = np.pi / 20, radius: float = 0.99, key: Key[Array, ""]
    ) -> "RotationDynamics":
        """A turn by `angle` in a random plane, times `radius`."""
        numbers = jnp.zeros(size * (size - 1) // 2)
        return cls(numbers, _logit(radius), _turn(size, angle, key=key))

    @property
    def size(self) -> int:
        """Entries of the latent."""
        return len(self.frame)

    @property
    def matrix(self) -> Float[Array, "latent latent"]:
        """The rotation, times the radius."""
        turned = jax.lax.stop_gradient(self.frame) @ cayley(self.turn, self.size)
        return jax.nn.sigmoid(self.unbounded) * turned


def cayley(numbers: Float[Array, " numbers"], size: int) -> Float[Array, "size size"]:
    """The rotation (I + S)^-1 (I - S); these numbers lie below the diagonal of the skew S."""
    below = jnp.zeros((size, size), numbers.dtype).at[jnp.tril_indices(size, -1)].set(numbers)
    eye, skew = jnp.eye(size, dtype=numbers.dtype), below - below.T
    return solve(eye + skew, eye - skew)


def _logit(radius: float) -> Float[Array, ""]:
    if not 0.0 < radius < 1.0:
        raise ValueError(f"radius is {radius}; expected between 0 and 1.")
    return jnp.asarray(np.log(radius / (1.0 - radius)), jnp.result_type(float))


def _turn(size: int, angle: float, *, key: Key[Array, ""]) -> Float[Array, "size size"]:
    if size == 1:
        return jnp.eye(1)
    u, v = jnp.linalg.qr(jr.normal(key, (size, 2)))[0].T
    plane, across = jnp.outer(u, u) + jnp.outer(v, v), jnp.outer(v, u) - jnp.outer(u, v)
    return jnp.eye(size) + (np.cos(angle) - 1.0) * plane + np.sin(angle) * across
