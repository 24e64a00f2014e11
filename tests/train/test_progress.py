import sys

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from avfkit.train import NoProgress, TextProgress, TqdmProgress, fit


def run(progress, folder=None, num_steps=4):
    def loss(tree, batch, *, key, step):
        return jnp.sum((tree - batch) ** 2), {"n": step}

    options = {"optimizer": optax.sgd(0.25), "key": jr.key(0), "log_every": 2, "folder": folder}
    tree, data = jnp.zeros((), jnp.float32), lambda step: np.float32(1)
    return fit(tree, loss, data, num_steps=num_steps, progress=progress, **options)


def test_no_progress_is_silent(capfd):
    run(NoProgress())
    assert capfd.readouterr() == ("", "")


def test_text(capsys, tmp_path):
    run(TextProgress(), tmp_path)
    run(TextProgress(), tmp_path, num_steps=10)
    assert capsys.readouterr().out.splitlines() == [
        "step 2/4  train       loss 0.2500  n 1",
        "step 4/4  train       loss 0.0156  n 3",
        "resumed at step 4 of 10",
        "step  6/10  train       loss 0.0010  n 5",
        "step  8/10  train       loss 0.0001  n 7",
        "step 10/10  train       loss 0.0000  n 9",
    ]


def test_tqdm(capsys):
    pytest.importorskip("tqdm")
    run(TqdmProgress())
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "100%" in captured.err and "4/4" in captured.err and "loss 0.0156  n 3" in captured.err


def test_tqdm_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ImportError) as caught:
        run(TqdmProgress())
    assert str(caught.value) == (
        "TqdmProgress needs tqdm, which is not installed: run `pip install 'avfkit[progress]'`, "
        "or use TextProgress() or NoProgress()."
    )
