"""Filtering with the expectation over the past taken exactly, for linear-Gaussian dynamics."""

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from .. import kalman
from .._distributions import FullGaussian
from .._inference import AbstractFilter, AbstractStepwise
from .._model import AbstractLatentLDS, AbstractModel, prepare, step_keys
from .._problem import StepProblem
from .._trace import Trace
from .._types import Carry, Observations, Observed, State
from ._expectation import Cubature


class MarginalFilter(AbstractStepwise):
    """Any filter, with moments carried forward in place of a drawn path.

    "For simple models, such as linear Gaussian models, these expectations may be computed exactly"
    (section 3.1). The prior of step t is then the predictive N(A m + b, A P A' + Q) of the last
    posterior N(m, P), not the transition from one draw. With `KalmanFilter()` inside this is the
    Kalman filter; with `IterativeFilter` it is variational filtering EM, or AVF, in the same form.

    The trace's prior is the predictive, its posterior is the belief p(z_t | x_<=t), and z holds a
    draw from each belief (not a joint path). The free energy is the length in nats of x coded by
    the filter's own predictions; it equals -log p(x) when every belief is exact.

    **Example**

    ```python
    belief = avfkit.MarginalFilter(avfkit.KalmanFilter()).infer(lds, xs, key=key).posterior
    ```
    """

    filter: AbstractFilter

    @property
    def joint(self) -> bool:
        """No: z holds a draw from each belief on its own."""
        return False

    @property
    def stepper(self) -> None:
        """None: it carries moments, not a path."""

    def infer(
        self,
        model: AbstractModel,
        xs: Observations,
        observed: Observed = None,
        *,
        key: Key[Array, ""],
        kl_weight: Float[Array, ""] | float = 1.0,
    ) -> Trace:
        """Filter one sequence by predicting and updating beliefs."""
        start = self.start(model)
        xs, observed = prepare(model, xs, observed)
        weight = jnp.asarray(kl_weight, xs.dtype)
        chain = _chain(self, model)

        def body(loop: tuple, inputs: tuple) -> tuple[tuple, Trace]:
            x, seen, step_key = inputs
            problem = StepProblem(model, loop[0], loop[0], x, seen, weight)
            return self._advance(chain, loop[1], problem, key=step_key)

        return jax.lax.scan(body, start, (xs, observed, step_keys(len(xs), key=key)))[1]

    def start(self, model: AbstractModel) -> tuple[State, Carry]:
        """The prior of the first step, and the memory of the filter inside."""
        _chain(self, model)
        return FullGaussian.of(model.init()), self.filter.init(model)

    def step(
        self,
        model: AbstractModel,
        loop: tuple[State, Carry],
        x: Float[Array, " obs"],
        observed: Bool[Array, " obs"],
        *,
        key: Key[Array, ""],
        kl_weight: Float[Array, ""] | float = 1.0,
    ) -> tuple[tuple[State, Carry], Trace]:
        """Update the prediction, which is the loop's state, and predict again."""
        problem = StepProblem(model, loop[0], loop[0], x, observed, kl_weight)
        return self._advance(_chain(self, model), loop[1], problem, key=key)

    def _advance(
        self, chain: kalman.Chain, carry: Carry, problem: StepProblem, *, key: Key[Array, ""]
    ) -> tuple[tuple[State, Carry], Trace]:
        q, trace, carry = self._update(carry, problem, key=key)
        predicted = kalman.predict(chain, q.mean, q.covariance)
        return (FullGaussian.from_covariance(*predicted), carry), trace

    def _update(
        self, carry: Carry, problem: StepProblem, *, key: Key[Array, ""]
    ) -> tuple[FullGaussian, Trace, Carry]:
        infer_key, draw_key = jr.split(key)
        q, iterations, carry = self.filter.posterior(carry, problem, key=infer_key)
        seen = jnp.any(problem.observed)
        belief, prior = FullGaussian.of(q), FullGaussian.of(problem.prior)
        belief = jax.tree.map(lambda a, b: jnp.where(seen, a, b), belief, prior)
        points = Cubature().points(belief.mean, key=draw_key)
        errors = jax.vmap(lambda point: problem.reconstruction(belief.transform(point)))(points)
        z = belief.sample(key=draw_key)
        iterations = jnp.where(seen, iterations, 0.0)
        return belief, Trace(z, belief, prior, jnp.mean(errors), iterations), carry


def _chain(method: MarginalFilter, model: AbstractModel) -> kalman.Chain:
    if isinstance(model, AbstractLatentLDS):
        return model.chain
    raise TypeError(
        "MarginalFilter needs a model with linear-Gaussian latent dynamics (a subclass of "
        f"AbstractLatentLDS); {type(model).__name__} is not one. Use the filter itself, "
        f"{type(method.filter).__name__}, which follows a drawn path."
    )
