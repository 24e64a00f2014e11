"""The explorer's numbers against plain loops over plain numbers."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avfkit_widgets import ExplorerState, evaluate, explorer_arrays, summary
from avfkit_widgets._figures import (
    CLIP,
    COEFFICIENT,
    MAX_ITERATIONS,
    STATE_NOISE,
    STEP_SIZE,
    STEPS,
    explorer_draws,
    format_nats,
    steady_variance,
)

SNRS = (0.01, 0.2, 2.0, 17.0, 100.0)
MASKS = ((25, 10), (1, 60), (1, 5), (55, 30), (60, 1), (20, 0))


def naive_kalman(x, seen, r):
    """The textbook filter: mean, variance and log p(x_t | x_<t), one step after the other."""
    mean, variance, rows = 0.0, 1.0, []
    for t in range(STEPS):
        if t > 0:
            mean, variance = COEFFICIENT * mean, COEFFICIENT**2 * variance + STATE_NOISE
        log_density = 0.0
        if seen[t]:
            total = variance + r
            log_density = -0.5 * (math.log(2 * math.pi * total) + (x[t] - mean) ** 2 / total)
            gain = variance / total
            mean, variance = mean + gain * (x[t] - mean), (1 - gain) * variance
        rows.append((mean, variance, log_density))
    return np.array(rows).T


def naive_steady(r):
    """Iterate the Riccati recursion until it rests."""
    variance = 1.0
    for _ in range(2000):
        prediction = COEFFICIENT**2 * variance + STATE_NOISE
        variance = prediction * r / (prediction + r)
    return variance


def naive_descent(x, seen, r, iterations):
    """Variational filtering EM with the gradients of F_t written out."""
    unit = math.sqrt(naive_steady(r))
    noise, mean, variance, rows = r / unit**2, 0.0, 1.0 / unit**2, []
    for t in range(STEPS):
        if t > 0:
            mean = COEFFICIENT * mean
            variance = COEFFICIENT**2 * variance + STATE_NOISE / unit**2
        prior_mean, prior_var, energy = mean, variance, 0.0
        if seen[t]:
            log_var = math.log(prior_var)
            for _ in range(iterations):
                v = math.exp(log_var)
                by_mean = (mean - prior_mean) / prior_var + (mean - x[t] / unit) / noise
                by_log_var = (v / prior_var + v / noise - 1) / 2
                mean -= STEP_SIZE * min(max(by_mean, -CLIP), CLIP)
                log_var -= STEP_SIZE * min(max(by_log_var, -CLIP), CLIP)
            variance = math.exp(log_var)
            error = (x[t] - unit * mean) ** 2 + unit**2 * variance
            energy = 0.5 * (math.log(2 * math.pi * r) + error / r)
            ratio, shift = variance / prior_var, (mean - prior_mean) ** 2 / prior_var
            energy += 0.5 * (ratio - 1 - math.log(ratio) + shift)
        rows.append((unit * mean, unit**2 * variance, energy))
    return np.array(rows).T


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("snr", SNRS)
def test_arrays_equal_the_plain_loops(snr, mask):
    latent, noise = explorer_draws()
    x = latent + noise / math.sqrt(snr)
    steps = np.arange(1, STEPS + 1)
    seen = (steps < mask[0]) | (steps >= sum(mask))
    mean, variance, log_density = naive_kalman(x, seen, 1 / snr)
    for iterations in (0, 1, 3, MAX_ITERATIONS):
        arrays = evaluate(ExplorerState(snr, *mask, iterations))
        q_mean, q_variance, energy = naive_descent(x, seen, 1 / snr, iterations)
        expected = (x, seen, mean, variance, q_mean, q_variance, energy, log_density)
        for found, wanted in zip(arrays, (*expected, energy + log_density), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)


def test_the_data_does_not_move():
    latent, noise = explorer_draws()
    assert latent[:3].tolist() == [1.789, 1.835, 1.774]
    assert noise[-1] == explorer_draws()[1][-1]
    assert abs(np.std(noise) - 1) < 0.15


@pytest.mark.parametrize("snr", SNRS)
def test_steady_variance_is_where_the_riccati_recursion_rests(snr):
    assert float(steady_variance(jnp.asarray(snr))) == pytest.approx(naive_steady(1 / snr), 1e-12)


@pytest.mark.parametrize("snr", SNRS)
def test_no_iteration_is_the_prior_and_many_are_kalman(snr):
    first = evaluate(ExplorerState(snr, 25, 10, 0))
    np.testing.assert_allclose(first.approximate_mean, 0, atol=1e-12)
    np.testing.assert_allclose(first.approximate_var, 1, atol=1e-12)
    last = evaluate(ExplorerState(snr, 25, 10, MAX_ITERATIONS))
    assert abs(np.sum(last.gap)) / 50 < 1e-3
    assert np.max(np.abs(last.approximate_mean - last.exact_mean)) < 0.02


@pytest.mark.parametrize("snr", SNRS)
def test_more_iterations_close_the_gap(snr):
    totals = [np.sum(evaluate(ExplorerState(snr, 25, 10, k)).gap) for k in range(31)]
    assert np.all(np.diff(totals) < 1e-3)


def test_hidden_steps_cost_nothing_and_leave_the_prior():
    arrays = evaluate(ExplorerState(2.0, 25, 10, 2))
    hidden = arrays.observed == 0
    assert hidden.tolist() == [25 <= t < 35 for t in range(1, STEPS + 1)]
    assert np.all(arrays.gap[hidden] == 0) and np.all(arrays.free_energy[hidden] == 0)
    widths = arrays.exact_var[23:34]
    assert np.all(np.diff(widths) > 0)


def test_no_move_recompiles():
    traces = []

    def counted(*values):
        traces.append(values)
        return explorer_arrays(*values)

    jitted = jax.jit(counted)
    for snr, start, length, iterations in [(0.5, 1, 0, 0), (50.0, 20, 30, 30), (2.0, 60, 1, 7)]:
        jitted(*(jnp.asarray(value) for value in (snr, start, length, iterations)))
    assert len(traces) == 1


def test_the_default_state_makes_the_point():
    state = ExplorerState()
    assert summary(state, evaluate(state)) == (
        "At SNR 2, 2 iterations per step leave the approximate filter 0.354 nats per observed step "
        "behind the exact one (17.7 nats in all); steps 25 to 34 are hidden."
    )


@pytest.mark.parametrize(
    ("state", "part"),
    [
        (ExplorerState(0.0316, 1, 0, 0), "At SNR 0.0316, 0 iterations per step leave the"),
        (ExplorerState(2.0, 1, 0, 1), "At SNR 2, 1 iteration per step leaves the"),
        (ExplorerState(2.0, 1, 0, 1), "; no step is hidden."),
        (ExplorerState(2.0, 60, 9, 1), "; step 60 is hidden."),
        (ExplorerState(2.0, 55, 60, 1), "; steps 55 to 60 are hidden."),
        (ExplorerState(2.0, 1, 60, 1), "Every step is hidden: both filters only predict"),
    ],
)
def test_summary_names_what_is_hidden(state, part):
    assert part in summary(state, evaluate(state))


def test_nats_are_written_without_minus_zero():
    values = (-0.0001, 0.0004, -0.25, 3.14159, 17.6666)
    assert [format_nats(v) for v in values] == ["0.000", "0.000", "-0.250", "3.14", "17.7"]
