"""The letters of the library, said once.

avfkit follows the letters of the amortized variational filtering paper (Marino, Cvitkovic and
Yue, 2018): `x` is what is observed, `z` is latent, `p` is the model and `q` is the approximate
posterior. The structured VAE paper (Zhao and Linderman, 2023) swaps them: its `y` is our `x` and
its `x` is our `z`.

Every array holds one sequence, time first, and every array along time has length `time`.
Batches are made by `jax.vmap`, outside the library. Axis names in annotations are `time`, `obs`
(the entries of one observation), `latent`, `hidden`, `points` and `iterations`.

Free energies, reconstruction terms and KL divergences are in nats.
"""

from typing import Any, TypeAlias

from jaxtyping import ArrayLike, Shaped

State: TypeAlias = Any
"""What a model carries from step to step: a pytree that exists before the first observation."""

Carry: TypeAlias = Any
"""What an inference method carries from step to step: a pytree, often empty."""

Observations: TypeAlias = Shaped[ArrayLike, "..."]
"""One observed sequence `[time, obs]`, any array kind; NaN means missing. Checked by `prepare`."""

Observed: TypeAlias = Shaped[ArrayLike, "..."] | None
"""Which steps `[time]` or entries `[time, obs]` were observed; `None` means all."""
