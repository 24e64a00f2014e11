"""SVG on video (Marino et al. 2018, appendix B.3 and Table 2; Denton and Fergus 2018)."""

from functools import partial
from typing import Any

from jaxtyping import Array, Key

import avfkit
from avfkit import data

from .._preset import Preset
from .._recipe import Recipe
from ._copies import own_copy

_KTH = "KTH Actions, your own copy: 760/768/863 sequences, 64 x 64 grey pixels"
_FILMS = "films of recorded motion (CMU), rendered at 64 x 64 grey pixels"
_DIGITS = "two handwritten digits that bounce at random, {0} x {0} grey pixels"

_WINDOW = (
    1 / 256
)  # the paper's; on levels k / 255 its bins do not quite tile, see avfkit.data.films

_SMALL = {"backbone": "dcgan", "code_size": 64, "hidden_size": 64, "channels": 8}
_OTHER = "smaller nets, Adam's rate falls along a cosine"


def svg_kth(*, small: bool = False) -> Preset:
    """SVG on KTH: 512 latents, VGG-64 nets, skips that carry nothing, as the AVF authors ran it."""
    where: dict[str, Any] = {"data": _KTH, "load": _kth, "rate": 25.0}
    if small:
        differs = f"32 latents; skips, embeddings and a centred window as in the original; {_OTHER}"
        return _svg("kth", "KTH", **where, latent=32, differs=differs)
    differs = "512 latents and no skips, as the AVF authors ran it; GroupNorm for BatchNorm"
    nets = {"backbone": "vgg", "skips": False, "embed": False, "centred": False}
    return _svg("kth", "KTH", **where, latent=512, differs=differs, nets=nets)


def svg_films(*, small: bool = False) -> Preset:
    """SVG on films of recorded motion: the open stand-in for KTH, with SVG's own latents."""
    where: dict[str, Any] = {"data": _FILMS, "load": _films, "rate": 24.0, "latent": 24}
    differs = "open data; 24 latents and skips as in the original SVG"
    if small:
        return _svg("films", "films", **where, differs=f"{differs}; {_OTHER}")
    return _svg("films", "films", **where, differs=differs, nets={"backbone": "vgg"})


def svg_moving_digits(*, small: bool = False) -> Preset:
    """SVG on stochastic moving digits: the default that needs no data at all."""
    size = 32 if small else 64
    load = partial(_moving_digits, size=size)
    where: dict[str, Any] = {"data": _DIGITS.format(size), "load": load, "rate": 10.0}
    where |= {"latent": 10, "size": size}
    differs = "SVG's own moving-digits experiment (DCGAN, 10 latents), with scikit-learn's digits"
    if small:
        return _svg("moving-digits", "moving digits", **where, differs=f"{differs}; {_OTHER}")
    return _svg("moving-digits", "moving digits", **where, differs=differs, nets={})


def _svg(
    name: str,
    title: str,
    *,
    latent: int,
    size: int = 64,
    nets: dict[str, Any] | None = None,
    **where: Any,
) -> Preset:
    """Small unless it is told of which nets it is made."""
    small = nets is None
    sizes = _SMALL if nets is None else nets
    hidden = 64 if small else 256
    return Preset(
        name=f"svg-{name}{'-small' if small else ''}",
        title=f"SVG{', small' if small else ''}, {title}",
        kind="video",
        model=partial(_model, shape=(size, size), latent=latent, **sizes),
        own=partial(_own, hidden_size=hidden, embed=sizes.get("embed", True)),
        recipe=_small_recipe(size) if small else _recipe(),
        update={"width": 256 if small else 1024, "depth": 1},
        iterations={"avf": 1, "vfem": 10},
        baselines={"pixels": _pixels},
        window=_WINDOW,
        **where,
    )


def _recipe() -> Recipe:
    return Recipe(
        steps=100_000,
        batch_size=20,
        length=21,
        theta_rate=1e-4,
        phi_rate=1e-4,
        validate_every=500,
        score_batch=4,
    )


def _small_recipe(size: int) -> Recipe:
    return Recipe(
        steps=500 if size < 64 else 300,
        batch_size=8 if size < 64 else 4,
        length=12 if size < 64 else 10,
        cosine=True,
        clip=1000.0,
        validate_every=100,
        patience=5,
        score_batch=8,
    )


def _model(
    *, shape: tuple[int, int], latent: int, key: Key[Array, ""], **options: Any
) -> avfkit.SVG:
    return avfkit.SVG(shape, latent, **options, key=key)


def _own(
    model: avfkit.AbstractModel, *, key: Key[Array, ""], **options: Any
) -> avfkit.RecurrentFilter:
    return avfkit.RecurrentFilter.create(model, **options, key=key)


def _kth(folder: Any) -> data.Splits:
    return data.kth(own_copy(folder, "KTH Actions"))


def _films(folder: Any) -> data.Splits:
    return data.films(folder)


def _moving_digits(folder: Any, *, size: int) -> data.Splits:
    del folder
    return data.moving_digits(size=size)


def _pixels(train: data.Dataset, test: data.Dataset) -> data.Score:
    return data.pixel_baseline(train, test)
