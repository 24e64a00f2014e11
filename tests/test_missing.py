"""To hide something and to leave it out are the same, wherever one can leave it out."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit.nn import LinearGaussian
from tests.helpers import INFERENCES, SGD, random_lds

KEY = jr.key(3)
XS = jnp.array(np.random.default_rng(1).normal(size=(7, 4)))


def every_other(lds):
    """The same process, seen at every other step: its transition taken twice."""
    m1, p1, a, b, q = lds.chain
    return avfkit.LDS.from_parameters(
        m1, p1, a @ a, a @ b + b, a @ q @ a.T + q, emission=lds.emission
    )


def traces(inference, *problems):
    run = eqx.filter_jit(inference.infer)
    return [run(model, xs, observed, key=KEY) for model, xs, observed in problems]


@pytest.mark.parametrize("name", ["marginal-vfem", "svae"])
def test_a_hidden_step_is_a_longer_transition(name):
    """Where the expectation over the hidden latent is exact: in beliefs and in smoothers."""
    lds = random_lds(0)
    rule = avfkit.GradientUpdate(SGD, avfkit.FullGaussian)
    filter = avfkit.MarginalFilter(avfkit.IterativeFilter(rule, 2, avfkit.Cubature()))
    inference = filter if name == "marginal-vfem" else INFERENCES[name](lds, KEY)
    odd = jnp.arange(7) % 2 == 1
    problems = [(lds, XS, ~odd), (every_other(lds), XS[::2], None), (lds, XS[::2], None)]
    hidden, left_out, unaware = traces(inference, *problems)
    if name == "svae":  # the draws differ, the divergence between the paths does not
        np.testing.assert_allclose(hidden.kl.sum(), left_out.kl.sum(), rtol=1e-9)
        assert abs(hidden.kl.sum() - unaware.kl.sum()) > 0.1
        return
    np.testing.assert_allclose(hidden.free_energy[::2], left_out.free_energy, rtol=1e-9)
    np.testing.assert_array_equal(hidden.free_energy[1::2], 0.0)
    np.testing.assert_allclose(hidden.posterior.mean[::2], left_out.posterior.mean, atol=1e-9)
    assert (np.abs(unaware.free_energy - left_out.free_energy)[1:] > 1e-3).all()


def test_a_hidden_entry_is_an_emission_without_it():
    lds = random_lds(0)
    keep = np.array([0, 2, 3])
    emission = lds.emission
    rows = (emission.matrix[keep], emission.bias[keep], emission.log_var[keep])
    smaller = avfkit.LDS.from_parameters(*lds.chain, emission=LinearGaussian(*rows))
    observed = jnp.ones(XS.shape, bool).at[:, 1].set(False)
    problems = [(lds, XS, observed), (smaller, XS[:, keep], None)]
    hidden, left_out = traces(INFERENCES["vfem"](lds, KEY), *problems)
    for a, b in zip(jax.tree.leaves(hidden), jax.tree.leaves(left_out), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


LIKELIHOODS = {
    "diagonal": lambda a: avfkit.DiagonalGaussian(a, a),
    "full": lambda a: avfkit.FullGaussian(a, a, jnp.outer(a, a)),
    "bernoulli": avfkit.Bernoulli,
    "discretised": lambda a: avfkit.DiscretisedGaussian.centred(a, a, window=0.1),
}


@pytest.mark.parametrize("make", LIKELIHOODS.values(), ids=LIKELIHOODS)
def test_a_missing_value_is_no_number_and_harms_no_gradient(make):
    observed = jnp.array([True, False, True])
    numbers = jnp.array([0.3, -0.2, 0.8])

    @jax.value_and_grad
    def nats(numbers, value):
        return make(numbers).log_prob(value, observed)

    expected = nats(numbers, jnp.array([1.0, 0.5, 0.0]))
    found = nats(numbers, jnp.array([1.0, jnp.nan, 0.0]))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert expected[1][0] != 0.0
