"""The gap's terms against dense Gaussians, and by refinement where nothing is in closed form."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit import kalman
from tests.helpers import INFERENCES, LATENT, OBS, make, observations
from tests.reference import block, dense_posterior

KEY = jr.key(0)
LENGTH = 5
PROBLEM = avfkit.linear_gaussian_problems(key=KEY, shapes=((LATENT, OBS, LENGTH),), snrs=[1.0])[0]
MODEL, XS = PROBLEM.model, PROBLEM.xs
SEEN = np.arange(LENGTH)[:, None] != np.full((1, OBS), 3)


def split(inference, xs=XS, observed=SEEN, *, model=MODEL, **options):
    return avfkit.gap(model, inference, xs, observed, key=KEY, **options)


def dense():
    emission = MODEL.emission
    arrays = (emission.matrix, emission.bias, np.exp(np.asarray(emission.log_var)))
    return dense_posterior(MODEL.chain, *arrays, XS, SEEN)


def joint(conditionals):
    """Mean and covariance of the path of a chain, by writing every z_t out in the noises."""
    weights, noise = np.zeros((2, LENGTH * LATENT, LENGTH * LATENT))
    mean = np.zeros(LENGTH * LATENT)
    for t, (dynamics, bias, cov) in enumerate(conditionals):
        here, before = (slice(s * LATENT, (s + 1) * LATENT) for s in (t, t - 1))
        weights[here, here], noise[here, here], mean[here] = np.eye(LATENT), cov, bias
        if t > 0:
            weights[here] += dynamics @ weights[before]
            mean[here] += dynamics @ mean[before]
    return mean, weights @ noise @ weights.T


def causal(diagonal=False):
    """The best causal q of every step, from its precision."""
    m1, p1, a, b, q = map(np.asarray, MODEL.chain)
    matrix, weight = np.asarray(MODEL.emission.matrix), np.exp(-np.asarray(MODEL.emission.log_var))
    for t in range(LENGTH):
        dynamics, bias, noise = (a, b, q) if t > 0 else (0 * a, m1, p1)
        if not SEEN[t].any():
            yield dynamics, bias, noise
            continue
        precision = np.linalg.inv(noise) + matrix.T @ np.diag(weight) @ matrix
        cov = np.linalg.inv(precision)
        pull = matrix.T @ (weight * (np.asarray(XS[t]) - np.asarray(MODEL.emission.bias)))
        shrink = cov @ np.linalg.inv(noise)
        spread = np.diag(1.0 / np.diag(precision)) if diagonal else cov
        yield shrink @ dynamics, shrink @ bias + cov @ pull, spread


def divergence(q, p):
    """KL of two Gaussians given as mean and covariance."""
    shift, ratio = q[0] - p[0], np.linalg.solve(p[1], q[1])
    square = shift @ np.linalg.solve(p[1], shift)
    return 0.5 * (np.trace(ratio) + square - len(shift) - np.linalg.slogdet(ratio)[1])


FILTERING = divergence(joint(causal()), dense()[:2])
FAMILY = divergence(joint(causal(diagonal=True)), dense()[:2]) - FILTERING


def sums(found):
    return {term: float(getattr(found, term).sum(-1).mean()) for term in avfkit.diagnosis.TERMS}


def test_the_exact_causal_posterior_has_only_the_filtering_gap():
    found = sums(split(avfkit.KalmanFilter()))
    assert FILTERING > 0.1
    np.testing.assert_allclose(found.pop("filtering"), FILTERING, rtol=1e-9)
    np.testing.assert_allclose(list(found.values()), 0.0, atol=1e-9)


def test_particles_take_from_the_filtering_gap_what_they_save():
    found = split(avfkit.KalmanFilter(), num_samples=16)
    (saved, error), (left, _), (total, spread) = map(found.nats, ("sampling", "filtering", "total"))
    assert saved > 4 * error > 0 and left < FILTERING / SEEN.any(1).sum() / 2
    np.testing.assert_allclose(total * SEEN.any(1).sum(), FILTERING, rtol=1e-9)
    assert spread < 1e-9


@pytest.mark.parametrize(
    "exact", [avfkit.KalmanSmoother(), avfkit.MarginalFilter(avfkit.KalmanFilter())]
)
def test_exact_posteriors_have_no_gap(exact):
    np.testing.assert_allclose(split(exact).total, 0.0, atol=1e-9)


class Narrow(avfkit.AbstractScanFilter):
    """The best diagonal q, from its precision."""

    through_past: bool = False

    def init(self, model):
        return None

    def posterior(self, carry, problem, *, key):
        q, iterations, carry = avfkit.KalmanFilter().posterior(carry, problem, key=key)
        precision = jnp.linalg.inv(q.covariance)
        return avfkit.DiagonalGaussian(q.mean, -jnp.log(jnp.diag(precision))), iterations, carry


def test_the_best_diagonal_q_has_the_known_family_gap():
    found = sums(split(Narrow()))
    assert FAMILY > 0.05
    np.testing.assert_allclose(found["family"], FAMILY, rtol=1e-8)
    np.testing.assert_allclose(found["filtering"], FILTERING, rtol=1e-9)
    np.testing.assert_allclose(found["amortization"], 0.0, atol=1e-9)


OWN = INFERENCES["own"](MODEL, KEY)


def test_the_terms_add_up_to_the_gap_of_the_free_energy():
    found = split(OWN, num_draws=400)
    one = eqx.filter_jit(lambda key: avfkit.free_energy(MODEL, OWN, XS, SEEN, key=key))
    nats = np.array([one(key) for key in jr.split(jr.key(7), 400)]) + dense()[2]
    total, errors = found.total.sum(-1), (nats.std() / 20, found.total.sum(-1).std() / 20)
    assert abs(total.mean() - nats.mean()) < 4 * np.hypot(*errors) < 0.3 * nats.mean()
    parts = sum(getattr(found, term) for term in avfkit.diagnosis.TERMS)
    np.testing.assert_allclose(found.total, parts, atol=1e-12)
    np.testing.assert_allclose(np.asarray(found.total)[:, 3], 0.0, atol=1e-9)  # nothing seen


def test_mean_field_is_held_against_the_best_mean_field():
    smoother = INFERENCES["rnn-mf"](MODEL, KEY)
    mean, cov, _ = dense()
    own = smoother.path(MODEL, jnp.where(SEEN, XS, 0.0), jnp.asarray(SEEN)).chain
    total = divergence(joint(zip(*map(np.asarray, own), strict=True)), (mean, cov))
    precision, best = np.linalg.inv(cov), np.zeros_like(cov)
    for t in range(LENGTH):
        here = slice(t * LATENT, (t + 1) * LATENT)
        best[here, here] = np.linalg.inv(block(precision, t, LATENT))
    found = sums(split(smoother))
    assert SEEN[-1].all()
    np.testing.assert_allclose(found["family"], divergence((mean, best), (mean, cov)), rtol=1e-8)
    np.testing.assert_allclose(sum(found.values()), total, rtol=1e-8)


class Disguised(eqx.Module):
    """A linear emission that nobody recognises."""

    emission: avfkit.nn.LinearGaussian

    def __call__(self, z):
        return self.emission(z)


HIDDEN = eqx.tree_at(lambda m: m.emission, MODEL, Disguised(MODEL.emission))


def strayed(exact, found):
    """The terms that differ from the exact ones by more than their errors allow."""
    pairs = {term: (exact.nats(term), found.nats(term)) for term in avfkit.diagnosis.TERMS}
    limits = {t: 4 * np.hypot(e, s) + 0.02 for t, ((_, e), (_, s)) in pairs.items()}
    return [t for t, ((known, _), (nats, _)) in pairs.items() if not abs(known - nats) < limits[t]]


def test_refinement_finds_the_terms_without_closed_forms():
    exact = split(OWN, num_draws=32)
    found = split(OWN, num_draws=32, model=HIDDEN, num_iterations=100, num_particles=32)
    assert exact.exact and not found.exact
    assert not strayed(exact, found)


class Centred(eqx.Module):
    """Potentials around a linear guess, of half its spread and shifted."""

    matrix: jax.Array
    log_var: float

    def __call__(self, x):
        mean = self.matrix @ x + 0.3
        return avfkit.DiagonalGaussian(mean, jnp.full_like(mean, self.log_var))


GUESS = avfkit.StructuredSmoother(Centred(jnp.linalg.pinv(MODEL.emission.matrix), -1.0))


def test_mean_field_is_refined_to_what_is_exact():
    smoother = INFERENCES["rnn-mf"](MODEL, KEY)
    found = split(smoother, model=HIDDEN, num_draws=512, num_particles=8)
    assert not strayed(split(smoother), found)
    assert found.nats("family")[0] > 10 * found.nats("family")[1]


def test_diagonal_potentials_are_refined_within_their_family():
    found = split(GUESS)
    potentials = avfkit.KalmanSmoother().potentials(
        MODEL, jnp.where(SEEN, XS, 0.0), jnp.asarray(SEEN)
    )
    diagonal = potentials._replace(precision=potentials.precision * jnp.eye(LATENT))
    member = joint(zip(*map(np.asarray, kalman.conditionals(MODEL.chain, diagonal)), strict=True))
    worse = divergence(member, dense()[:2])
    assert not found.exact
    assert 0.0 < sums(found)["family"] < worse


def test_a_smoother_of_a_nonlinear_model_has_no_negative_part():
    model = make("lds-mlp", "own")[0]
    xs = avfkit.sample(model, LENGTH, key=jr.key(9))[0]
    found = split(GUESS, xs, None, model=model, num_samples=4)
    parts = {term: found.nats(term) for term in avfkit.diagnosis.TERMS}
    assert not [term for term, (nats, error) in parts.items() if nats < -3 * error]
    assert parts["amortization"][0] > 10 * parts["amortization"][1]
    assert parts["sampling"][0] > 0.0 == parts["filtering"][0]
    own = eqx.filter_jit(jax.vmap(lambda key: avfkit.free_energy(model, GUESS, xs, key=key)))
    swarm = eqx.filter_jit(avfkit.fivo)(model, OWN, xs, key=jr.key(5), num_samples=4000)
    total, errors = found.nats(), own(jr.split(jr.key(6), 400)).std() / 20 / LENGTH
    nats = float(own(jr.split(jr.key(6), 400)).mean() - swarm) / LENGTH
    assert abs(total[0] - nats) < 4 * np.hypot(total[1], errors) < 0.5 * nats


def test_sequences_are_mapped_and_other_models_served():
    model, own = make("vrnn-gaussian", "own")
    batch = jnp.stack([observations("vrnn-gaussian", 3, seed) for seed in range(3)])
    numbers = dict(num_draws=2, num_iterations=2, num_particles=2)
    one = eqx.filter_jit(lambda x, key: avfkit.gap(model, own, x, key=key, **numbers))
    found = jax.vmap(one)(batch, jr.split(KEY, 3))
    assert found.total.shape == (3, 2, 3)
    per_sequence = np.asarray(found.total).sum(-1).mean(-1)
    mean, error = found.nats()
    np.testing.assert_allclose(mean, per_sequence.mean() / 3)
    np.testing.assert_allclose(error, per_sequence.std(ddof=1) / np.sqrt(3) / 3)
    assert "refined q and estimated log p(x)" in str(found)


class Pathless(avfkit.AbstractInference):
    """Neither a filter nor a smoother that anyone knows."""

    joint: bool = True
    stepper: None = None

    def infer(self, model, xs, observed=None, *, key, kl_weight=1.0):
        raise NotImplementedError


@pytest.mark.parametrize("smoother", ["rnn-ar-nl", "rnn-ar-l"])
def test_smoothers_of_recurrent_models_are_split(smoother):
    model, smoother = make("vrnn-gaussian", smoother)
    numbers = dict(num_draws=8, num_iterations=50, num_particles=8)
    found = split(smoother, observations("vrnn-gaussian", 3), None, model=model, **numbers)
    parts = [found.nats(term) for term in avfkit.diagnosis.TERMS]
    assert parts[0][0] > 2 * parts[0][1] and parts[1][0] > -3 * parts[1][1]
    np.testing.assert_array_equal(found.filtering, 0.0)


def test_what_cannot_be_split_is_refused():
    with pytest.raises(ValueError, match=r"^num_draws is 1; expected at least 2\.$"):
        split(OWN, num_draws=1)
    message = r"^term is 'all'; expected one of amortization, family, sampling, filtering or total"
    with pytest.raises(ValueError, match=message):
        split(avfkit.KalmanFilter()).nats("all")
    model, _ = make("vrnn-gaussian", "own")
    message = (
        r"^gap cannot split Pathless on VRNN: the model is not linear and Gaussian, and the method "
        r"is neither a filter, whose q_t could be refined step by step, nor a smoother with a path "
        r"of its own, a GaussMarkov for instance\. `evaluate\(\.\.\., num_samples=\.\.\.\)` gives "
        r"its whole gap to a tighter bound\."
    )
    with pytest.raises(TypeError, match=message):
        split(Pathless(), observations("vrnn-gaussian", 3), None, model=model)
