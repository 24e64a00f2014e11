"""Posteriors of linear systems that start at principal components, the same for all methods.

Probabilistic principal components know no time. Under them the posterior of z_t reads x_t alone,
by a linear map and with a fixed covariance. Every network starts there: the structured posterior
with the likelihood as its potential, its rivals with the posterior itself, which their networks
then correct.

Reference: Tipping and Bishop (1999), "Probabilistic principal component analysis".
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

import avfkit
from avfkit import kalman
from avfkit.data import Dataset
from avfkit.nn import FullGaussianHead, LinearGaussian

from ._methods import after_standardising, stacked, standardise


def principal_components(train: Dataset, latent: int) -> LinearGaussian:
    """The likeliest emission if the latents were white noise of unit variance (Eq. 7 and 8)."""
    x = stacked(train).reshape(-1, train.obs_size)
    values, vectors = np.linalg.eigh(np.cov(x.T))  # ascending
    noise = values[:-latent].mean()
    matrix = vectors[:, -latent:] * np.sqrt(values[-latent:] - noise)
    return LinearGaussian.from_parameters(matrix, x.mean(0), np.full(train.obs_size, noise))


class ReadOut(avfkit.AbstractSmoother):
    """A smoother whose path is a linear read-out of each observation, plus what a network infers.

    Attributes:
        linear: maps x_t to the read-out; a step of which nothing was observed has none.
        correction: a smoother of the rest.
    """

    linear: eqx.nn.Sequential
    correction: avfkit.AmortizedSmoother

    def path(
        self,
        model: avfkit.AbstractModel,
        xs: Float[Array, "time obs"],
        observed: Bool[Array, "time obs"],
    ) -> avfkit.AbstractPath:
        """The path of the correction, shifted."""
        seen = jnp.any(observed, axis=-1, keepdims=True)
        shift = jnp.where(seen, jax.vmap(self.linear)(xs), 0.0)
        path = self.correction.path(model, xs, observed)
        if not isinstance(path, avfkit.GaussMarkov):
            return Shifted(path, shift)
        dynamics, bias, noise_cov = path.chain
        before = jax.vmap(jnp.matmul)(dynamics[1:], shift[:-1])
        bias = (bias + shift).at[1:].add(-before)
        return avfkit.GaussMarkov(kalman.Conditionals(dynamics, bias, noise_cov))


class Shifted(avfkit.AbstractPath):
    """The distribution of another path plus a known one."""

    path: avfkit.AbstractPath
    shift: Float[Array, "time latent"]

    def sample(self, *, key: Key[Array, ""]) -> Float[Array, "time latent"]:
        """A draw of the other, shifted."""
        return self.path.sample(key=key) + self.shift

    def conditionals(self, zs: Float[Array, "time latent"]) -> avfkit.AbstractGaussian:
        """Those of the other along what is left of a path, shifted."""
        found = self.path.conditionals(zs - self.shift)
        return eqx.tree_at(lambda q: q.mean, found, replace_fn=lambda mean: mean + self.shift)

    def until(self, inside: Bool[Array, " time"], model: avfkit.AbstractModel) -> "Shifted":
        """Itself: what it draws afterwards is no forecast."""
        del inside, model
        return self

    def divergence(self, model: avfkit.AbstractModel) -> None:
        """None: there is no closed form."""
        del model


def read_out(make: Any, model: avfkit.AbstractModel, *, key: Key[Array, ""]) -> ReadOut:
    """The method that `make` makes, as the correction of a read-out."""
    linear_key, key = jax.random.split(key)
    linear = eqx.nn.Linear(model.obs_size, model.latent_size, key=linear_key)
    return ReadOut(after_standardising(linear, model.obs_size), make(model, key=key))


def start(tree: tuple, train: Dataset) -> tuple:
    """The model and whatever networks there are at the principal components of the training part.

    A filter of another kind starts as it was.
    """
    model, inference = tree
    emission = principal_components(train, model.latent_size)
    model = eqx.tree_at(lambda m: m.emission, model, emission)
    inference = standardise(inference, train)
    if isinstance(inference, ReadOut):
        return model, _at_posterior(inference, emission)
    if isinstance(inference, avfkit.StructuredSmoother | avfkit.StructuredFilter):
        return model, _at_likelihood(inference, emission)
    return model, inference


def _at_likelihood(inference: Any, emission: LinearGaussian) -> Any:
    """The potential of z_t is p(x_t | z_t): the columns of the emission are orthogonal."""
    signal, noise = _variances(emission)
    standardised, net = (layer.fn for layer in inference.potential)
    weight = emission.matrix.T / signal[:, None] * standardised.scale
    head = _head(net.head, weight, jnp.log(noise / signal))
    return eqx.tree_at(lambda method: method.potential[1].fn.head, inference, head)


def _at_posterior(inference: Any, emission: LinearGaussian) -> Any:
    """q(z_t) is p(z_t | x_t) for a z_t of unit variance."""
    signal, noise = _variances(emission)
    standardised = inference.linear[0].fn
    weight = emission.matrix.T / (signal + noise)[:, None] * standardised.scale
    where = lambda method: (method.linear[1].fn, method.correction.head.moments.head)  # noqa: E731
    linear, head = where(inference)
    head = _head(head, jnp.zeros_like(head.mean.weight), jnp.log(noise / (signal + noise)))
    new = _linear(linear, weight, jnp.zeros(len(weight))), head
    return eqx.tree_at(where, inference, new)


def _variances(emission: LinearGaussian) -> tuple[Array, Array]:
    """What z_t adds to the variance of x_t along each column of the emission, and the noise's."""
    return jnp.sum(emission.matrix**2, axis=0), jnp.exp(emission.log_var[0])


def _head(head: Any, weight: Array, log_var: Array) -> Any:
    """A Gaussian head with a mean linear in what it reads, and of constant variances."""
    if isinstance(head, FullGaussianHead):
        zeros = jnp.zeros(head.scale.weight.shape[0] - len(log_var))
        numbers = jnp.concatenate([0.5 * log_var, zeros])
        new = (_linear(head.mean, weight, jnp.zeros(len(weight))), numbers)
        return eqx.tree_at(lambda h: (h.mean, h.scale.bias), head, new)
    rows = jnp.concatenate([weight, jnp.zeros_like(weight)])
    bias = jnp.concatenate([jnp.zeros_like(log_var), log_var])
    return eqx.tree_at(lambda h: h.linear, head, _linear(head.linear, rows, bias))


def _linear(layer: eqx.nn.Linear, weight: Array, bias: Array) -> eqx.nn.Linear:
    return eqx.tree_at(lambda lay: (lay.weight, lay.bias), layer, (weight, bias))
