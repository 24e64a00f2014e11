"""A stream goes the way of the batch, keeps its size, and goes on in another process."""

import os
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit._prediction import inferred
from avfkit.train import CheckpointError
from tests.helpers import EVERY, FILTER_PAIRS, make, observations, random_lds

KEY = jr.key(3)
LENGTH = 5

FIELDS = ("prior", "posterior", "z", "reconstruction", "kl", "iterations")

# A filter with a memory, and one whose `infer` is more than a scan of its steps; a belief is below.
# The long run and `benchmarks/contract.py` stream every pair; here every filter is traced.
PAIRS = FILTER_PAIRS if EVERY else [("lds-mlp", "own-recurrent"), ("vrnn-gaussian", "avf")]


def gappy(model, length=LENGTH):
    xs = np.array(observations(model, length))
    xs[1], xs[3, 2] = np.nan, np.nan
    return xs


def stream(online, state, xs):
    steps = []
    for x in xs:
        state, step = online.step(state, x)
        steps.append(step)
    return state, jax.tree.map(lambda *leaves: np.stack(leaves), *steps)


def same(a, b, **tolerance):
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if jnp.issubdtype(left.dtype, jax.dtypes.prng_key):
            left, right = jr.key_data(left), jr.key_data(right)
        np.testing.assert_allclose(left, right, **(tolerance or {"rtol": 0, "atol": 0}))


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_a_stream_goes_the_way_of_the_batch(pair):
    model, inference = make(*pair)
    xs = gappy(pair[0])
    online = avfkit.OnlineFilter(model, inference)
    first = online.init(key=KEY)
    state, steps = stream(online, first, xs)
    trace = eqx.filter_jit(inference.infer)(model, xs, key=KEY)
    for name in FIELDS:
        same(getattr(steps, name), getattr(trace, name), rtol=1e-9, atol=1e-10)
    assert state.steps == LENGTH and steps.reconstruction[1] + steps.kl[1] == 0.0
    assert jax.tree.map(jax.typeof, state) == jax.tree.map(jax.typeof, first)  # weak types, too


@pytest.mark.parametrize("pair", FILTER_PAIRS, ids="-".join)
def test_a_stream_of_any_filter_keeps_its_size(pair):
    model, inference = make(*pair)
    online = avfkit.OnlineFilter(model, inference)
    first = eqx.filter_eval_shape(online.init, key=KEY)
    state, now = eqx.filter_eval_shape(online.step, first, np.zeros(model.obs_size))
    kinds = [[(a.shape, a.dtype) for a in jax.tree.leaves(tree)] for tree in (first, state)]
    assert kinds[0] == kinds[1] and jax.tree.structure(first) == jax.tree.structure(state)
    assert now.posterior.mean.shape == (model.latent_size,) and now.kl.shape == ()


def kalman(obs=3, inference=None):
    lds = random_lds(4, latent=2, obs=obs)
    return avfkit.OnlineFilter(lds, inference or avfkit.MarginalFilter(avfkit.KalmanFilter()))


@pytest.fixture(scope="module")
def caught_up():
    """A Kalman filter that has seen five steps, one of them missing."""
    online = kalman()
    xs = np.random.default_rng(1).normal(size=(LENGTH, 3))
    xs[2], xs[4, 1] = np.nan, np.nan
    return online, xs, *online.run(online.init(key=KEY), xs)


def test_a_stretch_at_once_equals_its_steps_and_the_batch(caught_up):
    online, xs, state, steps = caught_up
    found = stream(online, online.init(key=KEY), xs)
    same(found, (state, steps), rtol=1e-9, atol=1e-12)
    trace = eqx.filter_jit(online.inference.infer)(online.model, xs, key=KEY)
    for name in FIELDS:
        same(getattr(steps, name), getattr(trace, name), rtol=1e-9, atol=1e-10)


def test_one_compilation_serves_every_step_mask_and_stream(caught_up):
    online, xs, state, _ = caught_up
    traces = []

    @eqx.filter_jit
    def step(state, x, observed):
        traces.append(1)
        return online.step(state, x, observed)

    nothing = np.zeros(3, bool)
    for start in (state, online.init(key=jr.key(9))):
        for x, observed in [(xs[0], ~nothing), (xs[2], ~nothing), (xs[0], nothing)]:
            start, now = step(start, x, observed)
    assert len(traces) == 1
    same(now.posterior, now.prior)
    same(step(state, xs[0], nothing), online.step(state, np.full(3, np.nan)))


def test_streams_are_batched_by_vmap(caught_up):
    online, xs, _, _ = caught_up
    both = np.stack([xs, xs[::-1]])
    states = jax.vmap(lambda key: online.init(key=key))(jr.split(KEY))
    for t in range(2):
        states, now = jax.vmap(online.step)(states, both[:, t])
    for i, key in enumerate(jr.split(KEY)):
        state, alone = stream(online, online.init(key=key), both[i, :2])
        batched = jax.tree.map(lambda leaf, i=i: leaf[i], (states, now))
        same(batched, (state, jax.tree.map(lambda a: a[-1], alone)), rtol=1e-9, atol=1e-12)


