"""The ways to infer: the model's own filter, AVF, variational filtering EM, and smoothers."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
from jaxtyping import Array, Key, PyTree

import avfkit
from avfkit import AbstractInference, AbstractModel

from ._preset import Preset

FILTERS = ("own", "avf", "vfem")
SMOOTHERS = ("svae", "svae-filter", "rnn-mf", "rnn-ar-l", "rnn-ar-nl", "cnn-ar-l", "kalman")
INFERENCES = (*FILTERS, *SMOOTHERS)
ITERATIVE = ("avf", "vfem")


def make_inference(
    preset: Preset,
    model: AbstractModel,
    inference: str,
    *,
    iterations: int,
    samples: int,
    detached: bool = False,
    key: Key[Array, ""],
) -> AbstractInference:
    """The chosen inference of a preset, untrained.

    Args:
        preset: what it is for.
        model: the preset's model.
        inference: "own", "avf", "vfem" or a smoother of the preset.
        iterations: K, of "avf" and "vfem".
        samples: of the E-step's expectation, of "avf" and "vfem".
        detached: train "own" in AVF's detached EM scheme, as the AVF authors did.
        key: randomness of the initial weights.

    Raises:
        ValueError: the preset has no such inference.
    """
    if inference in preset.smoothers:
        return preset.smoothers[inference](model, key=key)
    if inference == "own":
        own: Any = preset.own(model, key=key)
        return replace(own, through_past=False) if detached else own
    update: avfkit.AbstractUpdate
    if inference == "avf":
        update = avfkit.LearnedUpdate(model, **preset.update, key=key)
    elif inference == "vfem":
        update = avfkit.GradientUpdate(preset.e_step)
    else:
        known = ", ".join([*FILTERS, *preset.smoothers])
        raise ValueError(f"inference is {inference!r}; {preset.name} expects one of {known}.")
    return avfkit.IterativeFilter(  # pyright: ignore[reportCallIssue] - through_past is a property
        update=update, num_iterations=iterations, expectation=avfkit.MonteCarlo(samples)
    )


def make_tree(
    preset: Preset,
    inference: str,
    *,
    latent: int | None = None,
    key: Key[Array, ""],
    **options: Any,
) -> tuple[AbstractModel, AbstractInference]:
    """The untrained (model, inference) of a preset; options as of `make_inference`."""
    model_key, inference_key = jr.split(key)
    sizes = {} if latent is None else {"latent": latent}
    model = preset.model(**sizes, key=model_key)
    return model, make_inference(preset, model, inference, **options, key=inference_key)


def parameter_counts(preset: Preset, inference: str) -> tuple[int, int]:
    """Trained numbers of the model (theta) and of the inference network (phi); nothing is made."""

    def make(key: Key[Array, ""]) -> PyTree:
        return make_tree(preset, inference, iterations=1, samples=1, key=key)

    theta, phi = eqx.filter_eval_shape(make, jr.key(0))
    return _size(theta), _size(phi)


def _size(tree: PyTree) -> int:
    arrays = eqx.filter(tree, _is_trained)
    return sum(leaf.size for leaf in jax.tree.leaves(arrays))


def _is_trained(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct) and jax.numpy.issubdtype(
        leaf.dtype, jax.numpy.inexact
    )
