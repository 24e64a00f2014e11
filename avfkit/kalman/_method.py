"""How a chain is walked: step by step, or by a scan that halves the steps that are left.

The two give the same numbers. The sequential walk does the least work; the parallel one, an
associative scan, has a depth of about 2 log2(T) and does some three times as much, which pays where
thousands of small products run side by side.

Reference: Särkkä and García-Fernández (2021), for filter and smoother as associative scans;
Blelloch (1990), for the scan.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax

Method: TypeAlias = str
"""How to walk a chain: "sequential", "parallel", or "auto", which chooses by length and device."""

_SHORT = 64  # steps, below which the depth of the sequential walk does not matter
_LARGE = 64  # entries of the latent, from which on one step keeps a device busy


def is_parallel(method: Method, *, length: int, size: int) -> bool:
    """Whether a chain of `length` steps of a latent of `size` entries is scanned in parallel.

    "auto" is sequential on a CPU, whatever the sizes: there the parallel scan does more work and
    finds no more hands. A filter took 1.6 times as long for one sequence of 3 latents, four times
    for ten, seven times for ten of 10 latents, and compiled nine to seventeen times as long
    (`benchmarks/grid.py`).

    Nor is a chain cut into chunks that are walked side by side. That takes the work of two and a
    half walks at least, and a step costs less per lane only until the lanes fill the processor's
    vectors: with a gradient (D = 3) one sequence has nothing to gain, and ten have less. A filter
    of one to four sequences of 2 or 3 latents could gain, 2.4-fold at most, and ten could not
    (`benchmarks/choices.py`).

    On an accelerator "auto" is parallel from 64 steps on, for latents below 64: by the depth of the
    two, not yet by a measurement.

    Raises:
        ValueError: there is no such method.
    """
    if method not in ("auto", "sequential", "parallel"):
        raise ValueError(f"method is {method!r}; expected 'auto', 'sequential' or 'parallel'.")
    if method != "auto":
        return method == "parallel"
    return jax.default_backend() != "cpu" and length >= _SHORT and size < _LARGE


def associative_scan(
    combine: Callable[[Any, Any], Any], elements: Any, *, reverse: bool = False
) -> Any:
    """All prefixes (or suffixes) of `combine(earlier, later)`, for elements without a time axis."""
    if reverse:
        both = jax.vmap(lambda later, earlier: combine(earlier, later))
    else:
        both = jax.vmap(combine)
    return jax.lax.associative_scan(both, elements, reverse=reverse)
