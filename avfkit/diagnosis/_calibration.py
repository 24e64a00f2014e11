"""Whether a belief holds what it promises: where true values fall among draws from it.

If truth and N draws come from the same distribution, the rank of the truth among them is uniform on
0, ..., N. Spread over its 1 / (N + 1) by one more random number, which also settles ties, it
becomes a number u that is exactly uniform from 0 to 1, for any N and for discrete values too. All
that one asks of a calibrated belief is in u: flat histograms, intervals that hold their share, no
bias, no false confidence.

Reference: Talts et al. (2018), "Validating Bayesian inference algorithms with simulation-based
calibration", Theorem 1; Hamill (2001) for rank histograms; Neyman (1937) for the smooth test.
"""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Key, Num

from .._arrays import as_levels
from .._checked import Size, check_fields, checked
from ._scores import crps, draws_and_truth


class Calibration(eqx.Module):
    """Where true values fell in what was believed of them; the first axis counts cases.

    Cases must be independent for the tests below to hold: sequences, or the steps of one-step
    predictions. An entry that is NaN counts for nothing.

    Attributes:
        pit: from 0 to 1, uniform over the cases of each entry if the belief is right.
        crps: the continuous ranked probability score of each entry, in the units of the truth.
    """

    pit: Float[Array, " cases *shape"]
    crps: Float[Array, " cases *shape"]

    def __check_init__(self) -> None:
        check_fields(self)

    @checked
    def counts(self, bins: Size = 10) -> Int[Array, " bins *shape"]:
        """The rank histogram of each entry: how many cases fell in each of equal bins.

        Flat if the belief is right, a valley if it is too narrow, a hill if too wide, a slope if
        it is off.

        Raises:
            ValueError: `bins` is below 1.
        """
        known = ~jnp.isnan(self.pit)
        place = jnp.floor(jnp.where(known, self.pit, 0.0) * bins).astype(int)
        place = jnp.minimum(place, bins - 1)
        numbers = jnp.arange(bins).reshape(bins, *[1] * self.pit.ndim)
        return jnp.sum((place == numbers) & known, axis=1)

    def coverage(
        self, levels: Sequence[float] | Float[Array, " levels"]
    ) -> Float[Array, " levels"]:
        """The share of all true values inside the central interval of each level: that level.

        Unlike `avfkit.coverage`, whose quantiles lie between draws, without error for few draws.

        Args:
            levels: probabilities from 0 to 1.
        """
        levels = as_levels(levels).astype(self.pit.dtype)
        known = jnp.ravel(~jnp.isnan(self.pit))
        far = jnp.ravel(jnp.abs(2.0 * self.pit - 1.0))
        return jnp.mean((far <= levels[:, None]), axis=1, where=known, dtype=levels.dtype)

    @property
    def bias(self) -> Float[Array, " *shape"]:
        """Standard score of the mean: positive where the truth is larger than believed."""
        return self._scores[0]

    @property
    def spread(self) -> Float[Array, " *shape"]:
        """Standard score of the distance from the middle: positive where beliefs are too narrow."""
        return self._scores[1]

    @property
    def p_value(self) -> Float[Array, " *shape"]:
        """The probability of so uneven a histogram of each entry, were the belief right.

        Neyman's smooth test of order four: the squared standard scores of the first four Legendre
        polynomials (of which `bias` and `spread` are two) against their chi-squared distribution;
        good from some thirty cases on.
        """
        half = 0.5 * jnp.sum(self._scores**2, axis=0)
        return jnp.exp(-half) * (1.0 + half)

    @property
    def overall(self) -> Float[Array, ""]:
        """One p-value of all entries: the smallest, times their number (Bonferroni).

        Holds however the entries depend on each other, as steps of one sequence do.
        """
        known = jnp.sum(~jnp.isnan(self.p_value)).astype(self.pit.dtype)
        return jnp.minimum(known * jnp.nanmin(self.p_value), 1.0)

    @property
    def _scores(self) -> Float[Array, " four *shape"]:
        """Sums of orthonormal polynomials over the cases, over the root of their number."""
        u, known = 2.0 * self.pit - 1.0, ~jnp.isnan(self.pit)
        polynomials = (
            np.sqrt(3.0) * u,
            np.sqrt(5.0) * (3.0 * u**2 - 1.0) / 2.0,
            np.sqrt(7.0) * (5.0 * u**3 - 3.0 * u) / 2.0,
            3.0 * (35.0 * u**4 - 30.0 * u**2 + 3.0) / 8.0,
        )
        total = jnp.stack([jnp.sum(jnp.where(known, p, 0.0), axis=0) for p in polynomials])
        return total / jnp.sqrt(jnp.sum(known, axis=0).astype(u.dtype))


@checked
def calibration(
    samples: Num[ArrayLike, " samples cases *shape"],
    truth: Num[ArrayLike, " cases *shape"],
    *,
    key: Key[Array, ""],
) -> Calibration:
    """Where the truth of each case falls among independent draws from what was believed of it.

    Args:
        samples: the draws, at least two of each entry. Thin those of a Markov chain until they are
            independent: the rank among correlated draws is not uniform.
        truth: the values; NaN where there is none.
        key: spreads ranks over their interval, and settles ties.

    Raises:
        ValueError: there are fewer than two draws, the truth has another shape than a draw, or
            nothing is known of it.

    **Example**

    ```python
    found = avfkit.calibration(forecasts, observations, key=key)
    print(found.counts(), found.overall)
    ```
    """
    samples, truth = draws_and_truth(samples, truth)
    unknown = jnp.isnan(truth)
    nothing = unknown.all()
    if not isinstance(nothing, Tracer) and nothing:
        raise ValueError(
            "truth is NaN throughout; expected true values. The latents of recorded data are not "
            "known: use simulated_calibration, or judge predictions by predictive_calibration."
        )
    places = placed(samples < truth, samples == truth, key=key)
    return Calibration(jnp.where(unknown, jnp.nan, places), crps(samples, truth))


def placed(
    below: Bool[Array, " samples *shape"],
    ties: Bool[Array, " samples *shape"],
    *,
    key: Key[Array, ""],
) -> Float[Array, "*shape"]:
    """A uniform point, from 0 to 1, of the interval that the rank of the truth stands for.

    Args:
        below: which draws lie below the truth.
        ties: which draws equal it.
        key: the point.
    """
    dtype = jnp.result_type(float)
    least, tied = (jnp.sum(mask, axis=0, dtype=dtype) for mask in (below, ties))
    return (least + jr.uniform(key, least.shape, dtype) * (tied + 1.0)) / (len(below) + 1)
