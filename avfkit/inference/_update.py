"""The E-step's update rule: how an estimate of q is improved from its gradient (Eq. 11, 13).

An estimate *is* a Gaussian: its arrays are the unconstrained parameters lambda, and its gradient
has the same structure.
"""

from abc import abstractmethod
from typing import Any, TypeAlias

import equinox as eqx
import jax
import optax
from jaxtyping import PyTree

from .._distributions import AbstractGaussian, DiagonalGaussian
from .._model import AbstractModel
from .._problem import StepProblem

Memory: TypeAlias = PyTree
"""What an update rule remembers between the iterations of one step."""


class AbstractUpdate(eqx.Module):
    """One inference iteration: (estimate, gradient) to a better estimate."""

    @abstractmethod
    def check(self, model: AbstractModel) -> None:
        """Raise an error if this rule cannot serve the model."""

    @abstractmethod
    def init(self, prior: AbstractGaussian) -> tuple[AbstractGaussian, Memory]:
        """The first estimate, at the prior (Algorithm 1, line 4), and the rule's memory."""

    @abstractmethod
    def update(
        self,
        estimate: AbstractGaussian,
        gradient: AbstractGaussian,
        memory: Memory,
        problem: StepProblem,
    ) -> tuple[AbstractGaussian, Memory]:
        """The next estimate."""


class AbstractAmortizedUpdate(AbstractUpdate):
    """An update that is a function of what it reads: no memory, and weights to be taught.

    What was read and computed at all steps and iterations is kept, so that the weights' gradient is
    taken for all of them at once, when the sequence has been filtered.
    """

    @abstractmethod
    def read(
        self, estimate: AbstractGaussian, gradient: AbstractGaussian, problem: StepProblem
    ) -> PyTree:
        """What `propose` needs to know, detached: arrays only."""

    @abstractmethod
    def propose(
        self, reading: PyTree, products: PyTree | None = None
    ) -> tuple[AbstractGaussian, PyTree]:
        """The next estimate, and whatever is worth keeping until its gradient is taken.

        Args:
            reading: what `read` gave.
            products: what an earlier call with this reading kept, so as not to compute it again.
                The gradient in the weights must not depend on whether it is given.
        """

    def update(
        self,
        estimate: AbstractGaussian,
        gradient: AbstractGaussian,
        memory: Memory,
        problem: StepProblem,
    ) -> tuple[AbstractGaussian, Memory]:
        """Read and propose."""
        return self.propose(self.read(estimate, gradient, problem))[0], memory


class GradientUpdate(AbstractUpdate):
    """Variational filtering EM (Algorithm 1): plain gradient steps by any optax optimizer.

    `family` is the Gaussian family that is searched, `DiagonalGaussian` or `FullGaussian`.

    **Example**

    ```python
    vfem = avfkit.IterativeFilter(avfkit.GradientUpdate(optax.adam(0.1)), num_iterations=50)
    ```
    """

    optimizer: optax.GradientTransformation = eqx.field(static=True)
    family: type[AbstractGaussian] = eqx.field(default=DiagonalGaussian, static=True)

    def check(self, model: AbstractModel) -> None:
        """Serves every model."""
        del model

    def init(self, prior: AbstractGaussian) -> tuple[AbstractGaussian, Memory]:
        """The prior, within the family, and the optimizer's state."""
        estimate = self.family.of(prior)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
            return estimate, self.optimizer.init(_tree(estimate))

    def update(
        self,
        estimate: AbstractGaussian,
        gradient: AbstractGaussian,
        memory: Memory,
        problem: StepProblem,
    ) -> tuple[AbstractGaussian, Memory]:
        """One optimizer step on the parameters of q."""
        del problem
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes
            change, memory = self.optimizer.update(_tree(gradient), memory, _tree(estimate))
        return jax.tree.map(lambda old, step: old + step, estimate, change), memory


def _tree(gaussian: AbstractGaussian) -> Any:
    """A Gaussian as the plain pytree of parameters that optax takes it for."""
    return gaussian
