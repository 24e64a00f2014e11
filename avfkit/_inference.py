"""Where models, inference and objectives meet: the trace.

Whatever the method, inference yields a path z_1..z_T drawn from q and, along that path, a pair of
conditionals at each step: q_t = q(z_t | z_<t, x) and p_t = p(z_t | z_<t, x_<t). Then

    F = sum_t F_t,   F_t = -log p(x_t | z_<=t, x_<t) + KL(q_t || p_t)        (Eq. 9)

is one function for all methods. The methods differ only in how q_t comes about:

* a filter builds q_t inside the loop, seeing p_t: AVF updates q_t from p_t by a learned step,
  variational filtering EM by gradient steps, a VRNN's own filter reads x_t and its memory;
* a smoother builds all q_t from x at once: RNN-MF, RNN-AR-L, the structured VAE, Kalman.

Reference: Marino, Cvitkovic and Yue (2018), sections 3.1 and 3.2.
"""

from abc import abstractmethod
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from ._distributions import AbstractGaussian, DiagonalGaussian, FullGaussian
from ._model import AbstractModel, impute, prepare, step_keys
from ._problem import StepProblem
from ._trace import Trace
from ._types import Carry, Observations, Observed, State


class AbstractInference(eqx.Module):
    """Anything that turns a model and a sequence into a trace."""

    @property
    @abstractmethod
    def joint(self) -> bool:
        """Whether the trace's z is one draw of the whole path.

        Its log-weights may then be added up over time: without it there is no `iwae`.
        """

    @property
    @abstractmethod
    def stepper(self) -> "AbstractFilter | None":
        """The filter that goes step by step along its own path, if there is one."""

    @abstractmethod
    def infer(
        self,
        model: AbstractModel,
        xs: Observations,
        observed: Observed = None,
        *,
        key: Key[Array, ""],
        kl_weight: Float[Array, ""] | float = 1.0,
    ) -> Trace:
        """Infer one sequence.

        Args:
            model: the model whose latents are inferred.
            xs: the observations. NaN means missing.
            observed: which steps, or which entries, were observed; all if `None`.
            key: randomness of the path; step t's draw does not depend on the length.
            kl_weight: weight of the KL term in what inference minimises; see `free_energy`.

        Raises:
            ValueError: `xs` or `observed` has the wrong shape or kind.
            TypeError: this method cannot serve this model.
        """


class AbstractStepwise(AbstractInference):
    """Inference that takes the observations one at a time: what `OnlineFilter` runs on.

    What it holds between two steps, the `loop`, is a state of the model, from which the model can
    go on by itself, and a memory of its own.
    """

    @abstractmethod
    def start(self, model: AbstractModel) -> tuple[State, Carry]:
        """The loop before the first step, after checking that the method fits the model."""

    @abstractmethod
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
        """The loop after one more observation, and that step's trace (without a time axis).

        `infer` is a scan of this, with `fold_in(key, t)` for the key of step t = 0, 1, ...
        """


