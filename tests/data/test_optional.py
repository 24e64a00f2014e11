"""What is said where an optional package is not installed."""

import sys
from pathlib import Path

import numpy as np
import pytest

from avfkit.data import moving_digits, to_gif
from avfkit.data._avi import Film, read_film
from avfkit.data._download import download
from avfkit.data._waves import read_wave
from data.media import noise, sphere

SMALL = {"size": 16, "num_films": (1, 1, 1)}
NEEDED = {
    "soundfile": (
        lambda: read_wave("a.WAV", sphere(noise(9)), 16000),
        "a.WAV is a NIST SPHERE file; reading it needs soundfile: pip install 'avfkit[audio]'.",
    ),
    "av": (
        lambda: read_film(Film(Path("a.avi")), (64, 64)),
        "a.avi is a film; reading it needs PyAV and Pillow: pip install 'avfkit[video]'.",
    ),
    "PIL": (
        lambda: to_gif("a.gif", np.zeros((1, 1, 1)), 1),
        "to_gif() writes by Pillow: pip install 'avfkit[video]'.",
    ),
    "sklearn.datasets": (
        lambda: moving_digits(**SMALL),
        "moving_digits() draws the digits that scikit-learn carries: pip install 'avfkit[video]'.",
    ),
    "pooch": (
        lambda: download("Tiny", "http://localhost/a", Path("nowhere/a"), advice="Or else."),
        "Tiny was not found; downloading it needs pooch: pip install 'avfkit[data]'. Or else.",
    ),
}


@pytest.mark.parametrize("package", NEEDED)
def test_the_extra_is_named(package, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.chdir(tmp_path)
    call, message = NEEDED[package]
    with pytest.raises(ImportError) as error:
        call()
    assert str(error.value) == message


def test_digits_need_pillow_too(monkeypatch):
    pytest.importorskip("sklearn.datasets")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError) as error:
        moving_digits(**SMALL)
    assert str(error.value) == "resizing digits needs Pillow: pip install 'avfkit[video]'."
