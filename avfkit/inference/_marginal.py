"""Filtering with the expectation over the past taken exactly, for linear-Gaussian dynamics."""

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from .. import kalman
from .._distributions import AbstractGaussian, FullGaussian
from .._inference import AbstractFilter, AbstractInference, StepProblem
from .._model import AbstractLatentLDS, AbstractModel, prepare, step_keys
from .._trace import Trace
from .._types import Observations, Observed
from ._expectation import Cubature


class MarginalFilter(AbstractInference):
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
        if not isinstance(model, AbstractLatentLDS):
            raise TypeError(
                "MarginalFilter needs a model with linear-Gaussian latent dynamics (a subclass of "
                f"AbstractLatentLDS); {type(model).__name__} is not one. Use the filter itself, "
                f"{type(self.filter).__name__}, which follows a drawn path."
            )
        xs, observed = prepare(model, xs, observed)
        weight = jnp.asarray(kl_weight, xs.dtype)
        chain = model.chain

        def body(loop: tuple, inputs: tuple) -> tuple[tuple, Trace]:
            prior, carry = loop
            x, seen, step_key = inputs
            problem = StepProblem(model, prior, prior, x, seen, weight)
            q, trace, carry = self._update(carry, problem, key=step_key)
            return (FullGaussian.from_covariance(*_predict(chain, q)), carry), trace

        start = (FullGaussian.of(model.initial()), self.filter.init(model))
        return jax.lax.scan(body, start, (xs, observed, step_keys(len(xs), key=key)))[1]

    def _update(
        self, carry: object, problem: StepProblem, *, key: Key[Array, ""]
    ) -> tuple[FullGaussian, Trace, object]:
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


def _predict(
    chain: kalman.Chain, belief: AbstractGaussian
) -> tuple[Float[Array, " latent"], Float[Array, "latent latent"]]:
    return kalman.predict(chain, belief.mean, belief.covariance)
