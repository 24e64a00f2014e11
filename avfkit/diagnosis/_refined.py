"""The best q of a family at every step: in closed form, or by gradient steps from a filter's q."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Key

from .._distributions import AbstractGaussian, DiagonalGaussian, FullGaussian
from .._inference import AbstractFilter, AbstractScanFilter, StepProblem
from .._model import AbstractModel, nothing_seen
from .._types import Carry
from ..inference import AbstractUpdate, GradientUpdate, IterativeFilter, KalmanFilter, MonteCarlo
from ._oracle import narrowed

Family = type[AbstractGaussian]
_RATE, _SAMPLES = 0.1, 16


class Optimal(AbstractScanFilter):
    """The member of a family with the least step free energy, for a linear-Gaussian model."""

    family: Family = eqx.field(static=True)
    through_past: bool = False

    def init(self, model: AbstractModel) -> Carry:
        """No memory; checks that the model is linear and Gaussian."""
        return KalmanFilter().init(model)  # pyright: ignore[reportCallIssue]

    def posterior(
        self, carry: Carry, problem: StepProblem, *, key: Key[Array, ""]
    ) -> tuple[AbstractGaussian, Float[Array, " iterations"], Carry]:
        """Of the full family, the exact posterior; of the diagonal one, its closest member."""
        kalman_filter = KalmanFilter()  # pyright: ignore[reportCallIssue]
        q, iterations, carry = kalman_filter.posterior(carry, problem, key=key)
        if self.family is DiagonalGaussian:
            variance = jnp.diagonal(narrowed(q.covariance))
            q = DiagonalGaussian(q.mean, jnp.log(variance))
        return q, iterations, carry


class Refined(AbstractScanFilter):
    """A filter whose q_t is taken on by gradient steps (Adam, its rate decaying) within a family.

    The expectation in the gradient is over fresh samples. What it reaches is no worse than what can
    be reached, so a gap found with it is a lower bound.
    """

    filter: AbstractFilter
    family: Family = eqx.field(static=True)
    num_iterations: int = eqx.field(static=True)
    through_past: bool = False

    def init(self, model: AbstractModel) -> Carry:
        """The memory of the filter inside."""
        return self.filter.init(model)

    def posterior(
        self, carry: Carry, problem: StepProblem, *, key: Key[Array, ""]
    ) -> tuple[AbstractGaussian, Float[Array, " iterations"], Carry]:
        """The filter's q_t, improved."""
        start_key, search_key = jr.split(key)
        q, _, carry = self.filter.posterior(carry, problem, key=start_key)
        rate = optax.cosine_decay_schedule(_RATE, max(self.num_iterations, 1))
        update = _Onward(q, GradientUpdate(optax.adam(rate), self.family))
        descent = IterativeFilter(  # pyright: ignore[reportCallIssue]
            update=update, num_iterations=self.num_iterations, expectation=MonteCarlo(_SAMPLES)
        )
        found, energies, _ = descent.search(problem, key=search_key)
        return found, energies, carry


class _Onward(AbstractUpdate):
    """An update rule that begins where another method has arrived."""

    start: AbstractGaussian
    rule: GradientUpdate

    def check(self, model: AbstractModel) -> None:
        """Serves what the rule serves."""
        self.rule.check(model)

    def init(self, prior: AbstractGaussian) -> tuple[AbstractGaussian, Any]:
        """The other method's estimate, and the rule's memory."""
        del prior
        return self.rule.init(self.start)

    def update(
        self,
        estimate: AbstractGaussian,
        gradient: AbstractGaussian,
        memory: Any,
        problem: StepProblem,
    ) -> tuple[AbstractGaussian, Any]:
        """The rule's."""
        return self.rule.update(estimate, gradient, memory, problem)


def family_of(filter: AbstractFilter, model: AbstractModel) -> Family:
    """`DiagonalGaussian` if that is what the filter's q_t is, else `FullGaussian`."""

    def one_step(pair: tuple[AbstractFilter, AbstractModel]) -> AbstractGaussian:
        filter, model = pair
        state, (x, observed) = model.init(), nothing_seen(model)
        problem = StepProblem(model, state, model.prior(state), x, observed, jnp.ones((), x.dtype))
        return filter.posterior(filter.init(model), problem, key=jr.key(0))[0]

    found = eqx.filter_eval_shape(one_step, (filter, model))
    return DiagonalGaussian if isinstance(found, DiagonalGaussian) else FullGaussian