def test_expected_observations_come_from_the_means(caught_up):
    online, _, _, steps = caught_up
    matrix, bias = online.model.emission.matrix, online.model.emission.bias
    for found, belief in [(steps.prediction, steps.prior), (steps.estimate, steps.posterior)]:
        np.testing.assert_allclose(found.mean, belief.mean @ matrix.T + bias, rtol=1e-9)


def test_futures_start_where_a_continuation_does(caught_up):
    inference = avfkit.Rematerialised(avfkit.KalmanFilter())
    online, xs = kalman(inference=inference), caught_up[1]
    state, _ = online.run(online.init(key=KEY), xs)
    _, _, reached = inferred(online.model, inference, xs, None, key=KEY)
    same(state.loop[0], reached, rtol=1e-9)
    futures = online.predict(state, 2, key=KEY, num_samples=2)
    expected = avfkit.sample(online.model, 2, key=jr.split(KEY)[1], state=state.loop[0])
    same(jax.tree.map(lambda leaf: leaf[1], futures), expected, rtol=1e-9)


def test_futures_of_a_kalman_filter_are_the_exact_prediction(caught_up):
    online, xs, state, _ = caught_up
    futures, latents = online.predict(state, 2, key=KEY, num_samples=4_000)
    assert futures.shape == (4_000, 2, 3)
    unseen = np.concatenate([xs, np.full((2, 3), np.nan)])
    belief = online.inference.infer(online.model, unseen, key=KEY).posterior
    for t in range(2):
        scale = 5 * np.sqrt(np.diag(belief.covariance[LENGTH + t]) / 4_000)
        assert (np.abs(latents[:, t].mean(0) - belief.mean[LENGTH + t]) < scale).all()
        np.testing.assert_allclose(jnp.cov(latents[:, t].T), belief.covariance[-2 + t], rtol=0.2)


CONTINUE = """
import sys
import numpy as np
from tests.test_streaming import kalman
online = kalman()
state = online.load(sys.argv[1])
for t, x in enumerate(np.load(sys.argv[2])):
    state, now = online.step(state, x)
    online.save(f"{sys.argv[3]}-{t}", state)
"""


def test_a_saved_stream_goes_on_bit_for_bit_in_another_process(tmp_path, caught_up):
    online, xs, _, _ = caught_up
    online.save(tmp_path / "start", stream(online, online.init(key=KEY), xs[:2])[0])
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parents[1]}"}
    environment["JAX_ENABLE_X64"] = "1"

    def go_on(start, xs, name):
        np.save(tmp_path / f"{name}.npy", xs)
        paths = [str(tmp_path / part) for part in (start, f"{name}.npy", name)]
        subprocess.run([sys.executable, "-c", CONTINUE, *paths], env=environment, check=True)
        return online.load(tmp_path / f"{name}-{len(xs) - 1}")

    through = go_on("start", xs[2:], "through")
    same(go_on("through-0", xs[3:], "again"), through)
    same(stream(online, online.load(tmp_path / "start"), xs[2:])[0], through, rtol=1e-12)


def test_the_stream_of_another_filter_is_refused(tmp_path, caught_up):
    online, _, state, _ = caught_up
    path = tmp_path / "stream"
    online.save(path, state)
    same(online.load(path), state)
    other = eqx.tree_at(lambda o: o.model.emission.bias, online, replace_fn=lambda b: b + 1.0)
    found, expected = (avfkit.train.fingerprint(o.model) for o in (online, other))
    with pytest.raises(ValueError) as error:
        other.load(path)
    assert str(error.value) == (
        f"{path}: a stream of another model: its fingerprint is {found} in the file, expected "
        f"{expected}."
    )
    with pytest.raises(CheckpointError, match="not a checkpoint of avfkit"):
        online.load(Path(__file__))


def test_smoothers_are_refused():
    with pytest.raises(TypeError) as error:
        kalman(inference=avfkit.KalmanSmoother())
    assert str(error.value) == (
        "OnlineFilter needs a filter, which takes the observations one at a time; KalmanSmoother "
        "sees the whole sequence. Use IterativeFilter or DirectFilter; for a StructuredSmoother "
        "use StructuredFilter, for KalmanSmoother KalmanFilter, alone or in a MarginalFilter."
    )


@pytest.mark.parametrize(
    ("x", "observed", "message"),
    [
        (np.zeros(2), None, "x has shape (2,); expected (3,), one observation of a LDS."),
        (np.zeros(3), np.ones(2, bool), "observed has shape (2,); expected () or (3,)."),
        (np.zeros(3), 1, "observed has dtype int64; expected bool."),
        (
            np.array([0.0, np.inf, 0.0]),
            None,
            "x holds inf at entry 1; expected finite numbers, or NaN for what is missing.",
        ),
    ],
)
def test_malformed_observations_are_refused(caught_up, x, observed, message):
    online, _, state, _ = caught_up
    with pytest.raises(ValueError) as error:
        online.step(state, x, observed)
    assert str(error.value) == message
    online.step(state, np.array([0.0, np.inf, 0.0]), np.array([True, False, True]))


@pytest.mark.parametrize("options", [(0, 1), (1, 0)])
def test_empty_futures_are_refused(caught_up, options):
    online, _, state, _ = caught_up
    name = "horizon" if options[0] == 0 else "num_samples"
    with pytest.raises(ValueError) as error:
        online.predict(state, options[0], key=KEY, num_samples=options[1])
    assert str(error.value) == f"{name} is 0; expected at least 1."
