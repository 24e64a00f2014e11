"""Natural-gradient steps against the exact optimum of quadratic free energies."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit import DiagonalGaussian
from avfkit._inference import StepProblem
from avfkit.inference import natural_gradient
from tests.helpers import MODELS, OBS

CURVATURE, CENTRE = jnp.array([0.25, 1.0, 400.0]), jnp.array([3.0, -1.0, 0.2])
FAR = 1e6  # a trust that is never reached


def quadratic(q):
    """E_q of a diagonal quadratic, less the entropy of q."""
    distance = (q.mean - CENTRE) ** 2 + jnp.exp(q.log_var)
    return 0.5 * jnp.sum(CURVATURE * distance - q.log_var)


def descend(optimizer, q, steps, free_energy=quadratic):
    state = optimizer.init(q)
    for _ in range(steps):
        change, state = optimizer.update(jax.grad(free_energy)(q), state, q)
        q = jax.tree.map(jnp.add, q, change)
    return q


START = DiagonalGaussian(jnp.zeros(3), jnp.array([0.0, 0.5, -1.0]))


def test_a_full_step_finds_the_optimum_of_a_quadratic():
    q = descend(natural_gradient(1.0, trust=FAR), START, 1)
    np.testing.assert_allclose(q.mean, CENTRE, rtol=1e-12)
    np.testing.assert_allclose(jnp.exp(-q.log_var), CURVATURE, rtol=1e-12)


@pytest.mark.parametrize("rate", [0.3, 0.7])
def test_the_precision_goes_the_share_of_its_way(rate):
    q = descend(natural_gradient(rate, trust=FAR), START, 1)
    expected = (1 - rate) * jnp.exp(-START.log_var) + rate * CURVATURE
    np.testing.assert_allclose(jnp.exp(-q.log_var), expected, rtol=1e-12)
    slope = CURVATURE * (START.mean - CENTRE)
    np.testing.assert_allclose(q.mean, START.mean - rate * slope / expected, rtol=1e-12)


def test_units_of_the_latent_do_not_matter():
    scale = jnp.array([1e-3, 1.0, 1e3])

    def rescaled(q):
        return quadratic(DiagonalGaussian(q.mean / scale, q.log_var - 2 * jnp.log(scale)))

    start = DiagonalGaussian(START.mean * scale, START.log_var + 2 * jnp.log(scale))
    q, other = (
        descend(natural_gradient(0.3), START, 3),
        descend(natural_gradient(0.3), start, 3, rescaled),
    )
    np.testing.assert_allclose(other.mean, q.mean * scale, rtol=1e-9)


def test_nothing_moves_farther_than_it_is_trusted():
    q = descend(natural_gradient(0.5, trust=0.5), START, 1)
    free = descend(natural_gradient(0.5, trust=FAR), START, 1)
    spread = jnp.exp(0.5 * START.log_var)
    move, wish = (q.mean - START.mean) / spread, (free.mean - START.mean) / spread
    np.testing.assert_allclose(move, 0.5 * wish / jnp.linalg.norm(wish), rtol=1e-12)
    np.testing.assert_allclose(jnp.linalg.norm(move), 0.5, rtol=1e-12)
    np.testing.assert_allclose(q.log_var[2] - START.log_var[2], -1.0, rtol=1e-12)


def test_a_curvature_below_zero_counts_as_zero():
    hill = DiagonalGaussian(jnp.zeros(1), jnp.array([-10.0]))
    q = DiagonalGaussian(jnp.zeros(1), jnp.zeros(1))
    optimizer = natural_gradient(0.5)
    change, _ = optimizer.update(hill, optimizer.init(q), q)
    np.testing.assert_allclose(jnp.exp(-change.log_var), 0.5, rtol=1e-12)


def test_the_rate_may_follow_a_schedule():
    q = descend(
        natural_gradient(lambda count: jnp.where(count == 0, 1.0, 0.25), trust=FAR), START, 2
    )
    expected = descend(
        natural_gradient(0.25, trust=FAR), descend(natural_gradient(1.0, trust=FAR), START, 1), 1
    )
    np.testing.assert_allclose(q.log_var, expected.log_var, rtol=1e-12)


def test_variational_em_finds_the_exact_posterior_of_a_linear_step():
    """Cubature has no noise, so the fixed point is the best diagonal Gaussian."""
    model = MODELS["lds"](jr.key(0))
    state = model.init()
    x = jnp.arange(float(OBS))
    problem = StepProblem(model, state, model.prior(state), x, jnp.ones(OBS, bool), 1.0)
    update = avfkit.GradientUpdate(natural_gradient(0.5))
    filter_ = avfkit.IterativeFilter(update, 60, avfkit.Cubature())
    q, energies, _ = filter_.posterior(None, problem, key=jr.key(1))
    matrix = model.emission.matrix / jnp.exp(0.5 * model.emission.log_var)[:, None]
    precision = jnp.linalg.inv(problem.prior.covariance) + matrix.T @ matrix
    residual = (x - model.emission.bias) / jnp.exp(0.5 * model.emission.log_var)
    weighted = jnp.linalg.solve(problem.prior.covariance, problem.prior.mean) + matrix.T @ residual
    np.testing.assert_allclose(jnp.exp(-q.log_var), jnp.diag(precision), rtol=1e-6)
    np.testing.assert_allclose(q.mean, jnp.linalg.solve(precision, weighted), rtol=1e-6)
    assert energies[-1] < energies[0] - 0.1


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"rate": 0.0}, "rate is 0.0; expected a number in (0, 1], or a schedule."),
        ({"rate": 1.5}, "rate is 1.5; expected a number in (0, 1], or a schedule."),
        ({"rate": 0.5, "trust": 0.0}, "trust is 0.0; expected a positive finite number."),
        ({"rate": 0.5, "trust": float("nan")}, "trust is nan; expected a positive finite number."),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError) as refused:
        natural_gradient(arguments.pop("rate"), **arguments)
    assert str(refused.value) == message


def test_other_families_are_refused():
    q = avfkit.FullGaussian.from_covariance(jnp.zeros(2), jnp.eye(2))
    with pytest.raises(TypeError) as refused:
        natural_gradient(0.5).init(q)
    expected = "natural_gradient was given a FullGaussian; expected DiagonalGaussian."
    assert str(refused.value) == expected
