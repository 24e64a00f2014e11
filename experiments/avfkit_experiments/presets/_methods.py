"""The structured posterior, its causal twin and their rivals, at the sizes of small series.

Shared by the linear systems and by the chain behind a neural decoder. Every network reads the
observations standardised: less their mean and over their standard deviation in the training part,
entry by entry.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

import avfkit
from avfkit.data import Dataset
from avfkit.nn import BidirectionalRNN, Conditional, FullGaussianHead, GaussianHead, TemporalCNN

_KERNEL = 10  # steps that a convolution spans


class Standardised(eqx.Module):
    """An observation less a mean and over a scale, which are data and do not learn.

    Attributes:
        mean: of each entry; zero until `standardise` has seen the data.
        scale: standard deviation of each entry; one until then.
    """

    mean: Float[Array, " obs"]
    scale: Float[Array, " obs"]

    @classmethod
    def create(cls, size: int) -> "Standardised":
        """The identity."""
        return cls(jnp.zeros(size), jnp.ones(size))

    def __call__(self, x: Float[Array, " obs"]) -> Float[Array, " obs"]:
        """What the networks read."""
        return (x - jax.lax.stop_gradient(self.mean)) / jax.lax.stop_gradient(self.scale)


def standardise(inference: PyTree, train: Dataset) -> PyTree:
    """The inference method with every `Standardised` of it at the moments of the training part."""
    x = stacked(train).reshape(-1, train.obs_size)
    found = Standardised(jnp.asarray(x.mean(0), float), jnp.asarray(x.std(0), float))

    def fitted(node: PyTree) -> PyTree:
        return found if isinstance(node, Standardised) else node

    return jax.tree.map(fitted, inference, is_leaf=lambda node: isinstance(node, Standardised))


def stacked(part: Dataset) -> Float[np.ndarray, "sequences time obs"]:
    """Sequences of one length as one array, in float64."""
    return np.stack([np.asarray(sequence, np.float64) for sequence in part.sequences])


def methods(hidden: int, *, depth: int, diagonal: bool = False) -> Mapping[str, Any]:
    """The methods of the paper that see the whole sequence, and the causal structured posterior.

    Args:
        hidden: units of a recurrent network in each direction, and of what comes before and after.
        depth: hidden layers, of as many units, of the structured posterior's network.
        diagonal: potentials without correlations, as for the large systems of appendix A.
    """
    potential = partial(_potential, hidden, depth, GaussianHead if diagonal else FullGaussianHead)
    convolutional = partial(TemporalCNN, kernel=_KERNEL)
    nonlinear = partial(avfkit.NonlinearHead, hidden_size=hidden)
    return {
        "svae": partial(_svae, potential),
        "svae-filter": partial(_causal, potential),
        "rnn-mf": partial(_rival, BidirectionalRNN, avfkit.FactorisedHead, hidden),
        "rnn-ar-l": partial(_rival, BidirectionalRNN, avfkit.LinearHead, hidden),
        "rnn-ar-nl": partial(_rival, BidirectionalRNN, nonlinear, hidden),
        "cnn-ar-l": partial(_rival, convolutional, avfkit.LinearHead, hidden),
    }


def after_standardising(net: Any, size: int) -> eqx.nn.Sequential:
    """A network that reads standardised observations of this size."""
    return eqx.nn.Sequential([eqx.nn.Lambda(Standardised.create(size)), eqx.nn.Lambda(net)])


def _potential(
    hidden: int, depth: int, head: Any, model: avfkit.AbstractModel, *, key: Key[Array, ""]
) -> eqx.nn.Sequential:
    options = {"head": head, "width": hidden, "depth": depth}
    net = Conditional(model.obs_size, model.latent_size, **options, key=key)
    return after_standardising(net, model.obs_size)


def _svae(
    potential: Any, model: avfkit.AbstractModel, *, key: Key[Array, ""]
) -> avfkit.StructuredSmoother:
    return avfkit.StructuredSmoother(potential(model, key=key))


def _causal(
    potential: Any, model: avfkit.AbstractModel, *, key: Key[Array, ""]
) -> avfkit.StructuredFilter:
    net = potential(model, key=key)
    return avfkit.StructuredFilter(potential=net)  # pyright: ignore[reportCallIssue] - a property


def _rival(
    trunk: Any, head: Any, hidden: int, model: avfkit.AbstractModel, *, key: Key[Array, ""]
) -> avfkit.AmortizedSmoother:
    trunk_key, head_key = jr.split(key)
    reader = trunk(model.obs_size, hidden, key=trunk_key)
    embed = after_standardising(reader.embed, model.obs_size)
    reader = eqx.tree_at(lambda net: net.embed, reader, embed)
    return avfkit.AmortizedSmoother(reader, head(reader.out_size, model.latent_size, key=head_key))
