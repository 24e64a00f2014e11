"""The compute knob: what more iterations and samples of a trained method buy, and what they cost.

The number of inference iterations is no part of what was learned. One set of weights can be run
with few or many, at every step; so can variational filtering EM, which has no weights at all. What
matters in use is not the count but the time: a learned iteration costs a call of the network more.

Reference: Marino, Cvitkovic and Yue (2018), section 4.2 and Figure 4, for iterations and samples.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key

from .._arrays import check_batch
from .._checked import Count, Size, checked
from .._evaluation import Evaluation, sequence_sums, summary
from .._inference import AbstractInference
from .._model import AbstractModel
from ..inference import IterativeFilter, MonteCarlo


class ComputePoint(NamedTuple):
    """One method at one setting of the knob.

    Attributes:
        name: the method's.
        iterations: inference iterations at each step; `None` for a method that does not iterate.
        samples: Monte Carlo samples of its expectation; `None` where the method's own was kept.
        evaluation: its free energy on the batch, in nats per step.
        milliseconds: median time of one pass over the whole batch, on this machine.
        fastest: the shortest of the turns, in milliseconds.
        slowest: the longest.
        compile_seconds: what compiling took, once, and no part of the times; nearly nothing where
            the same program was compiled before.
    """

    name: str
    iterations: int | None
    samples: int | None
    evaluation: Evaluation
    milliseconds: float
    fastest: float
    slowest: float
    compile_seconds: float


@checked
def with_compute(
    inference: AbstractInference, num_iterations: Count, num_samples: Size | None = None
) -> AbstractInference:
    """The same trained method with another number of iterations, and of samples if given.

    Args:
        inference: an `IterativeFilter`, or a method around one, as `MarginalFilter`.
        num_iterations: inference iterations at every step.
        num_samples: Monte Carlo samples of the E-step's expectation; by default it is as it was.

    Raises:
        TypeError: nothing in it iterates.

    **Example**

    ```python
    careful = avfkit.with_compute(avf, 8, num_samples=4)
    ```
    """
    if not _iterates(inference):
        raise TypeError(
            f"inference is a {type(inference).__name__}, which does not iterate; expected an "
            "IterativeFilter, or a method around one."
        )

    def turned(node: Any) -> Any:
        if not isinstance(node, IterativeFilter):
            return node
        expectation = node.expectation if num_samples is None else MonteCarlo(num_samples)
        return IterativeFilter(  # pyright: ignore[reportCallIssue] - through_past is a property
            update=node.update, num_iterations=num_iterations, expectation=expectation
        )

    return jax.tree.map(turned, inference, is_leaf=_is_iterative)


@checked
def compute_curve(
    pairs: Mapping[str, tuple[AbstractModel, AbstractInference]],
    batch: Any,
    *,
    key: Key[Array, ""],
    iterations: Sequence[int] = (1, 2, 4, 8),
    samples: Sequence[int | None] = (None,),
    turns: Size = 5,
) -> list[ComputePoint]:
    """Nats against milliseconds, for every method at every setting of its knob.

    Each setting is compiled on its own, so that it does the work of its iterations and no other.
    Then all take turns, so that a busy machine is equally unkind to all of them. The times are wall
    clock, on this machine and for this batch; compare them with each other.

    Args:
        pairs: for each name a trained model and its inference. The same model may come twice, as
            for AVF and variational filtering EM; who does not iterate gives one point.
        batch: has `x` `[batch, time, obs]` and `observed`, as for `evaluate`, whose free energies
            these are.
        key: randomness, the same for all.
        iterations: settings of the number of iterations.
        samples: settings of the number of Monte Carlo samples; `None` keeps the method's own.
        turns: how often each is timed.

    Returns:
        The points, in the order of `pairs`, then samples, then iterations.

    Raises:
        ValueError: `turns` is below 1, or there are no pairs.

    **Example**

    ```python
    pairs = {"own": own, "AVF": (model, avf), "VF-EM": (model, vfem)}
    for point in avfkit.compute_curve(pairs, batch, key=key):
        print(point.name, point.iterations, point.evaluation.all_steps, point.milliseconds)
    ```
    """
    if not pairs:
        raise ValueError("pairs is empty; expected at least one model with its inference.")
    check_batch(batch)
    numbers = jnp.asarray(getattr(batch, "indices", jnp.arange(len(batch.x))))
    keys = jax.vmap(lambda i: jr.fold_in(key, i))(numbers)
    data = (jnp.asarray(batch.x), jnp.asarray(batch.observed), keys)
    settings = list(_settings(pairs, iterations, samples))
    compiled = [_compiled(pair, data) for *_, pair in settings]
    times = _timed([run for run, _ in compiled], turns)
    return [
        ComputePoint(
            *setting[:3],
            evaluation=summary(run()),
            milliseconds=statistics.median(found),
            fastest=min(found),
            slowest=max(found),
            compile_seconds=seconds,
        )
        for setting, (run, seconds), found in zip(settings, compiled, times, strict=True)
    ]


def _settings(
    pairs: Mapping[str, tuple[AbstractModel, AbstractInference]],
    iterations: Sequence[int],
    samples: Sequence[int | None],
) -> Iterator[tuple[str, int | None, int | None, tuple[AbstractModel, AbstractInference]]]:
    """Name, iterations, samples, and the pair turned to them."""
    for name, (model, inference) in pairs.items():
        if not _iterates(inference):
            yield name, None, None, (model, inference)
            continue
        for number in samples:
            for count in iterations:
                yield name, count, number, (model, with_compute(inference, count, number))


def _compiled(
    pair: tuple[AbstractModel, AbstractInference], data: tuple[Array, Array, Array]
) -> tuple[Callable[[], dict[str, Array]], float]:
    """A pass over the batch that is ready to run, run once, and the seconds of compiling it."""
    x, observed, keys = data
    arguments = (pair, (x, observed), keys, jnp.asarray(0), None)
    began = time.perf_counter()
    ready = sequence_sums.lower(*arguments).compile()  # pyright: ignore[reportFunctionMemberAccess]
    seconds = time.perf_counter() - began
    jax.block_until_ready(ready(*arguments))
    return lambda: ready(*arguments), seconds


def _timed(runs: Sequence[Callable[[], Any]], turns: int) -> list[list[float]]:
    """Milliseconds of each turn of each, all in turn."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(turns):
        for run, found in zip(runs, times, strict=True):
            began = time.perf_counter()
            jax.block_until_ready(run())
            found.append(1e3 * (time.perf_counter() - began))
    return times


def _iterates(inference: AbstractInference) -> bool:
    return any(map(_is_iterative, jax.tree.leaves(inference, is_leaf=_is_iterative)))


def _is_iterative(node: Any) -> bool:
    return isinstance(node, IterativeFilter)
