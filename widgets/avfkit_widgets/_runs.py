"""The one compiled function behind the tabulated explorers, and checks of what they are given."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

import avfkit

from ._table import Slider


class Run(NamedTuple):
    """One filtered sequence; energies in nats.

    Attributes:
        prediction: mean of p(x_t | z_t, past) at the mean of the prior.
        reconstruction: the same at the mean of q_t.
        free_energy: F_t.
        iterations: the E-step's estimates of F_t after 0, 1, ... iterations.
    """

    prediction: Float[Array, "time obs"]
    reconstruction: Float[Array, "time obs"]
    free_energy: Float[Array, " time"]
    iterations: Float[Array, "time iterations"]


class FirstSamples(avfkit.AbstractExpectation):
    """`MonteCarlo(num_samples)` with the number a value: its points, repeated to fill `most`.

    Equal weights stay equal where `num_samples` divides `most`.
    """

    num_samples: Int[Array, ""]
    most: int = eqx.field(static=True)

    def points(
        self, like: Float[Array, " latent"], *, key: Key[Array, ""]
    ) -> Float[Array, "points latent"]:
        """The first `num_samples` draws, one after another, `most` in all."""
        draws = jr.normal(key, (self.most, *like.shape), like.dtype)
        return draws[jnp.arange(self.most) % self.num_samples]


@eqx.filter_jit
def run(
    model: avfkit.AbstractModel,
    inference: avfkit.AbstractInference,
    xs: Float[Array, "time obs"],
    observed: Bool[Array, "time obs"],
    *,
    key: Key[Array, ""],
) -> Run:
    """Infer a sequence once. Masks and `stop_after` are values: moving them compiles nothing.

    Args:
        model: the model.
        inference: how its latents are inferred.
        xs: the observations.
        observed: which entries were observed.
        key: randomness of the path.

    Returns:
        What `infer` and `one_step` of avfkit give, along one path.
    """
    if not isinstance(inference, avfkit.AbstractFilter):
        trace = inference.infer(model, xs, observed, key=key)
        seen = avfkit.one_step(model, inference, xs, observed, key=key)
        return Run(*seen, trace.free_energy, trace.iterations)
    xs = xs.astype(_dtype(model, xs))
    return _follow(model, inference, xs, observed, key=key)


def _follow(
    model: avfkit.AbstractModel,
    inference: avfkit.AbstractFilter,
    xs: Float[Array, "time obs"],
    observed: Bool[Array, "time obs"],
    *,
    key: Key[Array, ""],
) -> Run:
    """A filter's `infer` and `one_step` in one scan, which halves what there is to compile."""

    def body(loop: tuple, inputs: tuple) -> tuple[tuple, Run]:
        x, seen, step_key = inputs
        after, trace = inference.step(model, loop, x, seen, key=step_key)
        means = (model.likelihood(loop[0], q.mean).mean for q in (trace.prior, trace.posterior))
        kl = avfkit.kl(trace.posterior, trace.prior)
        return after, Run(*means, trace.reconstruction + kl, trace.iterations)

    keys = jax.vmap(lambda t: jr.fold_in(key, t))(jnp.arange(len(xs)))
    start = (model.init(), inference.init(model))
    return jax.lax.scan(body, start, (xs, observed, keys))[1]


def _dtype(model: avfkit.AbstractModel, xs: Float[Array, "time obs"]) -> jnp.dtype:
    """The floating-point type of the model's parameters, as avfkit chooses it."""
    leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    return jnp.result_type(*leaves) if leaves else xs.dtype


def evaluate_run(
    model: avfkit.AbstractModel,
    inference: avfkit.AbstractInference,
    xs: Float[np.ndarray, "time obs"],
    observed: Bool[np.ndarray, "time obs"] | None = None,
    *,
    key: Key[Array, ""],
) -> Run:
    """`run` as NumPy arrays.

    Args:
        model: the model.
        inference: how its latents are inferred.
        xs: the observations.
        observed: which entries were observed; all if `None`.
        key: randomness of the path.

    Returns:
        `Run` of NumPy arrays.
    """
    seen = np.ones(xs.shape, bool) if observed is None else observed
    found = run(model, inference, jnp.asarray(xs), jnp.asarray(seen), key=key)
    return Run(*(np.asarray(array) for array in found))


def stopped(inference: avfkit.AbstractInference, most: int, k: int) -> avfkit.AbstractInference:
    """An iterative filter with K a value: `most` iterations compiled, stopped after `k`.

    Args:
        inference: a method; only an iterative filter changes.
        most: the largest K.
        k: how many iterations to keep.

    Returns:
        The method.
    """
    if not isinstance(inference, avfkit.IterativeFilter):
        return inference
    update, expectation = inference.update, inference.expectation
    return avfkit.IterativeFilter(update, most, expectation, stop_after=jnp.asarray(k))


def check_sequence(name: str, xs: object, obs_size: int) -> Float[np.ndarray, "time obs"]:
    """A sequence that a model can see, without gaps.

    Args:
        name: of the argument.
        xs: the sequence.
        obs_size: of the model.

    Returns:
        A NumPy array.

    Raises:
        ValueError: if its shape does not fit, or an entry is NaN or infinite.
    """
    array = np.asarray(xs)
    if array.ndim != 2 or array.shape[1] != obs_size or len(array) == 0:
        raise ValueError(f"{name} has shape {array.shape}; expected [time, {obs_size}].")
    if not np.isfinite(array).all():
        step, entry = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(
            f"{name} is {array[step, entry]} at step {step}, entry {entry}; expected finite "
            "numbers."
        )
    return array


def iteration_slider(inference: avfkit.AbstractInference, most: int | None) -> tuple[Slider, ...]:
    """The slider of K: one for an iterative filter, none for any other method.

    Args:
        inference: the method.
        most: the largest K; the filter's own if `None`.

    Returns:
        At most one slider, named `iterations`.

    Raises:
        ValueError: if `most` is below 1, or is given for a method that does not iterate.
    """
    if not isinstance(inference, avfkit.IterativeFilter):
        if most is not None:
            raise ValueError(
                f"max_iterations is {most}, but a {type(inference).__name__} does not iterate; "
                "expected None."
            )
        return ()
    most = inference.num_iterations if most is None else most
    if most < 1:
        raise ValueError(f"max_iterations is {most}; expected at least 1.")
    ks = tuple(range(most + 1))
    spoken = tuple(f"{k} iteration{'' if k == 1 else 's'}" for k in ks)
    return (Slider("iterations", "Iterations <i>K</i>", ks, spoken),)
