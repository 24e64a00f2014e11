"""The certificate: any inference method against the exact posterior, in nats.

On a linear-Gaussian problem everything is known, so a method can be told how wrong it is, and not
only that it is. Per step, the certificate takes KL(q_t || target_t), where the target is what this
kind of method could get right (see `_oracle`):

* a filter along its own path: p(z_t | z_{t-1}, x_t) at the z_{t-1} that it drew, the minimum of its
  step free energy (Eq. 11);
* a smoother: p(z_t | z_{t-1}, x_{t:T}) along its draw; the sum over time is on average
  KL(q(z_1:T) || p(z_1:T | x)), the whole gap of its bound;
* `MarginalFilter`, and whatever else is not a joint path: p(z_t | x_1:t).

Reference: Marino, Cvitkovic and Yue (2018), Eq. 9-11; Kalman (1960) and Rauch, Tung and Striebel
(1965) for the answers.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from .._checked import AtLeastTwo, Nonnegative, checked
from .._inference import AbstractInference
from ._examination import SCALARS, examined
from ._oracle import Target, target_of
from ._problems import Problem, linear_gaussian_problems

Build = Callable[..., AbstractInference]


class Certificate(NamedTuple):
    """How far a method is from the exact posterior, problem by problem.

    Attributes:
        method: its name.
        target: what q_t was compared with: "p(z_t | z_t-1, x_t)" for a filter along its own path,
            "p(z_t | z_t-1, x_t:T)" for a smoother, "p(z_t | x_1:t)" for beliefs.
        problems: a label for each.
        kl: of each problem, KL(q_t || target) in nats at every step, on average over draws.
        gap: of each problem, the bound's gap to the exact -log p(x), in nats per step. For beliefs
            it is the excess of their code length. An exact filter along its own path has a gap as
            well: the price of drawing z_t before the future is known.
        gap_error: its standard error over draws.
        calibration: of each problem, the squared error of the true z_t in units of q's covariance,
            per entry: 1 on average if q is as wide as it is wrong, above 1 if q is too sure. A
            filter is given the true z_{t-1}, for else its errors would be those of its past.
        leak: of each problem, the most by which the KL of a step changes, in nats, when later
            observations do; NaN for smoothers, which are meant to look ahead.
        tolerance: nats per step.
    """

    method: str
    target: str
    problems: list[str]
    kl: list[Float[np.ndarray, " time"]]
    gap: Float[np.ndarray, " problems"]
    gap_error: Float[np.ndarray, " problems"]
    calibration: Float[np.ndarray, " problems"]
    leak: Float[np.ndarray, " problems"]
    tolerance: float

    @property
    def errors(self) -> Float[np.ndarray, " problems"]:
        """KL to the target in nats per step, of each problem."""
        return np.array([steps.mean() for steps in self.kl])

    @property
    def excess(self) -> float:
        """By how many nats per step the method fails, on its worst problem; 0 if it passes.

        KL and leak must be within the tolerance, and, where the target has none, the gap, as far
        as its sampling error can tell. What is not a number fails by infinitely many nats.
        """
        wrong = [self.errors, np.nan_to_num(self.leak, nan=0.0)]
        if self.target != Target.STEP.value:
            wrong.append(np.abs(self.gap) - 3.0 * self.gap_error)
        over = np.max(np.concatenate(wrong)) - self.tolerance
        return float(np.maximum(over, 0.0)) if np.isfinite(over) else float("inf")

    @property
    def passed(self) -> bool:
        """Whether the method is exact, within the tolerance, on every problem."""
        return self.excess == 0.0

    def __str__(self) -> str:
        verdict = "passes" if self.passed else f"fails by {self.excess:.3g} nats per step"
        head = f"{self.method}: {verdict} (tolerance {self.tolerance:g})"
        lines = [head, f"KL(q_t || {self.target}) and gap to -log p(x) in nats per step"]
        width = max(len(label) for label in self.problems)
        lines.append(f"{'':<{width}}{'KL':>10}{'gap':>20}{'calibration':>13}{'leak':>10}")
        columns = (self.errors, self.gap, self.gap_error, self.calibration, self.leak)
        for label, *values in zip(self.problems, *columns, strict=True):
            error, gap, spread, calibration, leak = (float(value) for value in values)
            seen = "sees all" if np.isnan(leak) else f"{leak:.4f}"
            gaps = f"{gap:.4f} ± {spread:.4f}"
            lines.append(f"{label:<{width}}{error:>10.4f}{gaps:>20}{calibration:>13.2f}{seen:>10}")
        return "\n".join(lines)


@checked
def certify(
    method: AbstractInference | Build,
    *,
    key: Key[Array, ""],
    problems: Sequence[Problem] | None = None,
    num_draws: AtLeastTwo = 32,
    tolerance: Nonnegative = 1e-2,
) -> Certificate:
    """Run a method on random linear-Gaussian problems and compare it with the exact posterior.

    **Example**

    ```python
    print(avfkit.certify(avfkit.MarginalFilter(avfkit.KalmanFilter()), key=key))

    def build(model, *, key):  # an amortized method is made, and trained, for each problem
        return avfkit.DirectFilter.create(model, width=16, depth=1, key=key)

    print(avfkit.certify(build, key=key))
    ```

    Args:
        method: an inference method, or a function `build(model, *, key)` that makes one for a
            model; it may train it, on sequences drawn from that model.
        key: randomness of the problems, of `build` and of the draws.
        problems: what to solve; by default those of `linear_gaussian_problems`, with three SNRs,
            two shapes and missing steps.
        num_draws: paths per problem, over which KL and gap are averaged; at least 2.
        tolerance: nats per step that are forgiven.

    Raises:
        TypeError: `method` is neither.
        ValueError: `num_draws` is below 2, or there are no problems.
    """
    problem_key, build_key, draw_key = jr.split(key, 3)
    problems = linear_gaussian_problems(key=problem_key) if problems is None else problems
    if not problems:
        raise ValueError("problems is empty; expected at least one.")
    columns, inference = [], method
    for number, problem in enumerate(problems):
        inference = _built(method, problem, key=jr.fold_in(build_key, number))
        keys = jr.split(jr.fold_in(draw_key, number), num_draws)
        columns.append(examined(problem, inference, keys))
    assert isinstance(inference, AbstractInference)
    return Certificate(
        _name(inference),
        target_of(inference).value,
        [problem.label for problem in problems],
        [found.kl for found in columns],
        **{name: np.array([getattr(found, name) for found in columns]) for name in SCALARS},
        tolerance=tolerance,
    )


def _built(method: Any, problem: Problem, *, key: Key[Array, ""]) -> AbstractInference:
    if isinstance(method, AbstractInference):
        return method
    found = method(problem.model, key=key) if callable(method) else method
    if isinstance(found, AbstractInference):
        return found
    raise TypeError(
        f"method is, or makes, a {type(found).__name__}; expected an AbstractInference, or a "
        "function build(model, *, key) that makes one."
    )


def _name(inference: AbstractInference) -> str:
    """The class, and those of the methods and update rules inside."""
    inner = [
        type(part).__name__
        for part in vars(inference).values()
        if isinstance(part, eqx.Module) and not isinstance(part, eqx.nn.MLP)
    ]
    return type(inference).__name__ + (f"({', '.join(inner)})" if inner else "")
