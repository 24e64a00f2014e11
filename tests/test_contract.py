"""The report on what a pair keeps: whole on a pair of ours, broken on one that breaks it all."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from tests.helpers import MODELS, make, random_lds

KEY = jr.key(0)


class Peeks(avfkit.AbstractScanFilter):
    """A filter of one line that reads the whole sequence, what is missing and the padding too."""

    @property
    def through_past(self):
        return False

    def init(self, model):
        """No memory."""

    def posterior(self, carry, problem, *, key):
        """The observation itself."""
        del key
        return avfkit.DiagonalGaussian(problem.x[:2], problem.x[:2]), jnp.zeros(0), carry

    def infer(self, model, xs, observed=None, *, key, kl_weight=1.0):
        """The mean over time in place of each observation."""
        del observed, kl_weight
        mean = jnp.broadcast_to(jnp.tanh(xs.mean(0)), xs.shape)
        return self.filtered(model, mean, jnp.ones(xs.shape, bool), key=key)[0]


def test_a_filter_of_ours_keeps_every_clause():
    """`benchmarks/contract.py` does this for every kind of pair."""
    contract = avfkit.check_contract(*make("vrnn-gaussian", "own"), key=KEY)
    assert contract.holds and str(contract).count("kept") == 6


def test_a_filter_that_breaks_every_clause_is_told_so():
    contract = avfkit.check_contract(random_lds(4, latent=2, obs=3), Peeks(), key=KEY)
    assert not contract.holds
    broken = {name for name, clause in contract.clauses.items() if clause.holds is False}
    assert broken == {"missing", "prior", "padding", "causal", "streaming"}
    assert contract.clauses["missing"].worst == np.inf


def test_the_report_is_a_line_for_each_clause():
    clauses = {
        "missing": avfkit.Clause(True, 0.0, "a"),
        "causal": avfkit.Clause(None, 0.25, "b"),
        "streaming": avfkit.Clause(False, np.inf, "c"),
    }
    contract = avfkit.Contract(("LDS", "Own"), clauses)
    lines = ("missing    kept   0.0e+00  a", "causal     -      2.5e-01  b")
    text = ("LDS x Own", *lines, "streaming  BROKEN inf      c")
    assert str(contract) == "\n  ".join(text) and not contract.holds


@pytest.mark.parametrize(("length", "gaps"), [(5, 0), (6, 2)])
def test_sequences_too_short_or_with_gaps_are_refused(length, gaps):
    lds = random_lds(0)
    xs = jnp.zeros((length, 4)).at[0, :gaps].set(jnp.nan)
    with pytest.raises(ValueError) as error:
        avfkit.check_contract(lds, avfkit.KalmanFilter(), xs, key=KEY)
    assert str(error.value) == (
        f"xs has {length} steps, {gaps} entries of them missing; expected at least 6 steps and "
        "none missing."
    )


def test_a_pair_that_cannot_meet_is_refused_as_ever():
    with pytest.raises(TypeError, match="KalmanFilter needs a model with linear-Gaussian"):
        avfkit.check_contract(MODELS["vrnn-gaussian"](KEY), avfkit.KalmanFilter(), key=KEY)
