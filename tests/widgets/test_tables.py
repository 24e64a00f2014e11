"""The tabulated explorers without a browser: numbers, words, traits, errors."""

import json
import logging
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import traitlets
from comm.base_comm import BaseComm

import avfkit
from avfkit.nn import BernoulliHead, GaussianHead
from avfkit_widgets import (
    FilmExplorer,
    IterationExplorer,
    MaskExplorer,
    PosteriorExplorer,
    RollExplorer,
    _table,
    roll_masks,
    table_html,
)
from avfkit_widgets._packing import unpack
from small_explorers import (
    FILM,
    MAKERS,
    ROLL,
    TRUTH,
    XS,
    film_explorer,
    gap_explorer,
    iteration_explorer,
    mask_explorer,
    pair,
    posterior_explorer,
    read,
    roll_explorer,
    turning,
)


class Recorder(BaseComm):
    """A comm whose other end is a list."""

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        self.__dict__.setdefault("sent", []).append((data, buffers))


@pytest.fixture(scope="module", params=MAKERS)
def explorer(request):
    return MAKERS[request.param]()


def own(obs, head):
    model, _ = pair(obs, head)
    return model, avfkit.DirectFilter.create(model, width=4, depth=1, key=jr.key(5))


@eqx.filter_jit
def direct(model, inference, xs, observed=None, *, key):
    trace = inference.infer(model, xs, observed, key=key)
    return trace, avfkit.one_step(model, inference, xs, observed, key=key)


@pytest.mark.parametrize(("iterations", "samples"), [(0, 4), (2, 4), (3, 2)])
def test_iterations_are_those_of_avfkit(iterations, samples):
    explorer = iteration_explorer(iterations=iterations, num_samples=samples)
    model, inference = pair(3, GaussianHead)
    k = jnp.asarray(iterations)
    stopped = avfkit.IterativeFilter(inference.update, 3, avfkit.MonteCarlo(samples), stop_after=k)
    trace, seen = direct(model, stopped, jnp.asarray(XS[:12]), key=jr.key(1))
    found = explorer._arrays()
    wanted = dict(prediction=seen.prediction, reconstruction=seen.reconstruction)
    wanted |= dict(energy=trace.free_energy, iterations=trace.iterations)
    assert set(found) == set(wanted)
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array[2:], rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", ["nothing", "the lowest notes", "half of all keys"])
@pytest.mark.parametrize("iterations", [0, 2])
def test_rolls_are_filled_in_as_by_avfkit(name, iterations):
    explorer = roll_explorer(choice=name, iterations=iterations)
    model, inference = pair(40, BernoulliHead, 2)
    hidden, k = roll_masks(ROLL)[name], jnp.asarray(iterations)
    stopped = avfkit.IterativeFilter(inference.update, 2, stop_after=k)
    trace, seen = direct(model, stopped, jnp.asarray(ROLL), jnp.asarray(~hidden), key=jr.key(2))
    found, shown = explorer._arrays(), explorer.table._keys
    np.testing.assert_allclose(found["chance"], seen.reconstruction[:, shown], rtol=1e-10)
    np.testing.assert_allclose(found["energy"], trace.free_energy, rtol=1e-10)
    np.testing.assert_array_equal(found["hidden"], hidden[:, shown])


@pytest.mark.parametrize("inference", ["avf", "own"])
def test_films_are_filtered_as_by_avfkit(inference):
    film, key = FILM.reshape(6, 48), jr.key(3)
    if inference == "avf":
        model, method = pair(48, GaussianHead, 2)
    else:
        model, method = own(48, GaussianHead)
    explorer = FilmExplorer(model, method, film, (8, 6), key=key)
    assert [s.name for s in explorer.table.sliders] == ["iterations", "step"][inference != "avf" :]
    trace, seen = direct(model, method, jnp.asarray(film), key=key)
    found = explorer._arrays()
    np.testing.assert_allclose(found["prediction"], seen.prediction, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["reconstruction"], seen.reconstruction, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["energy"], trace.free_energy, rtol=1e-9)


