"""Distributions over whole latent paths."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from .. import kalman
from .._distributions import AbstractGaussian, FullGaussian
from .._linalg import copied
from .._model import AbstractLatentLDS, AbstractModel, step_keys
from .._smoother import AbstractPath
from ..nn import Conditional


class GaussMarkov(AbstractPath):
    """A linear-Gaussian chain of conditionals: exact, structured, mean-field and AR-L posteriors.

    Attributes:
        chain: the conditionals.
        forecasts: whether what comes after the last observation is the model's already, as in a
            structured posterior, whose potentials say nothing there.

    **Example**

    ```python
    path = GaussMarkov(avfkit.kalman.conditionals(chain, potentials))
    zs = path.sample(key=key)
    ```

    Reference: Zhao and Linderman (2023), section 2.2, the second family.
    """

    chain: kalman.Conditionals
    forecasts: bool = eqx.field(static=True, default=False)

    def sample(self, *, key: Key[Array, ""]) -> Float[Array, "time latent"]:
        """One exact joint draw."""
        return kalman.sample(self.chain, key=key)

    def conditionals(self, zs: Float[Array, "time latent"]) -> AbstractGaussian:
        """N(A_t z_{t-1} + b_t, Q_t) along the path."""
        dynamics, bias, noise_cov = self.chain
        mean = bias.at[1:].add(jax.vmap(lambda a, z: a @ z)(dynamics[1:], zs[:-1]))
        return jax.vmap(FullGaussian.from_covariance)(mean, noise_cov)

    def until(self, inside: Bool[Array, " time"], model: AbstractModel) -> "GaussMarkov":
        """The chain goes on as the model's where that is linear and Gaussian, too."""
        if self.forecasts or not isinstance(model, AbstractLatentLDS):
            return self
        chain = jax.tree.map(lambda leaf: copied(leaf, self.chain.bias), model.chain)
        forecast = kalman.unrolled(chain, len(inside))
        chosen = jax.vmap(lambda now, q, p: jax.tree.map(partial(jnp.where, now), q, p))
        return GaussMarkov(chosen(inside, self.chain, forecast))

    def divergence(self, model: AbstractModel) -> Float[Array, " time"] | None:
        """In closed form where the model's latents are a linear-Gaussian chain, too."""
        if not isinstance(model, AbstractLatentLDS):
            return None
        return kalman.divergence(self.chain, model.chain)


class Autoregressive(AbstractPath):
    """A recurrent network along the path: h_t = GRU(h_{t-1}, z_{t-1}, u_t), z_t ~ N(moments(h_t)).

    Attributes:
        cell: reads the features of step t and z_{t-1}; the first step sees zeros.
        moments: maps h_t to the Gaussian q_t.
        features: u_t.

    Reference: Zhao and Linderman (2023), section 2.2, RNN-AR-NL.
    """

    cell: eqx.nn.GRUCell
    moments: Conditional[FullGaussian]
    features: Float[Array, "time features"]

    def sample(self, *, key: Key[Array, ""]) -> Float[Array, "time latent"]:
        """One joint draw: each latent is drawn before the next one's conditional is known."""

        def step(loop: tuple[Array, Array], inputs: tuple[Array, Array]) -> tuple[tuple, Array]:
            hidden, q = self._next(loop, inputs[0])
            z = q.sample(key=inputs[1])
            return (hidden, z), z

        keys = step_keys(len(self.features), key=key)
        return jax.lax.scan(step, self._start(), (self.features, keys))[1]

    def conditionals(self, zs: Float[Array, "time latent"]) -> AbstractGaussian:
        """q(z_t | z_<t, x) along a path."""

        def step(hidden: Array, inputs: tuple[Array, Array]) -> tuple[Array, AbstractGaussian]:
            return self._next((hidden, inputs[0]), inputs[1])

        hidden, first = self._start()
        before = jnp.concatenate([first[None], zs[:-1]])
        return jax.lax.scan(step, hidden, (before, self.features))[1]

    def until(self, inside: Bool[Array, " time"], model: AbstractModel) -> "Autoregressive":
        """Itself: what it draws afterwards is no forecast."""
        del inside, model
        return self

    def divergence(self, model: AbstractModel) -> None:
        """None: there is no closed form."""
        del model

    def _start(self) -> tuple[Array, Array]:
        sizes = self.cell.hidden_size, self.moments.out_size
        hidden, z = (jnp.zeros(size, self.features.dtype) for size in sizes)
        return hidden, z

    def _next(
        self, loop: tuple[Array, Array], features: Float[Array, " features"]
    ) -> tuple[Array, FullGaussian]:
        hidden = self.cell(jnp.concatenate([features, loop[1]]), loop[0])
        return hidden, self.moments(hidden)
