"""Where the nats go: the gap between a free energy and -log p(x), in four terms.

Let q be the method, q* the best member of its family at every step, r the best Gaussian with a full
covariance at every step, and L_K the bound of a particle filter with K particles drawn from r, so
that L_1 = F[r] on average. Then

    F[q] + log p(x) =   F[q]  - F[q*]         amortization: the network against optimised q
                      + F[q*] - F[r]          family: diagonal against full
                      + F[r]  - L_K[r]        sampling: one drawn path against K
                      + L_K[r] + log p(x)     filtering: the past alone against all that was seen

and the sum is exact, since neighbours cancel. Each F is an expectation over the method's own path
(Eq. 7), and all terms are split over the steps, F_t (Eq. 9) against -log p(x_t | x_<t).

With K = 1 the sampling term is left in the filtering term, F[r] + log p(x), which is

    KL(r || p(z_1:T | x)) = sum_t E_r KL(p(z_t | z_t-1, x_t) || p(z_t | z_t-1, x_t:T)) >= 0

where all is linear and Gaussian: what it costs to draw z_t before the future is known. It is the
drawing that costs, and not the ignorance: as K grows, L_K goes to -log p(x). The other two need not
be positive, since a q that pays more now can make a later step cheaper.

`MarginalFilter` draws nothing: its last two terms are zero where all is linear and Gaussian.

A smoother knows the future, and its filtering term is zero. With q* the best path of its family and
r the best of all linear-Gaussian chains over the whole path, L_K is importance-weighted, and

    F[q] + log p(x) =   F[q]  - F[q*]                             amortization
                      + F[q*] - F[r] + (L_K[r] + log p(x))        family
                      + F[r]  - L_K[r]                            sampling

so that what no Gaussian reaches is the family's, and K paths take from it what they save. The
family of mean field is that of independent latents, each of full covariance; that of diagonal
potentials the model's chain times any such; of other chains, all chains, so that q* = r; of a
recurrent network along the path, that network with any weights, and r is taken to be q*, too.

On a linear-Gaussian model r is the posterior and the steps are held against its own, whose free
energies add up to -log p(x). Elsewhere a whole path has a weight and its steps have none: L_K is
split over the steps by what each adds to the variance of log w. Either way a smoother's step may
pay early for what it saves later, and only the sum over the steps is a gap to -log p(x).

Reference: Cremer, Li and Duvenaud (2018) for the split of a static gap into approximation and
amortization; Marino, Cvitkovic and Yue (2018), Eq. 7-11; Maddison et al. (2017) for L_K;
Burda, Grosse and Salakhutdinov (2016) for that of whole paths.
"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from .._checked import AtLeastTwo, Size, checked
from .._inference import AbstractInference
from .._model import AbstractModel, prepare
from .._types import Observations, Observed
from ._ladder import terms
from ._rungs import Effort
from ._smoothers import is_exact

TERMS = ("amortization", "family", "sampling", "filtering")


class Gap(eqx.Module):
    """The gap of a bound in nats, term by term, draw by draw, step by step.

    `jax.vmap` over sequences puts an axis in front.

    Attributes:
        amortization: F[q] - F[q*].
        family: F[q*] - F[r].
        sampling: F[r] - L_K[r].
        filtering: L_K[r] + log p(x).
        seen: the steps of which anything was observed; a filter's terms of the others are zero.
        exact: whether q*, r and log p(x) are all exact. If not, q* and r are what gradient steps
            reached and log p(x) is an estimate, so that on average the total is too small.
    """

    amortization: Float[Array, "*sequences draws time"]
    family: Float[Array, "*sequences draws time"]
    sampling: Float[Array, "*sequences draws time"]
    filtering: Float[Array, "*sequences draws time"]
    seen: Bool[Array, "*sequences time"]
    exact: bool = eqx.field(static=True)

    @property
    def total(self) -> Float[Array, "*sequences draws time"]:
        """The sum of the four: F[q] + log p(x)."""
        return self.amortization + self.family + self.sampling + self.filtering

    def nats(self, term: str = "total") -> tuple[float, float]:
        """A term in nats per observed step, and its standard error.

        The error is that of the spread over sequences if there are several, else over draws.

        Raises:
            ValueError: there is no such term.
        """
        if term not in (*TERMS, "total"):
            raise ValueError(f"term is {term!r}; expected one of {', '.join(TERMS)} or total.")
        sums, steps = np.asarray(getattr(self, term)).sum(-1), np.asarray(self.seen).sum(-1)
        values = sums.mean(-1).reshape(-1) if sums.ndim > 1 else sums
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
        return float(values.mean() / steps.mean()), float(error / steps.mean())

    def __str__(self) -> str:
        what = "exact optima and log p(x)" if self.exact else "refined q and estimated log p(x)"
        lines = [f"gap to -log p(x), nats per step ({what})"]
        for term in (*TERMS, "total"):
            lines.append("{:<13}{:>9.4f} ± {:.4f}".format(term, *self.nats(term)))
        return "\n".join(lines)


@checked
def gap(
    model: AbstractModel,
    inference: AbstractInference,
    xs: Observations,
    observed: Observed = None,
    *,
    key: Key[Array, ""],
    num_samples: Size = 1,
    num_draws: AtLeastTwo = 32,
    num_iterations: Size = 200,
    num_particles: Size = 32,
) -> Gap:
    """Split a method's gap on one sequence into amortization, family, sampling and filtering.

    On a linear-Gaussian model r and log p(x) are exact, and so is q*, except for a smoother with
    diagonal potentials or a recurrent path. Elsewhere they are bounds: q* and r are reached by
    gradient steps from the method's own q, step by step for a filter and as a whole for a smoother,
    and log p(x) is estimated from draws of r, by a particle filter or by weighing whole paths. What
    they do not reach is missing from the total, and from amortization or family.

    **Example**

    ```python
    print(avfkit.gap(model, avf, xs, key=key))
    several = jax.vmap(lambda x, k: avfkit.gap(model, avf, x, key=k))(sequences, keys)
    mean, error = several.nats("amortization")
    ```

    Args:
        model: the generative model.
        inference: what is diagnosed.
        xs: the observations; NaN means missing.
        observed: which steps or entries were observed; all if `None`.
        key: randomness.
        num_samples: K, the particles of the sampling term; with 1 that term is zero and the
            filtering term is the whole price of a single causal draw.
        num_draws: paths, and particle filters, to average over; at least 2.
        num_iterations: gradient steps from q to q*, and as many on to r, where they are not in
            closed form. With too few, what q* did not reach is charged to the family.
        num_particles: particles, or paths, for log p(x) where it is not exact.

    Raises:
        TypeError: the model is not linear and Gaussian, and the method is neither a filter nor a
            smoother whose path is a `GaussMarkov` or an `Autoregressive`.
        ValueError: a number is too small, or `xs` or `observed` is malformed.
    """
    data = prepare(model, xs, observed)
    keys, effort = jr.split(key, num_draws), Effort(num_samples, num_iterations, num_particles)
    found = dict(zip(TERMS, terms(model, inference, data, keys, effort), strict=True))
    return Gap(**found, seen=jnp.any(data[1], axis=-1), exact=is_exact(model, inference, data))
