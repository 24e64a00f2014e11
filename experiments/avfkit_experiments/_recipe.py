"""How a pair (model, inference) is trained: every number of it, and what optax makes of them."""

import types
from collections.abc import Hashable, Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, get_args, get_type_hints

import equinox as eqx
import jax
import optax
from jaxtyping import PyTree

import avfkit

from ._average import averaging
from ._precision import PRECISIONS


@dataclass(frozen=True)
class Recipe:
    """The settings of a training run; theta is the model, phi the inference network.

    Attributes:
        steps: training steps; early stopping may end the run before.
        batch_size: sequences in a batch.
        length: steps of a random crop, or `None` for whole sequences.
        theta_rate: Adam's learning rate of the model.
        phi_rate: Adam's learning rate of the inference network.
        warmup: steps over which both rates grow linearly from 0.
        prior_from: steps before the prior of a latent chain learns; its rate then grows anew.
        cosine: let both rates fall along a cosine to 5 % over `steps`; else they are constant.
        clip: largest global norm of the gradient, of theta and of phi separately; 0 for none.
        weight_decay: AdamW's, per unit of learning rate.
        average: decay of the moving average of the weights, which is then what is validated, scored
            and saved; 0 for none.
        dropout: probability that a unit of the memory is dropped in training; see `memory_dropout`.
        online: let AVF's update network take an optimizer step at every time step, as the authors'
            code does, instead of one a batch. Not with `cosine`, `average` or `dropout`.
        anneal: steps over which the weight of the KL term grows linearly from 0 to 1.
        transpose: piano rolls are shifted by up to this many semitones, at random, in training.
        mask: share of the steps that a random window hides from a smoother in training.
        mask_from: training steps before the first window.
        context: first steps of a crop that are conditioned on and not scored in training.
        precision: of the matrix products of a training step: "float32", "tf32", "bfloat16" (their
            factors are rounded to it, their sums are not), or "default": what JAX takes, float32 on
            a CPU, which has no other, and tf32 on a recent GPU. Weights, optimizer, validation and
            test are as ever; so are convolutions, but for "float32", and the messages of a latent
            chain, which need every digit.
        validate_every: steps between validations.
        patience: stop after this many validations in a row without a better one; 0 for never.
        score_batch: sequences side by side in validation and test.
    """

    steps: int
    batch_size: int = 16
    length: int | None = None
    theta_rate: float = 1e-3
    phi_rate: float = 1e-3
    warmup: int = 0
    prior_from: int = 0
    cosine: bool = False
    clip: float = 0.0
    weight_decay: float = 0.0
    average: float = 0.0
    dropout: float = 0.0
    online: bool = False
    anneal: int = 0
    transpose: int = 0
    mask: float = 0.0
    mask_from: int = 0
    context: int = 0
    precision: str = "default"
    validate_every: int = 100
    patience: int = 10
    score_batch: int = 32

    def __post_init__(self) -> None:
        """Refuses what could not be meant."""
        for name in ("steps", "batch_size", "validate_every", "score_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1.")
        names = ("clip", "weight_decay", "anneal", "transpose", "context", "patience")
        for name in (*names, "mask_from", "warmup", "prior_from"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 or more.")
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision is {self.precision!r}; expected one of {', '.join(PRECISIONS)}."
            )
        for name in ("theta_rate", "phi_rate"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a positive number.")
        for name in ("average", "dropout", "mask"):
            share = getattr(self, name)
            if not 0.0 <= share < 1.0:
                raise ValueError(f"{name} is {share}; expected from 0 to below 1.")
            if self.online and share:
                raise ValueError(f"{name} is {share}; expected 0 where online is true.")
        if self.online and self.cosine:
            raise ValueError(
                "cosine is true; expected false where online is true: how many time steps will "
                "come is not known."
            )

    def changed(self, settings: Iterable[str]) -> "Recipe":
        """The recipe with some settings replaced.

        Args:
            settings: texts such as `"weight_decay=0.1"`.

        Raises:
            ValueError: a text is no `NAME=VALUE`, or there is no such setting, or its value cannot
                be read.
        """
        return replace(self, **dict(_read(text) for text in settings))

    def record(self) -> dict[str, Any]:
        """The settings by name; without a precision that was not chosen."""
        chosen = self.precision != "default"
        return {name: x for name, x in asdict(self).items() if chosen or name != "precision"}

    def optimizer(self) -> optax.GradientTransformation:
        """Of a tree (theta, phi): Adam or AdamW for each, and the moving average of both."""
        phi = optax.set_to_zero() if self.online else self.phi_optimizer()
        parts: dict[Hashable, optax.GradientTransformation]
        parts = {"theta": self._adam(self.theta_rate), "phi": phi}
        if self.prior_from:
            parts["prior"] = self._adam(self.theta_rate, self.prior_from)
        both = optax.multi_transform(parts, self._labels if self.prior_from else ("theta", "phi"))
        return averaging(both, self.average) if self.average else both

    def _labels(self, tree: PyTree) -> PyTree:
        """Whose rate each number of (theta, phi) follows, where the prior of an LDS has its own."""
        if not isinstance(tree[0], avfkit.LDS):
            raise ValueError(
                f"prior_from is {self.prior_from}; expected 0: a {type(tree[0]).__name__} has no "
                "latent chain."
            )

        def prior(model: avfkit.LDS) -> tuple[PyTree, ...]:
            return model.first, model.dynamics, model.noise

        theta, phi = (
            jax.tree.map(lambda _: "theta", tree[0]),
            jax.tree.map(lambda _: "phi", tree[1]),
        )
        return eqx.tree_at(prior, theta, jax.tree.map(lambda _: "prior", prior(theta))), phi

    def phi_optimizer(self) -> optax.GradientTransformation:
        """Of phi alone; where `online` is true it steps at every time step."""
        return self._adam(self.phi_rate)

    def _adam(self, rate: float, start: int = 0) -> optax.GradientTransformation:
        schedule = self._schedule(rate, start)
        clip = optax.clip_by_global_norm(self.clip) if self.clip else optax.identity()
        if self.weight_decay:
            return optax.chain(clip, optax.adamw(schedule, weight_decay=self.weight_decay))
        return optax.chain(clip, optax.adam(schedule))

    def _schedule(self, rate: float, start: int) -> optax.Schedule:
        falling = optax.cosine_decay_schedule(rate, self.steps, 0.05)
        full = falling if self.cosine else optax.constant_schedule(rate)
        if not self.warmup and not start:
            return full
        growing = optax.linear_schedule(0.0, 1.0, max(self.warmup, 1), start)
        return lambda step: growing(step) * full(step)


def _read(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    names = [field.name for field in fields(Recipe)]
    if not equals or name not in names:
        raise ValueError(
            f"found the setting {text!r}; expected NAME=VALUE, with NAME one of {', '.join(names)}."
        )
    kind = get_type_hints(Recipe)[name]
    if isinstance(kind, types.UnionType):
        if value.lower() == "none":
            return name, None
        kind = get_args(kind)[0]
    if kind is bool:
        if value.lower() not in ("true", "false"):
            raise ValueError(f"{name} is {value!r}; expected true or false.")
        return name, value.lower() == "true"
    try:
        return name, kind(value)
    except ValueError as error:
        raise ValueError(f"{name} is {value!r}; expected a number.") from error
