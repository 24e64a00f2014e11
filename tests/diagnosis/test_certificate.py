"""The certificate tells exact methods from others, and by how many nats."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import avfkit
from tests.helpers import INFERENCES, LATENT, OBS, serves
from tests.reference import block, dense_posterior

KEY = jr.key(0)
PROBLEMS = avfkit.linear_gaussian_problems(key=KEY, shapes=((LATENT, OBS, 6),), snrs=(0.3, 3.0))
EXACT = {"kalman", "marginal-kalman", "kalman-smoother"}


def certified(method, num_draws=2, **options):
    return avfkit.certify(method, key=KEY, problems=PROBLEMS, num_draws=num_draws, **options)


def dense(problem, upto=None):
    model, xs = problem.model, problem.xs
    emission = model.emission
    arrays = (emission.matrix, emission.bias, np.exp(np.asarray(emission.log_var)))
    return dense_posterior(model.chain, *arrays, xs, problem.observed, upto=upto)


@pytest.mark.parametrize("name", [name for name in INFERENCES if serves(name, "lds")])
def test_every_method_is_told_how_far_it_is(name):
    found = certified(lambda model, *, key: INFERENCES[name](model, key))
    assert found.passed == (name in EXACT)
    assert np.isfinite(found.errors).all() and (found.errors > -1e-12).all()
    assert np.nanmax(found.leak, initial=0.0) < 1e-9  # a filter does not look ahead
    if name in EXACT:
        assert found.errors.max() < 1e-10
        assert str(found).splitlines()[0].endswith(": passes (tolerance 0.01)")
    else:
        assert f"fails by {found.excess:.3g} nats per step" in str(found)
    if found.target != "p(z_t | z_t-1, x_t)" and name in EXACT:
        np.testing.assert_allclose(found.gap, 0.0, atol=1e-9)


class Potential(eqx.Module):
    """The likelihood of x_t as a Gaussian over z_t, which needs at least as many x as z."""

    emission: avfkit.nn.LinearGaussian

    def __call__(self, x):
        matrix, bias, log_var = self.emission.matrix, self.emission.bias, self.emission.log_var
        weighed = matrix.T * jnp.exp(-log_var)
        cov = jnp.linalg.inv(weighed @ matrix)
        return avfkit.FullGaussian.from_covariance(cov @ weighed @ (x - bias), cov)


@pytest.mark.parametrize("kind", [avfkit.StructuredFilter, avfkit.StructuredSmoother])
def test_structured_methods_with_exact_potentials_pass(kind):
    found = certified(lambda model, *, key: kind(Potential(model.emission)))
    assert found.passed and found.errors.max() < 1e-9


def test_gradient_descent_passes_once_it_has_arrived():
    def vfem(count):
        update = avfkit.GradientUpdate(optax.adam(0.05), avfkit.FullGaussian)
        stop = jnp.array(count)  # one compilation
        return avfkit.IterativeFilter(update, 300, avfkit.Cubature(), stop)

    assert certified(vfem(300)).passed
    assert certified(vfem(10)).excess > 0.1


class Wrong(avfkit.AbstractScanFilter):
    """The Kalman filter, with its variance multiplied."""

    factor: jax.Array
    through_past: bool = False

    def init(self, model):
        return None

    def posterior(self, carry, problem, *, key):
        q, iterations, carry = avfkit.KalmanFilter().posterior(carry, problem, key=key)
        q = avfkit.FullGaussian.from_covariance(q.mean, self.factor * q.covariance)
        return q, iterations, carry


def test_a_wrong_variance_costs_what_it_must():
    found = certified(Wrong(jnp.array(2.0)))
    for problem, steps in zip(PROBLEMS, found.kl, strict=True):
        seen = np.asarray(problem.observed).any(axis=1)
        np.testing.assert_allclose(steps, seen * LATENT * (1.0 - math.log(2.0)) / 2, atol=1e-12)
    assert not found.passed
    np.testing.assert_allclose(found.excess, found.errors.max() - 0.01)


class Hindsight(avfkit.AbstractInference):
    """Claims to filter, and knows the whole sequence."""

    joint: bool = False
    stepper: None = None

    def infer(self, model, xs, observed=None, *, key, kl_weight=1.0):
        filter = avfkit.KalmanFilter()
        trace = avfkit.MarginalFilter(filter).infer(model, xs, observed, key=key)
        potentials = filter.potentials(model, xs, observed)
        known = avfkit.kalman.smoother(model.chain, potentials)
        beliefs = jax.vmap(avfkit.FullGaussian.from_covariance)(known.mean, known.cov)
        return eqx.tree_at(lambda t: t.posterior, trace, beliefs)


def test_a_look_at_the_future_is_seen_and_weighed():
    found = certified(Hindsight())
    problem = PROBLEMS[0]
    mean, cov, _ = dense(problem)
    for t, nats in enumerate(found.kl[0]):
        past = [block(part, t, LATENT) for part in dense(problem, upto=t + 1)[:2]]
        now = block(mean, t, LATENT), block(cov, t, LATENT)
        q, p = (avfkit.FullGaussian.from_covariance(*map(jnp.array, pair)) for pair in (now, past))
        np.testing.assert_allclose(nats, avfkit.kl(q, p), atol=1e-9)
    assert (found.leak > 0.01).all() and not found.passed
    assert found.kl[0][-1] < 1e-9  # the last step has no future


def test_calibration_is_the_error_in_units_of_the_spread():
    shape = {"shapes": ((LATENT, OBS, 6),), "missing": 0.0}
    many = avfkit.linear_gaussian_problems(key=jr.key(1), snrs=[1.0] * 60, **shape)
    exact, narrow = (
        avfkit.certify(Wrong(jnp.array(factor)), key=KEY, problems=many, num_draws=2).calibration
        for factor in (1.0, 0.5)
    )
    error = exact.std() / math.sqrt(len(exact))
    assert abs(exact.mean() - 1.0) < 3.0 * error < 0.4
    np.testing.assert_allclose(narrow, 2.0 * exact)


def test_problems_are_what_they_say():
    emission = PROBLEMS[1].model.emission
    noise = PROBLEMS[1].model.chain.noise_cov
    signal = jnp.diagonal(emission.matrix @ noise @ emission.matrix.T).mean()
    assert 0.5 < PROBLEMS[1].snr * jnp.exp(emission.log_var).mean() / signal < 1.5
    assert [p.label.split(", ")[:4] for p in PROBLEMS] == [
        ["latent 3", "obs 4", "6 steps", f"SNR {snr}"] for snr in (0.3, 3)
    ]
    assert all(p.observed[0].all() for p in PROBLEMS)


def test_what_cannot_be_certified_is_refused():
    with pytest.raises(ValueError, match=r"^num_draws is 1; expected at least 2\.$"):
        avfkit.certify(avfkit.KalmanFilter(), key=KEY, num_draws=1)
    with pytest.raises(ValueError, match=r"^problems is empty; expected at least one\.$"):
        avfkit.certify(avfkit.KalmanFilter(), key=KEY, problems=[])
    message = (
        r"^method is, or makes, a LDS; expected an AbstractInference, or a function build\(model, "
        r"\*, key\) that makes one\.$"
    )
    with pytest.raises(TypeError, match=message):
        certified(lambda model, *, key: model)
    with pytest.raises(ValueError, match=r"^snrs\[0\] is 0\.0; expected a positive finite"):
        avfkit.linear_gaussian_problems(key=KEY, snrs=[0.0])
    with pytest.raises(ValueError, match=r"^missing is 1\.0; expected a probability below 1\.$"):
        avfkit.linear_gaussian_problems(key=KEY, missing=1.0)