def gaussians(latent=2, obs=3, snr=1, length=9):
    """Prior, likelihood and exact posterior of a whole path, as one Gaussian of all its numbers."""
    drawn, truth = avfkit.data.lds(
        latent_size=latent,
        obs_size=obs,
        q=0.1,
        r=0.1 / snr,
        num_sequences=1,
        length=length,
        seed=0,
    )
    difference = np.eye(length * latent) - np.kron(np.eye(length, k=-1), truth.A)
    prior = difference.T @ difference / 0.1
    shift = np.concatenate([truth.m1, np.zeros((length - 1) * latent)])
    heard = truth.C.T @ truth.C / truth.r[0]
    precision = prior + np.kron(np.eye(length), heard)
    linear = difference.T @ shift / 0.1
    linear = linear + np.ravel((drawn.sequences[0] - truth.d) @ truth.C / truth.r[0])
    return truth, precision, np.linalg.solve(precision, linear)


@pytest.mark.parametrize(("latent", "obs"), [(1, 2), (2, 3)])
def test_the_exact_posterior_and_the_best_mean_field_are_those_of_one_gaussian(latent, obs):
    found = posterior_explorer(family="mean field", snr=1, latent=latent)._arrays()
    truth, precision, mean = gaussians(latent, obs)
    exact = np.linalg.inv(precision)
    block = [slice(latent * t, latent * (t + 1)) for t in range(9)]
    row = truth.C[0]
    blocks = [precision[here, here] for here in block]
    widths = [row @ exact[here, here] @ row for here in block]
    alone = [row @ np.linalg.solve(inner, row) for inner in blocks]
    path = mean.reshape(9, latent) @ row + truth.d[0]
    gap = 0.5 * (sum(np.linalg.slogdet(b)[1] for b in blocks) - np.linalg.slogdet(precision)[1])
    np.testing.assert_allclose(found["exact_mean"], path, rtol=1e-9)
    np.testing.assert_allclose(found["mean"], path, rtol=1e-9)
    np.testing.assert_allclose(found["exact_sd"], np.sqrt(widths), rtol=1e-9)
    np.testing.assert_allclose(found["sd"], np.sqrt(alone), rtol=1e-9)
    np.testing.assert_allclose(found["gap"].sum(), gap, rtol=1e-9)


def test_a_chain_that_sees_further_is_nearer_and_at_last_exact():
    table = posterior_explorer(reaches=(0, 2, 8)).table
    gaps = [
        table.evaluate(dict(family=family, snr=1, latent=2))["gap"].sum()
        for family in ("filter", "2 ahead", "8 ahead")
    ]
    assert gaps[0] > 2 * gaps[1] > 0 and abs(gaps[2]) < 1e-12
    full = table.evaluate(dict(family="full hints", snr=1, latent=2))
    assert np.abs(full["gap"]).max() < 1e-12, "the exact posterior is one of them"
    np.testing.assert_allclose(full["sd"], full["exact_sd"], rtol=1e-12)
    one = table.evaluate(dict(family="diagonal hints", snr=1, latent=1))
    assert abs(one["gap"].sum()) < 1e-12, "one latent entry has no other diagonal"
    assert table.evaluate(dict(family="diagonal hints", snr=1, latent=2))["gap"].sum() > 0.01


def test_the_gap_of_a_posterior_is_said_in_nats():
    table = posterior_explorer().table
    ones = np.ones(4)
    arrays = dict(gap=np.array([0.5, 0.25, 0, 0]), sd=0.5 * ones, exact_sd=ones)
    assert table.sentence(dict(family="filter", snr=0.1, latent=1), arrays) == (
        "With 1 latent entry at SNR 0.1, the filter is 0.188 nats per step from the exact "
        "posterior (0.750 nats in all), and its band is 50 percent as wide."
    )


@pytest.mark.parametrize(("start", "length"), [(3, 2), (5, 4), (1, 0)])
def test_a_window_is_missing_to_inference(start, length):
    found = mask_explorer(start=start, length=length)._arrays()
    model, film = turning(48), FILM.reshape(6, 48).copy()
    film[start - 1 : start - 1 + length] = np.nan
    smoother = avfkit.KalmanSmoother()
    keys = jr.split(jr.key(4), 200)
    zs = jax.vmap(lambda key: smoother.infer(model, film, key=key).z)(keys)
    pairs = read(np.asarray(zs))
    np.testing.assert_allclose(found["mean"], pairs.mean(0), rtol=1e-9, atol=1e-12)
    low, high = np.quantile(pairs[..., 0], (0.05, 0.95), axis=0)
    np.testing.assert_allclose(found["low"], low, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["high"], high, rtol=1e-9, atol=1e-12)
    inside = slice(start - 1, start - 1 + length)
    np.testing.assert_allclose(found["paths"][:, inside], pairs[:5, inside], rtol=1e-9, atol=1e-12)
    frames = 0.5 + np.asarray(zs[:32]).mean(0) @ np.asarray(model.emission.matrix).T
    np.testing.assert_allclose(found["frames"], frames, rtol=1e-9, atol=1e-12)


