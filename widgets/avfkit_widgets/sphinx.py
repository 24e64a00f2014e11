"""Sphinx extension of the book: caching that sees the library, our front end, and an audit.

Name it in `_config.yml` under `sphinx.extra_extensions`. It

- puts the execution cache into a folder named by a fingerprint of the library, so that a changed
  library runs the chapters again and an unchanged one runs nothing;
- runs chapters side by side before they are read, one on each core;
- copies the front end, plotly.js (from the installed package) and MathJax into the book, so that
  no page asks the network for anything;
- warns, and a build with warnings as errors then fails, where a labelled equation has no check
  that ran, an exercise's scaffold passes, a plotly figure has no words, or a footer is missing;
- adds to each chapter's footer the seconds it took to run.
"""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any, cast

import plotly
from docutils import nodes
from myst_nb.sphinx_ import NbMetadataCollector, SphinxEnvType
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from avfkit_widgets.book._audit import outcome_gaps
from avfkit_widgets.book._executed import execute_ahead, wordless_figures
from avfkit_widgets.book._palette import DARK, LIGHT
from avfkit_widgets.book._project import (
    PAGE_ONLY,
    cache_folder,
    calm_kernels,
    keep_compiled,
    library_hash,
    project_root,
)

_LOGGER = logging.getLogger(__name__)
_STATIC = Path(__file__).parent / "static"
_SERVED = ("answer.js", *PAGE_ONLY)
_PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension.

    Args:
        app: the running Sphinx.

    Returns:
        The extension's metadata.
    """
    app.add_config_value("avf_library", "", "env")
    app.add_config_value("avf_static", "", "html")
    app.connect("config-inited", _configure)
    app.connect("builder-inited", _copy_front_end)
    app.connect("env-before-read-docs", _execute)
    app.connect("doctree-read", _finish_chapter)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _configure(app: Sphinx, config: Config) -> None:
    root = project_root(Path(app.srcdir))
    calm_kernels()
    keep_compiled(root)
    config.avf_library = library_hash(root)
    config.avf_static = _static_hash()
    config.nb_execution_cache_path = str(cache_folder(root))
    # The page shows the HTML of a figure; `_undrawn` sees the figures that have none.
    config.suppress_warnings.append("mystnb.unknown_mime_type")
    config.mathjax_path = "avf/mathjax/tex-chtml-full.js"


def _execute(app: Sphinx, env: BuildEnvironment, names: list[str]) -> None:
    if app.config.nb_execution_mode == "cache":
        chapters = [path for name in names if (path := Path(env.doc2path(name))).suffix == ".ipynb"]
        for path in execute_ahead(chapters, Path(app.config.nb_execution_cache_path)):
            _LOGGER.info(f"executed ahead: {path.name}")


def _static_hash() -> str:
    digest = hashlib.sha256((_palette_script() + plotly.__version__).encode())
    for name in _SERVED:
        path = _STATIC / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            digest.update(file.read_bytes() if file.is_file() else file.name.encode())
    return digest.hexdigest()[:12]


def _copy_front_end(app: Sphinx) -> None:
    if app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / "avf"
    target.mkdir(parents=True, exist_ok=True)
    for name in _SERVED:
        if (_STATIC / name).is_dir():
            shutil.copytree(_STATIC / name, target / name, dirs_exist_ok=True)
        else:
            shutil.copy(_STATIC / name, target)
    shutil.copy(_PLOTLY, target)
    (target / "palette.js").write_text(_palette_script(), encoding="utf-8")
    (target / "palette.css").write_text(_palette_style(), encoding="utf-8")
    for name in ("palette.css", "book.css"):
        app.add_css_file(f"avf/{name}")
    for name in ("palette.js", "figure.js", "answer.js"):
        app.add_js_file(f"avf/{name}", loading_method="defer")


def _palette_script() -> str:
    return f"window.avfPalette = {json.dumps({'light': LIGHT, 'dark': DARK})};\n"


def _palette_style() -> str:
    def rule(selector: str, colors: dict[str, str]) -> str:
        lines = "".join(f"  --avf-{name}: {shade};\n" for name, shade in colors.items())
        return f"{selector} {{\n{lines}}}\n"

    return rule(":root", LIGHT) + rule('html[data-theme="dark"]', DARK)


def _finish_chapter(app: Sphinx, doctree: nodes.document) -> None:
    name = app.env.docname
    execution = NbMetadataCollector.get_exec_data(cast(SphinxEnvType, app.env), name)
    outputs = [node for node in doctree.findall(nodes.raw) if "data-avf-" in node.astext()]
    html = [node.astext() for node in outputs]
    for gap in (*_unchecked(doctree, html), *outcome_gaps(html), *_undrawn(app, name)):
        _LOGGER.warning(gap, location=name, type="avf", subtype="gap")
    if execution is None or not any("import" in n.astext() for n in _code(doctree)):
        return
    footers = [n for n in doctree.findall(nodes.raw) if 'class="avf-footer"' in n.astext()]
    if len(footers) != 1:
        _LOGGER.warning(
            f"a chapter calls footer() once, found {len(footers)} calls",
            location=name,
            type="avf",
            subtype="footer",
        )
    for node in footers:
        _add_seconds(node, execution["runtime"])


def _unchecked(doctree: nodes.document, html: list[str]) -> list[str]:
    labels = [node.get("label") for node in doctree.findall(nodes.math_block)]
    checked = re.findall(r'data-avf-equation="([^"]+)"', "\n".join(html))
    return [
        f"equation {label} has {checked.count(label)} checks that ran, expected 1"
        for label in labels
        if label and checked.count(label) != 1
    ]


def _undrawn(app: Sphinx, name: str) -> list[str]:
    path = Path(app.env.doc2path(name))
    if path.suffix != ".ipynb":
        return []
    count = wordless_figures(path, Path(app.config.nb_execution_cache_path))
    return [f"a plotly figure must be shown by figure(fig, alt=...), found {count} without"] * (
        count > 0
    )


def _code(doctree: nodes.document) -> list[nodes.literal_block]:
    return [n for n in doctree.findall(nodes.literal_block) if "avfkit" in n.astext()]


def _add_seconds(node: nodes.raw, seconds: float | None) -> None:
    if seconds is None:
        return
    text = node.astext().replace("</p>", f" Ran in {seconds:.1f} s.</p>")
    node.replace_self(nodes.raw("", text, format=node["format"], classes=node["classes"]))
