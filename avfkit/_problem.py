"""What there is to infer at one step, once the past is drawn.

Reference: Marino, Cvitkovic and Yue (2018), Eq. 9 and 11.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ._distributions import AbstractGaussian
from ._divergence import kl
from ._model import AbstractModel
from ._types import State


class StepProblem(eqx.Module):
    """What there is to infer at one step: the prior, the likelihood and what was observed.

    The past enters through `state` only (Eq. 11): once the past is drawn, inference at step t is
    an ordinary variational problem.
    """

    model: AbstractModel
    state: State
    prior: AbstractGaussian
    x: Float[Array, " obs"]
    observed: Bool[Array, " obs"]
    kl_weight: Float[Array, ""] | float

    def reconstruction(self, z: Float[Array, " latent"]) -> Float[Array, ""]:
        """-log p(x_t | z_t, past) of the observed entries, in nats."""
        return -self.model.likelihood(self.state, z).log_prob(self.x, self.observed)

    def free_energy(
        self, q: AbstractGaussian, noise: Float[Array, "points latent"]
    ) -> Float[Array, ""]:
        """The step free energy of `q` (Eq. 9), its expectation an average over noise points.

        The KL term is exact and multiplied by `kl_weight` (1 unless a loss anneals it).
        """
        errors = jax.vmap(lambda point: self.reconstruction(q.transform(point)))(noise)
        return jnp.mean(errors) + self.kl_weight * kl(q, self.prior)
