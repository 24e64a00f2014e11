"""The learned E-step of amortized variational filtering.

A network reads the current estimate of q and its free-energy gradient and outputs an update
(Eq. 13), so inference becomes a few calls of a network that has learned to optimise.

Where the paper and the authors' code differ, the paper is the default: two highway layers and
output gating everywhere. The code's other choices are options: `learned_step` (its VRNN, JSB and
Piano-midi configurations), one layer (its SVG). The mean normalisation, which the paper states for
all experiments and the code uses in three, is off by default because it ties together the entries
of a small latent.

Reference: Marino et al. (2018), section 3.2 and appendix B; Marino, Yue and Mandt (2018).
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .._checked import Size, checked
from .._distributions import AbstractGaussian, DiagonalGaussian
from .._model import AbstractModel
from .._problem import StepProblem
from ..nn import LOG_VAR_RANGE, Highway, affine
from ._signals import gradients, signal_sizes
from ._update import AbstractAmortizedUpdate, Memory


def output_gate(
    old: Float[Array, " latent"],
    gradient: Float[Array, " latent"],
    offset: Float[Array, " latent"],
    gate: Float[Array, " latent"],
) -> Float[Array, " latent"]:
    """Gate * old + (1 - gate) * offset: the update of the paper (Marino, Yue and Mandt 2018)."""
    del gradient
    return gate * old + (1.0 - gate) * offset


def learned_step(
    old: Float[Array, " latent"],
    gradient: Float[Array, " latent"],
    offset: Float[Array, " latent"],
    gate: Float[Array, " latent"],
) -> Float[Array, " latent"]:
    """A learned step size in (0, 1), old - gate * gradient + offset, from the authors' code.

    Fresh gates are near one half, and the gradient is that of one sequence: where it is large, as
    under a sharp likelihood, start with a negative `gate_bias` or the first steps explode.
    """
    return old - gate * gradient + offset


def layer_norm(values: Float[Array, " latent"]) -> Float[Array, " latent"]:
    """Zero mean and unit (unbiased) standard deviation over the latent entries (appendix B)."""
    return (values - jnp.mean(values)) / (jnp.std(values, ddof=1) + 1e-7)


def signed_log(values: Float[Array, " latent"]) -> Float[Array, " latent"]:
    """sign(v) log(1 + |v|): keeps the size of a gradient, which layer normalisation throws away.

    For small latents, where the paper's layer normalisation leaves almost nothing.
    """
    return jnp.sign(values) * jnp.log1p(jnp.abs(values))


class Reading(eqx.Module):
    """What the update network reads at one iteration.

    Attributes:
        estimate: the current q_t.
        gradient: that of F_t in its parameters.
        inputs: of the network, normalised.
    """

    estimate: DiagonalGaussian
    gradient: DiagonalGaussian
    inputs: Float[Array, " inputs"]


class LearnedUpdate(AbstractAmortizedUpdate):
    """The iterative inference model of AVF (Eq. 13, appendix B).

    Reads four terms, each normalised on its own: the gradients of F_t in the mean and log-variance
    of q_t, and the mean and log-variance themselves; all detached, so nothing is differentiated
    twice. A highway trunk with ELU units outputs, for each parameter, an offset and a gate. It can
    read errors in place of the gradients.

    Attributes:
        trunk: the highway network.
        heads: the linear map to (offset, gate) of mean and of log-variance.
        rule: `output_gate` (paper) or `learned_step` (authors' code).
        normalise: of the inputs, `layer_norm` (paper) or `signed_log`.
        normalise_mean: force the mean of q to zero mean and unit variance over its entries, after
            every update.
        encode_observation: let the network read x_t as well (the paper's SRNN on speech).
        signal: `gradients` (paper), or `errors`, precision-weighted (Marino, Yue and Mandt 2018).

    **Example**

    ```python
    update = avfkit.LearnedUpdate(model, width=1024, depth=2, key=key)
    ```
    """

    trunk: Highway
    heads: eqx.nn.Linear
    rule: Callable = eqx.field(static=True)
    normalise: Callable = eqx.field(static=True)
    normalise_mean: bool = eqx.field(static=True)
    encode_observation: bool = eqx.field(static=True)
    signal: Callable = eqx.field(static=True)
    sizes: tuple[int, int] = eqx.field(static=True)

    @checked
    def __init__(
        self,
        model: AbstractModel,
        *,
        width: Size = 1024,
        depth: Size = 2,
        rule: Callable = output_gate,
        normalise: Callable = layer_norm,
        normalise_mean: bool = False,
        encode_observation: bool = False,
        signal: Callable = gradients,
        gate_bias: float = 0.0,
        key: Key[Array, ""],
    ) -> None:
        """Make an update network that fits `model` (only its sizes are read).

        Fresh gates are near sigmoid(`gate_bias`).
        """
        latent = model.latent_size
        sizes = signal_sizes(signal, model)
        if 1 in (latent, *sizes) and (normalise is layer_norm or (normalise_mean and latent == 1)):
            raise ValueError(
                f"the latent has {latent} entries and the signal's parts {sizes}; layer "
                "normalisation over one entry erases it. Use normalise=signed_log and "
                "normalise_mean=False."
            )
        trunk_key, head_key = jax.random.split(key)
        inputs = sum(sizes) + 2 * latent
        inputs += model.obs_size if encode_observation else 0
        self.trunk = Highway(inputs, width=width, depth=depth, key=trunk_key)
        self.heads = _heads(width, latent, gate_bias, key=head_key)
        self.rule, self.normalise, self.signal = rule, normalise, signal
        self.normalise_mean, self.encode_observation = normalise_mean, encode_observation
        self.sizes = (model.obs_size, latent)

    def check(self, model: AbstractModel) -> None:
        """The network was made for one latent and one observation size."""
        found = (model.obs_size, model.latent_size)
        if found != self.sizes:
            raise ValueError(
                f"LearnedUpdate was made for (obs_size, latent_size) = {self.sizes}; this "
                f"{type(model).__name__} has {found}."
            )

    def init(self, prior: AbstractGaussian) -> tuple[AbstractGaussian, Memory]:
        """The prior's mean and marginal variances; no memory."""
        return DiagonalGaussian.of(prior), ()

    def read(
        self, estimate: AbstractGaussian, gradient: AbstractGaussian, problem: StepProblem
    ) -> Reading:
        """The terms of Eq. 13, each normalised on its own."""
        assert isinstance(estimate, DiagonalGaussian) and isinstance(gradient, DiagonalGaussian)
        signal = self.signal(estimate, gradient, problem)
        inputs = [self.normalise(term) for term in (*signal, estimate.mean, estimate.log_var)]
        if self.encode_observation:
            inputs.append(problem.x)
        return jax.lax.stop_gradient(Reading(estimate, gradient, jnp.concatenate(inputs)))

    def propose(
        self, reading: Reading, products: tuple[Array, ...] | None = None
    ) -> tuple[DiagonalGaussian, tuple[Array, ...]]:
        """One call of the network (Eq. 13); what its matrices made of their inputs is kept."""
        estimate, gradient = reading.estimate, reading.gradient
        *trunk, heads = (None,) if products is None else products
        hidden, trunk = self.trunk.walk(reading.inputs, None if heads is None else tuple(trunk))
        heads = affine(self.heads, hidden, heads)
        outputs = jnp.split(heads, 4)
        gates = jax.nn.sigmoid(outputs[2]), jax.nn.sigmoid(outputs[3])
        mean = self.rule(estimate.mean, gradient.mean, outputs[0], gates[0])
        log_var = self.rule(estimate.log_var, gradient.log_var, outputs[1], gates[1])
        if self.normalise_mean:
            mean = layer_norm(mean)
        return DiagonalGaussian(mean, jnp.clip(log_var, *LOG_VAR_RANGE)), (*trunk, heads)


def _heads(width: Size, latent: int, gate_bias: float, *, key: Key[Array, ""]) -> eqx.nn.Linear:
    """The linear map to two offsets and two gates."""
    linear = eqx.nn.Linear(width, 4 * latent, key=key)
    return eqx.tree_at(
        lambda heads: heads.bias,
        linear,
        replace_fn=lambda bias: bias.at[2 * latent :].add(gate_bias),
    )
