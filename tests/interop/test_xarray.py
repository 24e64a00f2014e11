"""Labelled arrays hold what the trace held, in the places that ArviZ reads."""

import sys

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import avfkit
from avfkit.interop import to_xarray

XS = jr.normal(jr.key(1), (5, 3)).at[1, 2].set(jnp.nan)


@pytest.fixture(scope="module")
def traces():
    """Two chains of three draws: every number of a trace is another."""
    z, mean, log_var, other = jr.normal(jr.key(0), (4, 2, 3, 5, 2))
    gaussian = jax.vmap(jax.vmap(jax.vmap(avfkit.DiagonalGaussian)))
    prior = gaussian(other, mean)
    return jax.vmap(jax.vmap(avfkit.Trace))(
        z, gaussian(mean, log_var), prior, z.sum(-1), jnp.zeros((2, 3, 5, 0))
    )


def test_a_tree_of_traces(traces):
    tree = to_xarray(traces, XS, jnp.array([True, True, True, True, False]))
    assert set(tree.children) == {"posterior", "log_likelihood", "sample_stats", "observed_data"}
    z = tree["posterior"]["z"]
    assert z.dims == ("chain", "draw", "time", "latent")
    np.testing.assert_array_equal(z.sel(chain=1, draw=2), traces.z[1, 2])
    np.testing.assert_array_equal(tree["posterior"]["q_variance"], traces.posterior.variance)
    likelihood = tree["log_likelihood"]["x"]
    assert likelihood.dims == ("chain", "draw", "time")
    np.testing.assert_array_equal(likelihood, -traces.reconstruction)
    one = jax.tree.map(lambda leaf: leaf[0, 1], traces)
    stats = tree["sample_stats"].sel(chain=0, draw=1)
    for name in ("free_energy", "kl", "log_weight"):
        np.testing.assert_allclose(stats[name], getattr(one, name), rtol=1e-12, atol=1e-12)
    shown = tree["observed_data"]["x"]
    assert shown.dims == ("time", "obs") and np.isnan(shown[4]).all()
    np.testing.assert_array_equal(shown[:4], XS[:4])
    for name, size in [("chain", 2), ("draw", 3), ("time", 5), ("latent", 2)]:
        np.testing.assert_array_equal(z[name], np.arange(size))


def test_one_trace_is_one_chain_of_one_draw(traces):
    one = jax.tree.map(lambda leaf: leaf[0, 0], traces)
    tree = to_xarray(one)
    assert tree["posterior"]["q_mean"].shape == (1, 1, 5, 2)
    assert tree["sample_stats"]["kl"].shape == (1, 1, 5)
    assert "observed_data" not in tree.children


def test_latents_alone(traces):
    tree = to_xarray(traces.z[0])
    assert set(tree.children) == {"posterior"}
    np.testing.assert_array_equal(tree["posterior"]["z"][0], traces.z[0])


def test_bad_shapes_are_named(traces):
    cases = [
        (
            (traces.z[0, 0, 0],),
            "draws has shape (2,); expected [time, latent], [draw, time, latent] or [chain, draw, "
            "time, latent].",
        ),
        ((traces, XS[:3]), "xs has shape (3, 3); expected [5, obs], to match draws."),
        (
            (traces, XS, jnp.ones(4, bool)),
            "observed has shape (4,); expected (5,) (steps) or (5, 3) (entries), to match xs.",
        ),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError) as error:
            to_xarray(*arguments)
        assert str(error.value) == message


def test_the_extra_is_named(traces, monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError) as error:
        to_xarray(traces)
    assert str(error.value) == "to_xarray() needs xarray: pip install 'avfkit[interop]'."