def test_what_is_hidden_is_judged_by_itself():
    table = mask_explorer().table
    truth = np.stack([np.arange(6.0), np.zeros(6)], -1)
    off = np.array([1.0, 1.0, 3.0, 5.0, 1.0, 1.0])
    arrays = {
        "truth": truth,
        "mean": truth + off[:, None],
        "low": truth[:, 0] + off - 3.5,
        "high": truth[:, 0] + off + 0.5,
    }
    assert table.sentence(dict(start=3, length=2), arrays) == (
        "Steps 3 to 4 are hidden: the angle is off by 4.12 rad in root mean square, and its 90 % "
        "band, 4.00 rad wide on average, holds it at 50 % of these steps; elsewhere it is off by "
        "1.00 rad."
    )
    assert table.sentence(dict(start=3, length=0), arrays) == (
        "Nothing is hidden: the angle is off by 2.52 rad in root mean square, and its 90 % band, "
        "4.00 rad wide on average, holds it at 83 % of the steps."
    )
    words = table.sentence(dict(start=5, length=4), arrays)
    assert words.startswith("Steps 5 to 6 are hidden: the angle is off by 1.00 rad in root mean")


def test_a_page_has_the_same_arrays_rounded(explorer):
    table, values = explorer.table, explorer._values()
    exact = table.constants | table.evaluate(values)
    heads = {head["name"]: head for head in table.packed["arrays"]}
    for name, found in table.tabulated(values).items():
        low, step = heads[name]["low"], heads[name]["step"]
        held = np.clip(exact[name], low, low + (2 ** heads[name]["bits"] - 1) * step)
        np.testing.assert_allclose(found, held, rtol=0, atol=0.5001 * step, err_msg=name)


def test_a_table_covers_the_whole_grid(explorer):
    packed, axes = explorer.table.packed, explorer.table.axes
    shape = tuple(len(axis.choices) for axis in axes)
    for name, array in unpack(packed).items():
        assert name in explorer.table.constants or array.shape[: len(axes)] == shape


def test_moving_a_slider_compiles_nothing(caplog):
    iteration, roll = iteration_explorer(), roll_explorer()
    caplog.set_level(logging.WARNING)
    with jax.log_compiles():
        iteration.table.evaluate(dict(iterations=1, num_samples=2))
        roll.table.evaluate(dict(iterations=1, hidden="the second half"))
        assert "Compiling jit(run)" not in caplog.text
        iteration_explorer(window=(3, 11))
        assert "Compiling jit(run)" in caplog.text


def test_what_the_iterations_did_is_said_in_nats():
    explorer = iteration_explorer()
    arrays = explorer.table.tabulated(explorer._values())
    t, change = 4, arrays["iterations"][:, 2] - arrays["iterations"][:, 0]
    words = explorer.table.sentence(dict(iterations=2, num_samples=1, step=7), arrays)
    less = "less" if change[t] <= 0 else "more"
    assert words.startswith("After 2 iterations with 1 sample, step 7 costs ")
    assert re.search(rf"costs [\d.]+ nats, [\d.]+ nats {less} than its prior prediction;", words)
    assert f"{abs(change.mean()):.3f}"[:4] in words.split(";")[1]
    words = explorer.table.sentence(dict(iterations=0, num_samples=1, step=7), arrays)
    assert words.startswith("Without inference iterations the estimate is the prior prediction: ")


