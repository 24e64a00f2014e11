import base64
import json
import re
from io import BytesIO

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from avfkit_widgets.book import LIGHT, fade, figure


def line() -> go.Figure:
    """One line and its band."""
    x = np.arange(5)
    fig = go.Figure()
    fig.add_scatter(x=x, y=x + 1.0, line_width=0)
    fig.add_scatter(x=x, y=x - 1.0, fill="tonexty", fillcolor=fade(LIGHT["blue"], 0.2))
    fig.add_scatter(x=x, y=x / 3, name="a <b>bold</b> name", line_color=LIGHT["blue"])
    return fig


def spec_of(html: str) -> dict:
    found = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_bundle_has_lab_page_and_terminal() -> None:
    shown = figure(line(), alt='Shows "three" lines.', caption="Lines & bands")
    bundle = shown._repr_mimebundle_()
    assert set(bundle) == {"application/vnd.plotly.v1+json", "text/html", "text/plain"}
    assert bundle["text/plain"] == 'Figure: Shows "three" lines.'
    assert 'role="img" aria-label="Shows &quot;three&quot; lines."' in bundle["text/html"]
    assert "<figcaption>Lines &amp; bands</figcaption>" in bundle["text/html"]
    json.dumps(bundle, allow_nan=False)
    assert bundle["application/vnd.plotly.v1+json"]["layout"]["paper_bgcolor"] == "#ffffff"


def test_numbers_are_plain_and_short() -> None:
    spec = spec_of(figure(line(), alt="a").html)
    assert spec["data"][2]["y"] == [0, 0.333333, 0.666667, 1, 1.33333]
    assert spec["layout"]["template"]["layout"]["paper_bgcolor"] == "rgba(0,0,0,0)"


def test_missing_values_are_gaps_not_invalid_json() -> None:
    fig = go.Figure(go.Scatter(y=[1.0, np.nan, 2.0, np.inf, 3.0]))
    shown = figure(fig, alt="a")
    assert spec_of(shown.html)["data"][0]["y"] == [1, None, 2, None, 3]
    assert "nan" not in shown.html.lower().split("<script")[0]


def test_content_decides_the_id() -> None:
    first, second = figure(line(), alt="a").html, figure(line(), alt="a").html
    assert first == second
    assert figure(line(), alt="b").html[:60] != first[:60]


def test_the_figure_is_not_changed() -> None:
    fig = line()
    before = fig.to_json()
    figure(fig, alt="a")
    assert fig.to_json() == before


def test_a_script_in_a_name_stays_text() -> None:
    fig = go.Figure(go.Scatter(y=[1.0], name="</script><script>alert(1)</script>"))
    html = figure(fig, alt="a").html
    assert html.count("</script>") == 1
    assert spec_of(html)["data"][0]["name"] == "</script><script>alert(1)</script>"


@pytest.mark.parametrize("alt", ["", "  ", None])
def test_alt_is_required(alt: str) -> None:
    with pytest.raises(ValueError, match="^alt must say what the figure shows, found "):
        figure(line(), alt=alt)
    with pytest.raises(TypeError):
        figure(line())  # type: ignore[call-arg]


def test_only_plotly_figures() -> None:
    with pytest.raises(TypeError) as error:
        figure([1, 2], alt="a")  # type: ignore[arg-type]
    assert str(error.value) == "fig must be a plotly.graph_objects.Figure, found list"


def test_tex_is_refused() -> None:
    fig = line().update_layout(xaxis_title="$z_t$")
    with pytest.raises(ValueError) as error:
        figure(fig, alt="a")
    assert str(error.value) == (
        "fig must hold HTML texts such as '<i>z</i><sub>t</sub>', found TeX '$z_t$'"
    )


def test_static_picture_follows_the_scheme() -> None:
    svg = figure(line(), alt="a").html.partition("<script")[0]
    assert f"stroke:var(--avf-blue, {LIGHT['blue']})" in svg
    assert "fill:rgba(0,103,165,0.2)" in svg
    assert ">a bold name</text>" in svg


def points(svg: str) -> np.ndarray:
    """Points of the last drawn line of a static picture."""
    drawn = re.findall(r'<path d="M([\d.L -]+)" fill="none" stroke-dasharray', svg)[-1]
    return np.array([[float(v) for v in p.split()] for p in drawn.split("L")])


def test_static_lines_lie_where_the_axes_say() -> None:
    fig = go.Figure(go.Scatter(x=[0, 5, 10], y=[1.0, 10.0, 100.0]))
    fig.update_xaxes(range=[0, 10])
    fig.update_yaxes(type="log", range=[0, 2])
    placed = points(figure(fig, alt="a").html)
    assert np.allclose(placed, [[60, 332], [402, 188], [744, 44]], atol=0.1)


def test_static_subplots_bars_and_markers() -> None:
    fig = go.Figure()
    fig.add_bar(x=[1, 2], y=[1.0, -2.0])
    fig.add_scatter(x=[1, 2], y=[1, 2], mode="markers", xaxis="x2", yaxis="y2")
    fig.update_layout(xaxis_domain=[0, 0.4], xaxis2={"domain": [0.6, 1], "anchor": "y2"})
    svg = figure(fig, alt="a").html.partition("<script")[0]
    assert svg.count("<circle") == 2
    left = [float(x) for x in re.findall(r'<rect x="([\d.]+)"[^>]*height="[\d.]+"/>', svg)]
    assert len(left) == 2 and max(left) < 400
    assert min(float(x) for x in re.findall(r'<circle cx="([\d.]+)"', svg)) > 400


def test_static_bars_of_words() -> None:
    fig = go.Figure(go.Bar(x=["prior", "exact"], y=[2.0, 1.0]))
    svg = figure(fig, alt="a").html.partition("<script")[0]
    assert [label for label in ("prior", "exact") if f">{label}</text>" in svg] == [
        "prior",
        "exact",
    ]
    heights = [float(h) for h in re.findall(r'height="([\d.]+)"/>', svg)]
    assert heights[0] == pytest.approx(2 * heights[1], abs=0.2)


def test_static_heat_map_is_the_grid() -> None:
    grid = np.array([[0.0, 1.0, 0.0], [1.0, 1.0, np.nan]])
    scale = [[0, "rgba(0,0,0,0)"], [1, "#0067a5"]]
    fig = go.Figure(go.Heatmap(z=grid, colorscale=scale))
    found = re.search(r'href="data:image/png;base64,([^"]+)"', figure(fig, alt="a").html)
    assert found
    pixels = np.asarray(Image.open(BytesIO(base64.b64decode(found[1]))))
    assert pixels.shape == (2, 3, 4)
    # The first row of z lies at the bottom.
    assert (pixels[..., 3] == [[255, 255, 0], [0, 255, 0]]).all()
    assert tuple(pixels[0, 0]) == (0, 0x67, 0xA5, 255)
