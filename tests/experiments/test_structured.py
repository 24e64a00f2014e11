"""The experiments of the structured VAE: what is measured, and how one asks for it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from click.testing import CliRunner

import avfkit
from avfkit import data
from avfkit.nn import LinearGaussian
from avfkit_experiments import Choice, Recipe, make_inference
from avfkit_experiments._clock import Clock
from avfkit_experiments._commands import _folder
from avfkit_experiments._commands import avfkit as command
from avfkit_experiments._loss import learner
from avfkit_experiments.presets import PRESETS
from avfkit_experiments.presets._linear import exact, gap_covered, static
from avfkit_experiments.presets._neural import _turn
from avfkit_experiments.presets._neural import world as neural_world
from avfkit_experiments.presets._swings import pictured_angle, read_out
from tests.helpers import make

NONE = {"iterations": 0, "samples": 1}
SIZE = {"latent_size": 3, "obs_size": 5, "q": 0.1, "r": 0.1, "length": 200}


@pytest.fixture(scope="module")
def world():
    return data.lds(**SIZE, num_sequences=4, seed=0)


def test_the_truth_covers_the_whole_gap_and_the_null_model_none(world):
    part, truth = world
    emission = LinearGaussian.from_parameters(truth.C, truth.d, truth.r)
    model = avfkit.LDS.from_parameters(*truth[:5], emission=emission)
    batch = data.pad(part)
    found = avfkit.evaluate(model, avfkit.KalmanSmoother(), [batch], key=jr.key(0))
    smoothed = lambda x: avfkit.KalmanSmoother().infer(model, x, key=jr.key(1)).log_weight  # noqa: E731
    weights = jax.jit(jax.vmap(smoothed))(batch.x).sum(1)
    np.testing.assert_allclose(-exact(truth, part), weights.mean() / 200, rtol=1e-9)
    assert abs(found.all_steps - exact(truth, part)) < 0.2  # one sample of the reconstruction
    for energy, share in ((exact, 1.0), (static, 0.0)):
        test = {"free_energy_per_step": {"all_steps": energy(truth, part)}}
        report = gap_covered(truth, part, test)
        np.testing.assert_allclose(report["gap_covered"], share, atol=1e-9)
        assert report["static"] < report["exact"]


def test_the_exact_and_the_null_log_likelihood_are_those_of_the_paper_s_setting(world):
    """-0.72 and -1.79 nats per scalar at (0.1, 0.1), D = 3: one random system of the authors'."""
    part, truth = world
    np.testing.assert_allclose(-exact(truth, part) / 5, -0.72, atol=0.05)
    np.testing.assert_allclose(-static(truth, part) / 5, -1.79, atol=0.25)


def test_the_read_out_has_an_intercept_and_is_scored_on_new_data():
    rng = np.random.default_rng(0)
    z, new = rng.normal(size=(50, 2)), rng.normal(size=(30, 2))
    target = z @ [1.0, -2.0] + 7.0
    np.testing.assert_allclose(read_out(z, new, target, new @ [1.0, -2.0] + 7.0), 1.0)
    noisy = target + rng.normal(size=50)
    assert 0.0 < read_out(z, new, noisy, new @ [1.0, -2.0] + 7.0 + rng.normal(size=30)) < 0.99


def test_the_angle_is_read_off_a_picture():
    truth = data.pendulum(num_sequences=(3, 1, 1), length=20)[1].train
    off = np.asarray(pictured_angle(jax.numpy.asarray(truth.frames, float))) - truth.angles
    assert np.abs(np.angle(np.exp(1j * off))).max() < 0.03
    mirrored = truth.frames.reshape(3, 20, 24, 24)[..., ::-1].reshape(3, 20, -1)
    off = np.asarray(pictured_angle(jax.numpy.asarray(mirrored, float))) + truth.angles
    assert np.abs(np.angle(np.exp(1j * off))).max() < 0.03


def test_one_may_choose_the_latent_of_the_pendulum_and_of_nothing_else():
    preset = PRESETS["pendulum-small"]
    shapes = [
        jax.eval_shape(lambda key, n=n: preset.model(latent=n, key=key).chain, jr.key(0)).bias.shape
        for n in (2, 5)
    ]
    assert shapes == [(2,), (5,)]
    run = CliRunner().invoke(command, ["train", "lds-D3-N5-q0.1-r0.1", "--latent", "4"])
    assert run.exit_code != 0
    assert "latent is 4; expected none: that of lds-D3-N5-q0.1-r0.1 is fixed." in run.output