def test_hits_among_the_hidden_notes_are_counted():
    explorer = roll_explorer()
    roll = explorer.table.constants["roll"]
    hidden, chance = np.ones_like(roll), np.where(roll > 0.5, 0.9, 0.1)
    first_note, first_rest = np.argwhere(roll > 0.5)[0], np.argwhere(roll < 0.5)[0]
    chance[tuple(first_note)], chance[tuple(first_rest)] = 0.2, 0.8
    notes, rests = int(roll.sum()), int((1 - roll).sum())
    arrays = dict(roll=roll, hidden=hidden, chance=chance, energy=np.full(len(roll), 2.5))
    words = explorer.table.sentence(dict(hidden="the second half", iterations=1), arrays)
    assert words == (
        f"With the second half hidden, the model gives {notes - 1} of {notes} hidden notes "
        f"({100 * (notes - 1) / notes:.0f} %) a probability above one half after 1 iteration, and "
        f"1 of {rests} hidden rests; what was heard costs 2.50 nats per step."
    )
    arrays["hidden"] = 0 * hidden
    words = explorer.table.sentence(dict(hidden="nothing", iterations=2), arrays)
    assert words == "Nothing is hidden: the roll costs 2.50 nats per step after 2 iterations."


def test_the_bands_of_a_roll_hold_its_quarters():
    masks = roll_masks(ROLL)
    assert list(masks)[0] == "nothing" and not masks["nothing"].any()
    bands = [masks[f"the {name} notes"] for name in ("lowest", "middle", "highest")]
    np.testing.assert_array_equal(sum(band.astype(int) for band in bands), 1)
    assert ROLL[bands[0]].sum() >= ROLL.sum() / 4 <= ROLL[bands[2]].sum()


def test_a_view_moves_the_traits_and_gets_the_arrays(explorer):
    explorer.comm = Recorder()
    explorer.comm.sent = []
    slider = explorer.table.sliders[0]
    message = {"type": "eval", "seq": "v-1", "moved": {slider.name: slider.choices[0]}}
    content = {"data": {"method": "custom", "content": message}}
    explorer.comm.handle_msg({"content": content, "buffers": []})
    sent = [(d["content"], b) for d, b in explorer.comm.sent if d["method"] == "custom"]
    (answer, buffers), *more = sent
    assert not more and answer["type"] == "result", answer
    assert answer["values"] == explorer._values()
    assert answer["values"][slider.name] == slider.choices[0]
    for name, buffer in zip(answer["fields"], buffers, strict=True):
        wanted = explorer._arrays()[name].astype("<f4").ravel()
        np.testing.assert_array_equal(np.frombuffer(buffer, "<f4"), wanted)


