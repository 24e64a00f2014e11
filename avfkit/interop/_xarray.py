"""Draws and traces as labelled arrays, in the groups that ArviZ reads."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from .._arrays import as_numbers, check_real
from .._trace import Trace
from .._types import Observations, Observed

LEADING = ("chain", "draw")


def to_xarray(
    draws: Trace | Float[Array, "..."], xs: Observations | None = None, observed: Observed = None
) -> Any:
    """A tree of data sets: what was drawn, how each draw scored, and what was observed.

    The groups and dimensions are those of ArviZ (`chain`, `draw`, then `time` and `latent`), which
    reads the tree as it is:

    - `posterior`: z; of a trace also q_mean and q_variance, the moments of q_t along each path;
    - `log_likelihood`: x, log p(x_t | z_<=t, x_<t) of each step, in nats (traces only);
    - `sample_stats`: free_energy, kl and log_weight of each step, in nats (traces only);
    - `observed_data`: x, NaN where it was missing.

    Args:
        draws: a trace, or latents, of one sequence: a single one, or with a leading axis of draws
            (as `jax.vmap` over keys makes it), or with axes of chains and draws.
        xs: the observations; NaN means missing.
        observed: which steps or entries were observed; all if `None`.

    Returns:
        An `xarray.DataTree`.

    Raises:
        ImportError: xarray is not installed.
        ValueError: the draws have too few or too many axes, or the observations another length.

    **Example**

    ```python
    traces = jax.vmap(lambda key: inference.infer(model, xs, key=key))(jr.split(key, 100))
    tree = avfkit.interop.to_xarray(traces, xs)
    tree["posterior"]["z"].mean(("chain", "draw"))
    ```
    """
    try:
        import xarray
    except ImportError as error:
        message = "to_xarray() needs xarray: pip install 'avfkit[interop]'."
        raise ImportError(message) from error
    zs = draws.z if isinstance(draws, Trace) else draws
    check_real("draws", zs)
    if np.ndim(zs) not in (2, 3, 4):
        raise ValueError(
            f"draws has shape {np.shape(zs)}; expected [time, latent], [draw, time, latent] or "
            "[chain, draw, time, latent]."
        )
    groups = _of_trace(draws) if isinstance(draws, Trace) else {"posterior": {"z": zs}}
    found = {name: _leading(variables, zs) for name, variables in groups.items()}
    if xs is not None:
        found["observed_data"] = {"x": (("time", "obs"), _shown(xs, observed, np.shape(zs)[-2]))}
    coordinates = {name: {} for name in found}
    for name, variables in found.items():
        for dims, values in variables.values():
            coordinates[name] |= {d: np.arange(n) for d, n in zip(dims, values.shape, strict=True)}
    return xarray.DataTree.from_dict(
        {name: xarray.Dataset(found[name], coordinates[name]) for name in found}
    )


def _of_trace(trace: Trace) -> dict[str, dict[str, Array]]:
    """The variables of each group, with the leading axes of the trace."""

    def scores(one: Trace) -> tuple[Array, Array, Array]:
        return one.free_energy, one.kl, one.log_weight

    for _ in range(trace.z.ndim - 2):
        scores = jax.vmap(scores)
    names = ("free_energy", "kl", "log_weight")
    q = trace.posterior
    return {
        "posterior": {"z": trace.z, "q_mean": q.mean, "q_variance": q.variance},
        "log_likelihood": {"x": -trace.reconstruction},
        "sample_stats": dict(zip(names, scores(trace), strict=True)),
    }


def _leading(variables: dict[str, Array], zs: Array) -> dict[str, tuple]:
    """Each with the axes chain and draw in front, and the names of its axes."""
    missing, ndim = 4 - np.ndim(zs), np.ndim(zs)
    named = {}
    for name, values in variables.items():
        rest = ("time", "latent")[: np.ndim(values) - ndim + 2]
        array = np.asarray(values)
        named[name] = ((*LEADING, *rest), array.reshape(*[1] * missing, *array.shape))
    return named


def _shown(xs: Observations, observed: Observed, length: int) -> np.ndarray:
    xs = as_numbers("xs", xs)
    if xs.ndim != 2 or len(xs) != length:
        raise ValueError(f"xs has shape {xs.shape}; expected [{length}, obs], to match draws.")
    seen = np.ones(xs.shape, bool) if observed is None else np.asarray(observed)
    if seen.shape not in (xs.shape, xs.shape[:1]):
        raise ValueError(
            f"observed has shape {seen.shape}; expected {xs.shape[:1]} (steps) or {xs.shape} "
            "(entries), to match xs."
        )
    if seen.dtype != bool:
        raise ValueError(f"observed has dtype {seen.dtype}; expected bool.")
    return np.where(seen if seen.ndim == 2 else seen[:, None], xs, np.nan)
