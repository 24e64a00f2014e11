"""There and back, and the same likelihood on both sides."""

import sys
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit.interop import from_dynamax, to_dynamax
from tests.helpers import MODELS, random_lds


@pytest.fixture(scope="module")
def lds():
    return random_lds(3)


@pytest.fixture(scope="module")
def params(lds):
    return to_dynamax(lds)


def test_there_and_back(lds, params):
    back = from_dynamax(params)
    exact = ("initial_mean", "dynamics", "bias")
    for name, found in back.chain._asdict().items():
        rtol = 0.0 if name in exact else 1e-14
        np.testing.assert_allclose(found, getattr(lds.chain, name), rtol=rtol, atol=0.0)
    for name, rtol in [("matrix", 0.0), ("bias", 0.0), ("log_var", 1e-14)]:
        found, expected = getattr(back.emission, name), getattr(lds.emission, name)
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=0.0)
    again = to_dynamax(back)
    for found, expected in zip(jax.tree.leaves(again), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-16)


def test_a_diagonal_given_as_a_vector_is_the_same(params):
    vector = params.emissions._replace(cov=jnp.diag(params.emissions.cov))
    found = from_dynamax(params._replace(emissions=vector)).emission
    np.testing.assert_array_equal(found.log_var, from_dynamax(params).emission.log_var)


def test_both_sides_find_the_same_likelihood(lds, params, monkeypatch):
    from dynamax.linear_gaussian_ssm import inference

    # by default it adds 1e-9 to the diagonal of what it inverts
    monkeypatch.setattr(inference, "psd_solve", partial(inference.psd_solve, diagonal_boost=0.0))
    xs, _ = avfkit.sample(lds, 5, key=jr.key(0))
    with jax.numpy_dtype_promotion("standard"):
        theirs = inference.lgssm_filter(params, xs).marginal_loglik
    run = jax.jit(partial(avfkit.iwae, key=jr.key(0), num_samples=1))  # exact of any drawn path
    for model in (lds, from_dynamax(params)):
        energy = run(model, avfkit.KalmanSmoother(), xs)
        np.testing.assert_allclose(-energy, theirs, rtol=0, atol=1e-9)
    other = run(lds, avfkit.KalmanSmoother(), xs + 0.1)
    assert abs(other + theirs) > 1e-3


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        (
            "dynamics",
            {"input_weights": jnp.ones((3, 2))},
            "params.dynamics.input_weights has shape (3, 2); expected no inputs, which an LDS does "
            "not have.",
        ),
        (
            "dynamics",
            {"weights": jnp.ones((5, 3, 3))},
            "params.dynamics.weights has shape (5, 3, 3); expected 2 axes, the same at every step.",
        ),
        (
            "dynamics",
            {"cov": lambda t: t},
            "params.dynamics.cov is a function; expected 2 axes, the same at every step.",
        ),
        (
            "emissions",
            {"cov": jnp.eye(4).at[0, 1].set(0.5)},
            "params.emissions.cov holds 0.5 off its diagonal; expected independent noise of the "
            "entries, as LinearGaussian has. Rotate x by the eigenvectors first.",
        ),
        (
            "emissions",
            {"cov": jnp.ones((7, 4, 4))},
            "params.emissions.cov has shape (7, 4, 4); expected (4, 4) or (4,), the same at every "
            "step.",
        ),
        (
            "dynamics",
            {"cov": -jnp.eye(3)},
            "Q is not positive definite (smallest eigenvalue -1); expected a covariance.",
        ),
    ],
)
def test_what_an_lds_cannot_hold_is_refused(part, changes, message, params):
    broken = params._replace(**{part: getattr(params, part)._replace(**changes)})
    with pytest.raises(ValueError) as error:
        from_dynamax(broken)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("name", "found"), [("vrnn-gaussian", "VRNN"), ("lds-mlp", "LDS with emission Conditional")]
)
def test_other_models_are_refused(name, found):
    with pytest.raises(TypeError) as error:
        to_dynamax(eqx.filter_eval_shape(MODELS[name], jr.key(0)))
    assert str(error.value) == (
        "to_dynamax needs a model with linear-Gaussian latent dynamics (a subclass of "
        f"AbstractLatentLDS) and a LinearGaussian emission; {found} is not one."
    )


def test_the_extra_is_named(lds, monkeypatch):
    monkeypatch.setitem(sys.modules, "dynamax.linear_gaussian_ssm.inference", None)
    with pytest.raises(ImportError) as error:
        to_dynamax(lds)
    assert str(error.value) == "to_dynamax() needs dynamax: pip install 'avfkit[interop]'."