def test_display_offers_the_widget_and_a_page_that_needs_nothing(explorer):
    data, _ = explorer._repr_mimebundle_()
    html = data["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in data
    assert html == table_html(explorer.table, explorer._values()) and len(html) < 400_000
    assert not re.search(r"""(?:src|href)=["'](?!data:)|@import|url\(|import\s*\(""", html)
    assert set(re.findall(r"https?://[^\"'\s]+", html)) == {"http://www.w3.org/2000/svg"}
    assert html.count('<svg class="avf-picture" role="img"') == 1
    setup = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    assert setup and json.loads(setup[1])["values"] == explorer._values()
    assert len(json.dumps(explorer._setup)) < len(html)


def test_a_table_too_heavy_for_a_page_is_refused(monkeypatch):
    monkeypatch.setattr(_table, "MAX_WEIGHT", 20_000)
    with pytest.raises(ValueError, match=r"weighs \d+ kB in a page; expected at most 20 kB\."):
        film_explorer()._repr_mimebundle_()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: iteration_explorer(iterations=4),
            "iterations must be one of 0 to 3, found 4",
        ),
        (lambda: iteration_explorer(num_samples=3), "num_samples must be one of 1, 2, 4, found 3"),
        (lambda: iteration_explorer(step=2), "step must be one of 3 to 12, found 2"),
        (lambda: film_explorer(step=7), "step must be one of 1 to 6, found 7"),
        (lambda: posterior_explorer(snr=2), "snr must be one of 0.1, 1, found 2.0"),
        (lambda: mask_explorer(start=2), "start must be one of 1, 3, 5, found 2"),
        (lambda: mask_explorer(length=6), "length must be one of 0, 2, 4, found 6"),
    ],
)
def test_values_that_are_not_offered_are_refused(make, message):
    with pytest.raises(traitlets.TraitError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: iteration_explorer(max_iterations=0),
            "max_iterations is 0; expected at least 1.",
        ),
        (
            lambda: iteration_explorer(samples=(0, 1)),
            "samples is (0, 1); expected numbers of at least 1.",
        ),
        (
            lambda: iteration_explorer(window=(5, 11)),
            "window is (5, 11); expected the first step, counted from 1, and a number of steps, "
            "within the 14 steps of xs.",
        ),
        (
            lambda: PosteriorExplorer(sizes=((3, 2),)),
            "sizes is ((3, 2),); expected pairs of latent and at least as many observed entries.",
        ),
        (
            lambda: posterior_explorer(snrs=(0, 1)),
            "snrs is (0, 1); expected positive ratios.",
        ),
        (
            lambda: posterior_explorer(reaches=(-1,)),
            "reaches is (-1,); expected numbers of steps from 0.",
        ),
        (
            lambda: IterationExplorer(
                *pair(3, GaussianHead), XS[:, :2], max_iterations=1, key=jr.key(0)
            ),
            "xs has shape (14, 2); expected [time, 3].",
        ),
        (
            lambda: IterationExplorer(
                *pair(3, GaussianHead), XS * [1, np.nan, 1], max_iterations=1, key=jr.key(0)
            ),
            "xs is nan at step 0, entry 1; expected finite numbers.",
        ),
        (
            lambda: RollExplorer(*pair(40, BernoulliHead), 2 * ROLL, key=jr.key(0)),
            "roll must hold zeros, ones, and at least one note.",
        ),
        (
            lambda: roll_explorer(hidden={"all": np.ones(12, bool)}),
            "hidden['all'] has shape (12,) and dtype bool; expected (12, 40) and bool, True where "
            "an entry is hidden.",
        ),
        (
            lambda: roll_explorer(hidden={}),
            "hidden has no choices; expected at least one mask.",
        ),
        (
            lambda: FilmExplorer(*pair(48, GaussianHead), FILM, (8, 8), key=jr.key(0)),
            "shape is (8, 8); expected 48 pixels, the model's obs_size.",
        ),
        (
            lambda: FilmExplorer(*pair(48, GaussianHead), 0 * FILM - 0.5, (8, 6), key=jr.key(0)),
            "film has values from -0.5 to -0.5; expected 0 to 1.",
        ),
        (
            lambda: FilmExplorer(
                *own(48, GaussianHead), FILM, (8, 6), max_iterations=2, key=jr.key(0)
            ),
            "max_iterations is 2, but a DirectFilter does not iterate; expected None.",
        ),
        (
            lambda: mask_explorer(shape=(8, 8)),
            "shape is (8, 8); expected 48 pixels, model's obs_size.",
        ),
        (
            lambda: mask_explorer(truth=TRUTH[:5]),
            "truth has shape (5, 2); expected (6, 2).",
        ),
        (
            lambda: mask_explorer(readout=lambda z: z[:1]),
            "readout(z) has shape (1,); expected (2,).",
        ),
        (
            lambda: mask_explorer(clean=FILM),
            "clean has shape (6, 8, 6); expected (6, 48).",
        ),
        (
            lambda: mask_explorer(starts=(0, 1)),
            "starts is (0, 1); expected steps from 1 to 6.",
        ),
        (
            lambda: mask_explorer(lengths=(0, 6)),
            "lengths is (0, 6); expected from 0 to 5 hidden steps.",
        ),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


def test_iterations_need_a_filter_that_iterates():
    model, inference = own(3, GaussianHead)
    message = (
        "inference is a DirectFilter; expected an IterativeFilter, which can stop after K "
        "iterations."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        IterationExplorer(model, inference, XS, max_iterations=2, key=jr.key(0))


def test_frames_must_depend_on_the_latent_only():
    model, inference = pair(48, GaussianHead)
    message = (
        "model is a VRNN; expected one whose likelihood is a function of z_t alone, a subclass of "
        "AbstractMarkovModel."
    )
    film = FILM.reshape(6, 48)
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        MaskExplorer(model, inference, film, TRUTH, read, shape=(8, 6), clean=film, key=jr.key(0))


def test_gap_bars_add_up_and_iterations_move_one_of_them():
    table = gap_explorer().table
    few, many = (table.arrays((0.5, 40, count))["nats"] for count in (1, 4))
    np.testing.assert_allclose(few[:4].sum(), few[4])
    np.testing.assert_allclose(few[1:4], many[1:4])
    assert many[0] < few[0]
    words = table.sentence(dict(snr=2, missing=0, iterations=1), dict(nats=few, errors=few))
    assert words.startswith("At SNR 2, nothing missing, after 1 iteration, the free energy lies ")
