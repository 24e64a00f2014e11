"""The last line of a chapter: with what, and on what, its numbers were made."""

import platform
from importlib import metadata

import jax
import jax.numpy as jnp

from avfkit_widgets.book._html import Html, tag

_PACKAGES = ("avfkit", "jax", "equinox", "optax", "numpy", "plotly")


def footer() -> Html:
    """Say versions, device and float width, as they are while the chapter runs.

    Call it in the last cell of a chapter. The built page adds how many seconds the chapter ran,
    which the execution cache recorded.

    Returns:
        The line.
    """
    versions = [f"{name} {found}" for name in _PACKAGES if (found := _version(name))]
    device = jax.devices()[0]
    width = jnp.finfo(jnp.result_type(float)).bits
    plain = (
        f"Made with {', '.join(versions)}, Python {platform.python_version()} "
        f"on {device.platform} ({device.device_kind}), float{width}."
    )
    return Html(tag("p", plain, class_="avf-footer"), plain=plain)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
