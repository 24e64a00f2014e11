"""What a training step minimises, and the tree that `fit` carries for it.

That tree is (model, inference); or it holds the optimizer of an E-step that learns at every time
step (`avfkit.Online`); or it is a pair of such trees, of which one is the other's moving average.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

import avfkit
from avfkit import train as training
from avfkit.data import Batch

from ._average import Averaged
from ._dropout import memory_dropout
from ._recipe import Recipe


def learner(tree: tuple, recipe: Recipe, paths: int) -> tuple[Any, Callable[..., Any]]:
    """The tree and the loss for `fit`.

    Args:
        tree: (model, inference).
        recipe: says whether there is a moving average, and when the E-step learns.
        paths: sampled paths of each sequence in a training step.
    """
    weight = training.linear_anneal(recipe.anneal) if recipe.anneal else None
    if recipe.online:
        inner = recipe.phi_optimizer()
        learning = avfkit.Online.create(tree[1], inner)
        options = {"kl_weight": weight, "context": recipe.context}
        return (tree[0], learning), avfkit.online_e_step_loss(inner, **options)
    loss = training.batch_loss(objective(paths), kl_weight=weight, context=recipe.context)
    if recipe.mask:
        if tree[1].stepper is not None:
            raise ValueError(
                f"mask is {recipe.mask:g}; expected 0: {type(tree[1]).__name__} filters, and a "
                "filter sees every step once."
            )
        loss = _masked(loss, recipe)
    if recipe.dropout:
        loss = training.with_dropout(loss, memory_dropout(tree[0], recipe.dropout))
    if not recipe.average:
        return tree, loss

    def on_live(both: Averaged, batch: Batch, **options: Any) -> Any:
        return loss(both.live, batch, **options)

    return Averaged(tree, tree), on_live


def _masked(loss: Callable[..., Any], recipe: Recipe) -> Callable[..., Any]:
    """The loss of what a smoother infers without seeing a window, of all steps."""

    def hidden(tree: tuple, batch: Batch, *, step: Array, **options: Any) -> Any:
        model, smoother = tree
        fraction = jnp.where(step >= recipe.mask_from, recipe.mask, 0.0)
        return loss((model, avfkit.Masked(smoother, fraction)), batch, step=step, **options)

    return hidden


def trained(tree: Any) -> tuple:
    """(model, inference) of the tree that `fit` carries: what is validated, scored and saved."""
    if isinstance(tree, Averaged):
        return tree.average
    model, inference = tree
    return model, inference.inference if isinstance(inference, avfkit.Online) else inference


def objective(paths: int) -> Callable[..., Any]:
    """The free energy of one sequence and its terms, averaged over so many sampled paths."""
    if paths == 1:
        return avfkit.free_energy_terms

    def average(model: Any, inference: Any, x: Array, observed: Array, **options: Any) -> Any:
        keys = jr.split(options.pop("key"), paths)

        def one(key: Array) -> Any:
            return avfkit.free_energy_terms(model, inference, x, observed, key=key, **options)

        return jax.tree.map(jnp.mean, jax.vmap(one)(keys))

    return average