def test_a_method_that_a_preset_has_not_is_named():
    run = CliRunner().invoke(command, ["train", "vrnn-jsb-small", "--inference", "svae"])
    assert run.exit_code != 0
    assert "inference is 'svae'; vrnn-jsb-small expects one of own, avf, vfem." in run.output


def test_a_window_hides_steps_only_from_a_smoother():
    words = ["train", "lds-D3-N5-q0.1-r0.1", "--inference", "avf", "--mask", "0.4"]
    run = CliRunner().invoke(command, words)
    assert run.exit_code != 0
    assert (
        "mask is 0.4; expected 0: IterativeFilter filters, and a filter sees every step once."
        in run.output
    )


def test_the_truth_behind_a_network_made_its_data():
    """The noise of the observations, and that of the latents, are the truth's."""
    splits, latents, truth = neural_world()
    x, z = np.stack(splits.test.sequences), latents[2]
    mean = np.asarray(jax.jit(jax.vmap(jax.vmap(lambda z: truth.emission(z).mean)))(z))
    np.testing.assert_allclose(np.var(x - mean, axis=(0, 1)), 0.1, rtol=0.06)
    np.testing.assert_allclose(np.exp(truth.emission.log_var), 0.1, rtol=1e-6)
    noise = z[:, 1:] - z[:, :-1] @ _turn().T
    np.testing.assert_allclose(np.cov(noise.reshape(-1, 3).T), truth.noise.covariance, atol=4e-3)
    np.testing.assert_allclose(np.var(z, axis=(0, 1)), 1.0, atol=0.2)


def test_a_structured_filter_can_be_asked_for_and_is_no_smoother():
    for name in ("lds-D3-N5-q0.1-r0.1", "lds-mlp"):
        method = make_inference(
            PRESETS[name], PRESETS[name].model(key=jr.key(0)), "svae-filter", **NONE, key=jr.key(1)
        )
        assert isinstance(method, avfkit.StructuredFilter)


def test_the_clock_stops_while_validating():
    clock = Clock()
    validate = clock.around(lambda tree: float(tree))
    assert clock.seconds_per_step(10) is None
    assert [validate(np.float64(score)) for score in (3.0, 2.0, 1.0)] == [3.0, 2.0, 1.0]
    assert len(clock.spans) == 2 and min(clock.spans) >= 0.0
    clock.spans[:] = [4.0, 1.0, 2.0]
    assert clock.seconds_per_step(10) == 0.2


def test_runs_that_differ_by_window_or_latent_have_folders_of_their_own():
    preset = PRESETS["pendulum-small"]

    def name(mask=None, **chosen):
        return _folder(Choice("svae", **chosen).of(preset), preset.latent, mask).as_posix()

    assert name() == "runs/pendulum-small/svae-0-0"
    assert name(latent=preset.latent) == name()
    assert name(0.4) == "runs/pendulum-small/svae-0-0-mask0.4"
    assert name(0.4, latent=5, seed=2) == "runs/pendulum-small/svae-0-2-latent5-mask0.4"


def test_a_window_is_in_the_command():
    preset = PRESETS["pendulum-small"]
    chosen = Choice("svae", settings=("mask=0.4", "clip=10"))
    expected = "avfkit train pendulum-small --inference svae --samples 1 --seed 0"
    assert chosen.command(preset) == f"{expected} --mask 0.4 --set clip=10"


def test_windows_come_at_once_for_the_structured_posterior_and_later_for_its_rivals():
    """Zhao and Linderman (2023), section 3.3."""
    preset = PRESETS["pendulum"]
    waits = {name: preset.changes[name].get("mask_from", 0) for name in preset.smoothers}
    assert waits.pop("svae") == 0 < min(waits.values())
    tree, batch = make("lds-mlp", "svae"), data.pad([np.ones((9, 4))])

    @eqx.filter_jit
    def loss(batch, step):
        recipe = Recipe(steps=10, mask=0.4, mask_from=3)
        return learner(tree, recipe, 1)[1](tree, batch, key=jr.key(0), step=step)[0]

    early, last, first, later = (loss(batch, jnp.array(step)) for step in (0, 2, 3, 9))
    assert early == last != first == later