class AbstractFilter(AbstractStepwise):
    """Infers z_t from the past and x_t only (Eq. 6), step by step.

    `through_past` says whether gradients flow through z_t to later steps. In variational filtering
    EM they do not: past expectations are fixed in the E-step (Eq. 10-11).
    """

    through_past: eqx.AbstractVar[bool]

    @property
    def joint(self) -> bool:
        """Yes: each draw depends on those before it."""
        return True

    @property
    def stepper(self) -> "AbstractFilter":
        """Itself."""
        return self

    @abstractmethod
    def init(self, model: AbstractModel) -> Carry:
        """The filter's own memory before the first step, after checking that it fits the model."""

    @abstractmethod
    def posterior(
        self, carry: Carry, problem: StepProblem, *, key: Key[Array, ""]
    ) -> tuple[AbstractGaussian, Float[Array, " iterations"], Carry]:
        """The approximate posterior q_t, the free energies of its iterations, the new memory."""

    def start(self, model: AbstractModel) -> tuple[State, Carry]:
        """The model's state and the filter's memory before the first step."""
        return model.init(), self.init(model)

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
        """One step of filtering: predict, update, draw, move on.

        A step of which nothing was observed keeps the prior as its posterior and teaches nothing.

        Args:
            model: the model.
            loop: the model's state and the filter's memory; `start(model)` before the first step.
            x: the observation; missing entries hold any finite number.
            observed: which entries were observed.
            key: randomness of this step.
            kl_weight: weight of the KL term in what inference minimises.

        Returns:
            State and memory before the next step, and this step's trace (without a time axis).
        """
        return self._advance(model, loop, x, observed, key=key, kl_weight=kl_weight)[:2]

    def _advance(
        self,
        model: AbstractModel,
        loop: tuple[State, Carry],
        x: Float[Array, " obs"],
        observed: Bool[Array, " obs"],
        *,
        key: Key[Array, ""],
        kl_weight: Float[Array, ""] | float,
    ) -> tuple[tuple[State, Carry], Trace, Float[Array, " obs"]]:
        state, carry = loop
        infer_key, draw_key, impute_key = jr.split(key, 3)
        problem = StepProblem(model, state, model.prior(state), x, observed, kl_weight)
        q, iterations, carry = self.posterior(carry, problem, key=infer_key)
        seen = jnp.any(observed)
        q, iterations = select(seen, q, problem.prior), jnp.where(seen, iterations, 0.0)
        z = self._past(q.sample(key=draw_key))
        likelihood = model.likelihood(state, z)
        trace = Trace(z, q, problem.prior, -likelihood.log_prob(x, observed), iterations)
        filled = self._past(impute(likelihood, x, observed, key=impute_key))
        return (model.next(state, filled, z), carry), trace, filled

    def filtered(
        self,
        model: AbstractModel,
        xs: Float[Array, "time obs"],
        observed: Bool[Array, "time obs"],
        *,
        key: Key[Array, ""],
        kl_weight: Float[Array, ""] | float = 1.0,
        scan: Callable = jax.lax.scan,
    ) -> tuple[Trace, tuple[State, Carry], Float[Array, "time obs"]]:
        """A scan of `step` from the state before the first observation.

        Returns:
            The trace of the observations, which are those of `prepare`; the model's state and the
            filter's memory after every step; the observations with what was missing drawn.
        """
        weight = jnp.asarray(kl_weight, xs.dtype)

        def body(loop: tuple[State, Carry], inputs: tuple) -> tuple[tuple[State, Carry], tuple]:
            x, seen, step_key = inputs
            options = {"key": step_key, "kl_weight": weight}
            loop, trace, filled = self._advance(model, loop, x, seen, **options)
            return loop, (trace, loop, filled)

        return scan(body, self.start(model), (xs, observed, step_keys(len(xs), key=key)))[1]

    def _past(self, drawn: Float[Array, " size"]) -> Float[Array, " size"]:
        """What later steps may see of a draw: with its gradient or without."""
        return drawn if self.through_past else jax.lax.stop_gradient(drawn)


class AbstractScanFilter(AbstractFilter):
    """A filter whose trace is the scan of its steps and nothing else: the usual base."""

    def infer(
        self,
        model: AbstractModel,
        xs: Observations,
        observed: Observed = None,
        *,
        key: Key[Array, ""],
        kl_weight: Float[Array, ""] | float = 1.0,
    ) -> Trace:
        """Filter one sequence."""
        xs, observed = prepare(model, xs, observed)
        return self.filtered(model, xs, observed, key=key, kl_weight=kl_weight)[0]


def stepwise(inference: AbstractInference) -> AbstractStepwise | None:
    """The method that goes step by step, if it is one or has one inside."""
    return inference if isinstance(inference, AbstractStepwise) else inference.stepper


def select(
    condition: Bool[Array, ""], q: AbstractGaussian, p: AbstractGaussian
) -> AbstractGaussian:
    """`q` where the condition holds, else `p`; full if either is full."""
    if isinstance(q, DiagonalGaussian) and isinstance(p, DiagonalGaussian):
        pair: tuple[AbstractGaussian, AbstractGaussian] = (q, p)
    else:
        pair = (FullGaussian.of(q), FullGaussian.of(p))
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), *pair)
