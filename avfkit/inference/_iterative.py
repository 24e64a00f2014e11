"""Iterative filtering: q_t starts at the prior and is improved by gradients of F_t.

With `LearnedUpdate` this is amortized variational filtering (section 3.2); with `GradientUpdate`
it is variational filtering EM (Algorithm 1). Only the update rule differs.

What is held fixed, and where: the E-step sees a problem whose model and past are detached, so the
iterations teach the update rule and nothing else; the q_t it returns is detached, so the M-step
teaches the model and nothing else.

Two choices of the authors' code that the paper does not state are not taken: its update network
takes an optimizer step at every time step (here its gradient is that of the whole batch, as in
Algorithm 1; `online_e_step_loss` does as they do), and the first observation is conditioned on and
never scored (here it is predicted from the initial state; `context=1` scores as they do). Its
gradients are those of a batch mean; here each sequence has its own, whatever the batch.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from .._distributions import AbstractGaussian
from .._inference import AbstractFilter, StepProblem
from .._model import AbstractModel
from .._types import Carry
from ._detached import fix
from ._expectation import AbstractExpectation, MonteCarlo
from ._update import AbstractUpdate


class IterativeFilter(AbstractFilter):
    """Prediction, then `num_iterations` updates of q_t along the gradient of F_t.

    Attributes:
        update: the rule, `LearnedUpdate` (AVF) or `GradientUpdate` (variational filtering EM).
        num_iterations: K, inference iterations at every step.
        expectation: how E_q is taken in the E-step; one Monte Carlo sample as in the paper.
        stop_after: an array below `num_iterations` to stop earlier without recompiling.

    **Example**

    ```python
    avf = avfkit.IterativeFilter(avfkit.LearnedUpdate(model, key=key), num_iterations=2)
    ```
    """

    update: AbstractUpdate
    num_iterations: int = eqx.field(static=True)
    expectation: AbstractExpectation = MonteCarlo()
    stop_after: Int[Array, ""] | None = None

    def __check_init__(self) -> None:
        if self.num_iterations < 0:
            raise ValueError(f"num_iterations is {self.num_iterations}; expected 0 or more.")

    @property
    def through_past(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Never: the past expectation is fixed in the E-step (Eq. 10-11)."""
        return False

    def init(self, model: AbstractModel) -> Carry:
        """No memory between steps."""
        self.update.check(model)

    def posterior(
        self, carry: Carry, problem: StepProblem, *, key: Key[Array, ""]
    ) -> tuple[AbstractGaussian, Float[Array, " iterations"], Carry]:
        """The E-step at one time step (Algorithm 1, lines 4-6).

        Returns:
            q_t, and F_t before and after each iteration. The free energy after iteration i carries
            the gradient of that iteration in the update rule's parameters.
        """
        fixed = fix(problem)
        estimate, memory = self.update.init(fixed.prior)
        keys = jr.split(key, self.num_iterations + 1)
        first, gradient = self._evaluate(fixed, estimate, keys[0])

        def iterate(loop: tuple, inputs: tuple) -> tuple[tuple, Float[Array, ""]]:
            index, iteration_key = inputs
            estimate, gradient, memory = loop
            proposal, memory = self.update.update(estimate, gradient, memory, fixed)
            proposal = self._keep(index, estimate, proposal)
            improved = fix(proposal)
            energy, gradient = self._evaluate(fixed, improved, iteration_key)
            return (improved, gradient, memory), _with_gradient(energy, gradient, proposal)

        loop, inputs = (estimate, gradient, memory), (jnp.arange(self.num_iterations), keys[1:])
        (estimate, _, _), energies = jax.lax.scan(iterate, loop, inputs)
        return estimate, jnp.append(first, energies), carry

    def _evaluate(
        self, problem: StepProblem, estimate: AbstractGaussian, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], AbstractGaussian]:
        noise = self.expectation.points(estimate.mean, key=key)
        return jax.value_and_grad(problem.free_energy)(estimate, noise)

    def _keep(
        self, index: Int[Array, ""], old: AbstractGaussian, new: AbstractGaussian
    ) -> AbstractGaussian:
        if self.stop_after is None:
            return new
        improving = index < self.stop_after
        return jax.tree.map(lambda a, b: jnp.where(improving, b, a), old, new)


def _with_gradient(
    energy: Float[Array, ""], gradient: AbstractGaussian, estimate: AbstractGaussian
) -> Float[Array, ""]:
    """The value of `energy`, with the gradient <dF/dlambda, dlambda/dphi> that is already at hand.

    This spares the reverse pass a second walk through the decoder: dF/dlambda was computed for the
    next iteration anyway.
    """
    products = jax.tree.map(lambda g, e: jnp.sum(g * e), fix(gradient), estimate)
    inner = sum(jax.tree.leaves(products))
    return jax.lax.stop_gradient(energy) + (inner - jax.lax.stop_gradient(inner))
