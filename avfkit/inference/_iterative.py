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
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from .._checked import Count, check_fields
from .._distributions import AbstractGaussian
from .._inference import AbstractFilter, AbstractScanFilter, select
from .._model import AbstractModel, nothing_seen, prepare
from .._problem import StepProblem
from .._trace import Trace
from .._types import Carry, Observations, Observed
from ._detached import fix
from ._expectation import AbstractExpectation, MonteCarlo
from ._replayed import Path, replayed
from ._update import AbstractAmortizedUpdate, AbstractUpdate


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
    num_iterations: Count = eqx.field(static=True)
    expectation: AbstractExpectation = MonteCarlo()
    stop_after: Int[Array, ""] | None = None

    def __check_init__(self) -> None:
        check_fields(self)

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
        estimate, energies, lessons = self.search(problem, key=key)
        return estimate, taught(energies, lessons, self.update), carry

    def infer(
        self,
        model: AbstractModel,
        xs: Observations,
        observed: Observed = None,
        *,
        key: Key[Array, ""],
        kl_weight: Float[Array, ""] | float = 1.0,
    ) -> Trace:
        """Filter one sequence.

        With an amortized update the scan only searches. What update and model are to learn is kept,
        and its gradient taken for all steps and iterations at once.
        """
        xs, observed = prepare(model, xs, observed)
        options = {"key": key, "kl_weight": kl_weight}
        if not isinstance(self.update, AbstractAmortizedUpdate):
            return self.filtered(model, xs, observed, **options)[0]
        search = _Search(filter=fix(self))  # pyright: ignore[reportCallIssue] - a property
        trace, after, filled = search.filtered(*fix((model, xs)), observed, **options)
        first, (following, lessons) = fix(model).init(), after
        states = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b[:-1]]), first, following)
        path = Path(states, filled, observed, trace.z)
        prior, errors = replayed((trace.prior, trace.reconstruction), path, model, xs)
        seen = jnp.any(observed, axis=-1)
        q = jax.vmap(select)(seen, trace.posterior, prior)
        lessons = eqx.tree_at(lambda l: l.counts, lessons, lessons.counts & seen[:, None])
        iterations = taught(trace.iterations, lessons, self.update)
        return Trace(trace.z, q, prior, errors, iterations)

    def search(
        self, problem: StepProblem, *, key: Key[Array, ""]
    ) -> tuple[AbstractGaussian, Float[Array, " iterations"], "Lessons | None"]:
        """The iterations, and what an amortized update can learn from them.

        Returns:
            q_t, F_t before and after each iteration, and the lessons. Without lessons, for any
            other update, the free energies carry the gradient themselves.
        """
        fixed, rule = fix(problem), self.update
        rule = fix(rule) if isinstance(rule, AbstractAmortizedUpdate) else rule
        estimate, memory = rule.init(fixed.prior)
        keys = jr.split(key, self.num_iterations + 1)
        first, gradient = self._evaluate(fixed, estimate, keys[0])

        def iterate(loop: tuple, inputs: tuple) -> tuple[tuple, tuple]:
            index, iteration_key = inputs
            estimate, gradient, memory = loop
            if isinstance(rule, AbstractAmortizedUpdate):
                reading = rule.read(estimate, gradient, fixed)
                proposal, products = rule.propose(reading)
                kept = (reading, products)
            else:
                proposal, memory = rule.update(estimate, gradient, memory, fixed)
                kept = None
            improving = jnp.array(True) if self.stop_after is None else index < self.stop_after
            improved = select(improving, fix(proposal), estimate)
            energy, following = self._evaluate(fixed, improved, iteration_key)
            if kept is not None:
                lesson = Lessons(*kept, following, improving)
                return (improved, following, memory), (energy, lesson)
            inner = jnp.where(improving, _product(following, proposal), 0.0)
            return (improved, following, memory), (_with_gradient(energy, inner), None)

        loop, inputs = (estimate, gradient, memory), (jnp.arange(self.num_iterations), keys[1:])
        (estimate, _, _), (energies, lessons) = jax.lax.scan(iterate, loop, inputs)
        return estimate, jnp.append(first, energies), lessons

    def _evaluate(
        self, problem: StepProblem, estimate: AbstractGaussian, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], AbstractGaussian]:
        noise = self.expectation.points(estimate.mean, key=key)
        return jax.value_and_grad(problem.free_energy)(estimate, noise)


class Lessons(eqx.Module):
    """What an amortized update can learn from its iterations, one entry for each.

    Attributes:
        reading: what it read.
        products: what it kept of its computation.
        gradient: dF/dlambda at what it then proposed.
        counts: whether the proposal was taken.
    """

    reading: PyTree
    products: PyTree
    gradient: AbstractGaussian
    counts: Bool[Array, "..."]


@eqx.filter_custom_jvp
def taught(
    energies: Float[Array, "*time iterations"], lessons: Lessons | None, update: AbstractUpdate
) -> Float[Array, "*time iterations"]:
    """The free energies, with the gradient <dF/dlambda, dlambda/dphi> that is already at hand.

    This spares the reverse pass a second walk through the decoder: dF/dlambda was computed for the
    next iteration anyway. If no gradient is asked for, nothing is computed.
    """
    del lessons, update
    return energies


@taught.def_jvp
def _taught(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    energies, lessons, update = primals
    change = jnp.zeros_like(energies) if tangents[0] is None else tangents[0]
    if lessons is None:
        return energies, change

    def product(update: AbstractAmortizedUpdate, lesson: Lessons) -> Float[Array, ""]:
        inner = _product(lesson.gradient, update.propose(lesson.reading, lesson.products)[0])
        return jnp.where(lesson.counts, inner, 0.0)

    every = product
    for _ in range(energies.ndim):
        every = jax.vmap(every, (None, 0))
    learned = eqx.filter_jvp(lambda rule: every(rule, lessons), (update,), (tangents[2],))[1]
    return energies, change.at[..., 1:].add(learned)


def _product(gradient: AbstractGaussian, estimate: AbstractGaussian) -> Float[Array, ""]:
    products = jax.tree.map(lambda g, e: jnp.sum(fix(g) * e), gradient, estimate)
    return sum(jax.tree.leaves(products), jnp.array(0.0, estimate.mean.dtype))


def _with_gradient(energy: Float[Array, ""], inner: Float[Array, ""]) -> Float[Array, ""]:
    return jax.lax.stop_gradient(energy) + (inner - jax.lax.stop_gradient(inner))


class _Search(AbstractScanFilter):
    """An iterative filter without its gradient, whose memory is what the last step can teach."""

    filter: IterativeFilter

    @property
    def through_past(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As in the filter."""
        return self.filter.through_past

    def init(self, model: AbstractModel) -> Carry:
        """Empty lessons of the right shapes."""
        self.filter.init(model)

        def first(key: Key[Array, ""]) -> Lessons | None:
            state = model.init()
            problem = StepProblem(model, state, model.prior(state), *nothing_seen(model), 1.0)
            return self.filter.search(problem, key=key)[2]

        shapes = eqx.filter_eval_shape(first, jr.key(0))
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def posterior(
        self, carry: Carry, problem: StepProblem, *, key: Key[Array, ""]
    ) -> tuple[AbstractGaussian, Float[Array, " iterations"], Carry]:
        """As the filter's."""
        del carry
        return self.filter.search(problem, key=key)
