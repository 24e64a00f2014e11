import itertools

import numpy as np
import pytest

from avfkit_widgets.book import BACKGROUND, DARK, LIGHT, SERIES, contrast, fade


@pytest.mark.parametrize(("scheme", "colors"), [("light", LIGHT), ("dark", DARK)])
def test_contrast(scheme: str, colors: dict[str, str]) -> None:
    for name, shade in colors.items():
        if name != "grid":
            assert contrast(shade, BACKGROUND[scheme]) >= 4.5, name


def test_schemes_name_the_same_distinct_colors() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert set(SERIES) < LIGHT.keys()
    assert len({*LIGHT.values(), *DARK.values()}) == 2 * len(LIGHT)


def test_contrast_of_extremes() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#777777") == pytest.approx(1.0)


# Linear RGB as seen without one kind of cone: Machado, Oliveira and Fernandes 2009, severity 1.
CONES = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.01182, 0.04294, 0.968881]],
}  # fmt: skip


def lab(color: str, cones: str) -> np.ndarray:
    """Colour as a person without one kind of cone sees it, in CIE L*a*b*."""
    rgb = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(CONES[cones]) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    ratio = (np.array(to_xyz) @ seen) / [0.9505, 1.0, 1.089]
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("cones", CONES)
@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_first_three_series_differ_without_red_or_green_cones(
    colors: dict[str, str], cones: str
) -> None:
    for first, second in itertools.combinations(SERIES[:3], 2):
        distance = np.linalg.norm(lab(colors[first], cones) - lab(colors[second], cones))
        assert distance > 20, (first, second)


def test_fade() -> None:
    assert fade("#0067a5", 0.25) == "rgba(0,103,165,0.25)"
    with pytest.raises(ValueError, match=r"^color must be '#rrggbb', found 'blue'$"):
        fade("blue", 0.5)
    with pytest.raises(ValueError, match=r"^alpha must be between 0 and 1, found 2$"):
        fade("#0067a5", 2)
