"""The stream explorer without a browser: numbers, words, errors."""

import jax.random as jr
import numpy as np
import pytest
import traitlets

import avfkit
from avfkit_widgets import StreamExplorer
from small_explorers import XS, stream_explorer, turning

KEY = jr.key(5)


@pytest.fixture(scope="module")
def explorer():
    return stream_explorer()


def test_a_stream_is_filtered_as_by_avfkit(explorer):
    found, seen = explorer._arrays(), explorer.table._gaps["some"]
    kalman = avfkit.MarginalFilter(avfkit.KalmanFilter())
    trace = kalman.infer(turning(2), XS[:10, :2], seen, key=KEY)
    np.testing.assert_allclose(found["energy"], trace.free_energy, atol=1e-9)
    np.testing.assert_allclose(found["posterior"].mean(1), trace.posterior.mean[:, 0], atol=1e-9)
    half = 1.6449 * np.sqrt(trace.posterior.variance[:, 0])
    np.testing.assert_allclose(np.ptp(found["posterior"], axis=1), 2 * half, rtol=1e-9)
    np.testing.assert_array_equal(found["seen"], seen[:, 0])
    assert found["forecast"].shape == (11, 3, 2)


def test_a_forecast_does_not_know_what_comes(explorer):
    some, nothing = (explorer.table.arrays((name,)) for name in ("some", "nothing"))
    np.testing.assert_array_equal(some["forecast"][:4], nothing["forecast"][:4])
    wide = np.ptp(some["forecast"][5, 0]), np.ptp(nothing["forecast"][5, 0])
    assert wide[0] > wide[1]


def test_what_came_is_told_beside_what_was_expected(explorer):
    arrays = {
        "data": np.array([0.5, 1.25, -0.5]),
        "seen": np.array([1.0, 0.0, 1.0]),
        "forecast": np.tile([[[-1.0, 1.0]]], (4, 3, 1)),
        "energy": np.array([0.75, 0.0, 1.5]),
    }
    values = dict(gap="some", step=1)
    assert explorer.table.sentence(values, arrays) == (
        "At step 1 of 3, -1.00 to 1.00 was expected and 0.50 came; the step costs 0.750 nats. "
        "Of 1 values seen so far, 1 lay in their 90 % interval."
    )
    arrays["data"][2] = 4.0
    assert explorer.table.sentence(values | dict(step=3), arrays).endswith(
        "4.00 came; the step costs 1.50 nats. Of 2 values seen so far, 1 lay in their 90 % "
        "interval."
    )
    assert " was expected and it did not come; " in explorer.table.sentence(
        values | dict(step=2), arrays
    )


ALL = np.ones((10, 2), bool)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(gaps={}), "gaps is empty; expected at least one pattern, such as all observed."),
        (
            dict(gaps={"a": ALL[:3]}),
            "gaps['a'] is bool of shape (3, 2); expected bool of shape (10, 2), as xs.",
        ),
        (
            dict(gaps={"a": 1.0 * ALL}),
            "gaps['a'] is float64 of shape (10, 2); expected bool of shape (10, 2), as xs.",
        ),
        (dict(horizon=0), "horizon is 0; expected at least 1."),
    ],
)
def test_bad_arguments_are_named(explorer, options, message):
    online = explorer.table._given[0]
    given = dict(gaps={"a": ALL}, horizon=2, key=KEY) | options
    with pytest.raises(ValueError) as error:
        StreamExplorer(online, XS[:10, :2], **given)
    assert str(error.value) == message


def test_a_gap_that_is_not_offered_is_refused(explorer):
    with pytest.raises(traitlets.TraitError, match="gap must be one of 'nothing', 'some', found"):
        explorer.gap = "all"
