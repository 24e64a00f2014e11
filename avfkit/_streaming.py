"""A trained filter, one observation at a time: what arrives is filtered when it arrives."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from . import train
from ._checked import Size, check_fields, checked
from ._divergence import kl
from ._inference import AbstractInference, AbstractStepwise, stepwise
from ._model import AbstractModel, prepare
from ._sample import sample
from ._stream import Filtered, OnlineState, one_observation
from ._trace import Trace
from ._types import Observations, Observed, State


class OnlineFilter(eqx.Module):
    """Filters a stream with a trained model and filter, in constant time and memory per step.

    `step` and `run` go the way of `inference.infer` with the stream's key, to rounding. Many
    streams are one `jax.vmap` over states. A filter that follows a drawn path follows one: for a
    belief that holds them all use `MarginalFilter` where it serves, or several streams with keys of
    their own.

    Attributes:
        model: the model.
        inference: an `AbstractFilter`, `MarginalFilter` or any other `AbstractStepwise`.

    **Example**

    ```python
    online = avfkit.OnlineFilter(model, avfkit.StructuredFilter(svae.potential))
    state = online.init(key=key)
    for x in stream:  # NaN: missing
        state, now = online.step(state, x)
        print(now.posterior.mean, now.free_energy)
    ```

    Raises:
        TypeError: the method needs the whole sequence, or cannot serve this model.
    """

    model: AbstractModel
    inference: AbstractInference

    def __check_init__(self) -> None:
        check_fields(self)
        _filter(self.inference).start(self.model)

    @checked
    def init(self, *, key: Key[Array, ""]) -> OnlineState:
        """The state before the first observation."""
        start = _filter(self.inference).start(self.model)
        state = OnlineState(start, jnp.zeros((), int), key)
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), state)  # no weak types

    @checked
    def step(
        self, state: OnlineState, x: Observations, observed: Observed = None
    ) -> tuple[OnlineState, Filtered]:
        """Filter one more observation.

        Compiled at the first call, for any number of further ones.

        Args:
            state: the stream so far.
            x: the observation `[obs]`; NaN means missing.
            observed: whether it was observed, or which entries `[obs]`; all if `None`. A step of
                which nothing was observed keeps the prior.

        Returns:
            The state after this step, and what the step says.

        Raises:
            ValueError: `x` or `observed` has the wrong shape or kind, or, outside `jax.jit`, an
                observed entry is infinite.
        """
        return _step(self, state, *one_observation(self.model, x, observed))

    @checked
    def run(
        self, state: OnlineState, xs: Observations, observed: Observed = None
    ) -> tuple[OnlineState, Filtered]:
        """Filter a stretch of observations at once: to catch up, or to start from a past.

        Args:
            state: the stream so far.
            xs: the observations `[time, obs]`; NaN means missing.
            observed: which steps or entries were observed; all if `None`.

        Returns:
            The state after the last step, and what the steps say, stacked over time.

        Raises:
            ValueError: `xs` or `observed` is malformed.
        """
        return _run(self, state, *prepare(self.model, xs, observed))

    @checked
    def predict(
        self, state: OnlineState, horizon: Size, *, key: Key[Array, ""], num_samples: Size
    ) -> tuple[Float[Array, "samples time obs"], Float[Array, "samples time latent"]]:
        """Draw futures of the stream; the stream itself stays as it is.

        Each is that of `continuation`: it starts from the state that the filter has reached, which
        for a filter along a drawn path is one draw of the past.

        Args:
            state: the stream so far.
            horizon: number of steps to look ahead, at least 1.
            key: randomness of the futures.
            num_samples: number of futures, at least 1.

        Returns:
            The observations and the latents of the futures.

        Raises:
            ValueError: `horizon` or `num_samples` is below 1.
        """
        return _predict(self.model, state.loop[0], horizon, jr.split(key, num_samples))

    def save(self, path: str | Path, state: OnlineState) -> None:
        """Write a stream to one file, atomically; weights are not in it.

        Args:
            path: the file to write, in a folder that exists; an older file is replaced.
            state: the stream so far.
        """
        train.save(path, state, hyperparameters=self._identity())

    def load(self, path: str | Path) -> OnlineState:
        """Read a stream that `save` has written, in this process or another, to go on bit for bit.

        Raises:
            CheckpointError: the file is no checkpoint, is altered, or holds something else.
            ValueError: it is the stream of another model or filter, or of other weights.
        """
        found, expected = train.read_header(path)["hyperparameters"], self._identity()
        state = train.load(path, eqx.filter_eval_shape(self.init, key=jr.key(0)))
        for part, identity in expected.items():
            if found.get(part) != identity:
                raise ValueError(
                    f"{path}: a stream of another {part}: its fingerprint is {found.get(part)} in "
                    f"the file, expected {identity}."
                )
        return state

    def _identity(self) -> dict[str, str]:
        parts = {"model": self.model, "inference": self.inference}
        return {name: train.fingerprint(part) for name, part in parts.items()}


def _filter(inference: AbstractInference) -> AbstractStepwise:
    if found := stepwise(inference):
        return found
    raise TypeError(
        f"OnlineFilter needs a filter, which takes the observations one at a time; "
        f"{type(inference).__name__} sees the whole sequence. Use IterativeFilter or DirectFilter; "
        "for a StructuredSmoother use StructuredFilter, for KalmanSmoother KalmanFilter, alone or "
        "in a MarginalFilter."
    )


@eqx.filter_jit
def _step(
    online: OnlineFilter, state: OnlineState, x: Array, observed: Array | None
) -> tuple[OnlineState, Filtered]:
    xs, seen = prepare(online.model, x[None], None if observed is None else observed[None])
    return _advance(online, state, xs[0], seen[0])


@eqx.filter_jit
def _run(
    online: OnlineFilter, state: OnlineState, xs: Array, observed: Array
) -> tuple[OnlineState, Filtered]:
    return jax.lax.scan(lambda s, inputs: _advance(online, s, *inputs), state, (xs, observed))


def _advance(
    online: OnlineFilter, state: OnlineState, x: Array, observed: Array
) -> tuple[OnlineState, Filtered]:
    model, before = online.model, state.loop[0]
    key = jr.fold_in(state.key, state.steps)
    loop, trace = _filter(online.inference).step(model, state.loop, x, observed, key=key)
    return OnlineState(loop, state.steps + 1, state.key), _filtered(model, before, trace)


def _filtered(model: AbstractModel, before: State, trace: Trace) -> Filtered:
    prior, posterior = trace.prior, trace.posterior
    return Filtered(
        prior=prior,
        posterior=posterior,
        prediction=model.likelihood(before, prior.mean),
        estimate=model.likelihood(before, posterior.mean),
        z=trace.z,
        reconstruction=trace.reconstruction,
        kl=kl(posterior, prior) if trace.divergence is None else trace.divergence,
        iterations=trace.iterations,
    )


@eqx.filter_jit
def _predict(
    model: AbstractModel, state: State, horizon: int, keys: Key[Array, " samples"]
) -> tuple[Float[Array, "samples time obs"], Float[Array, "samples time latent"]]:
    return jax.vmap(lambda key: sample(model, horizon, key=key, state=state))(keys)
