"""The widget without a browser: traits, messages, HTML; and a broken callback is noticed."""

import json
import re

import ipywidgets
import numpy as np
import pytest
import traitlets
from comm.base_comm import BaseComm

from avfkit_widgets import ExplorerArrays, ExplorerState, FilterExplorer, evaluate, explorer_html
from avfkit_widgets._explorer import STATIC
from avfkit_widgets.book._palette import BACKGROUND, contrast


class Recorder(BaseComm):
    """A comm whose other end is a list."""

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        self.__dict__.setdefault("sent", []).append((data, buffers))


def connected(**traits):
    """An explorer and the custom messages that it sends."""
    explorer = FilterExplorer(**traits)
    explorer.comm = Recorder()
    explorer.comm.sent = []
    return explorer


def ask(explorer, seq="view-1", **moved):
    """Send a request as a view would; return the answer and its arrays."""
    message = {"type": "eval", "seq": seq, "moved": moved}
    data = {"method": "custom", "content": message}
    explorer.comm.handle_msg({"content": {"data": data}, "buffers": []})
    return answers(explorer)[-1]


def answers(explorer):
    sent = [(data, buffers) for data, buffers in explorer.comm.sent if data["method"] == "custom"]
    return [
        (data["content"], [np.frombuffer(buffer, "<f4") for buffer in buffers or []])
        for data, buffers in sent
    ]


def assert_alive(explorer):
    """Every control, moved from the front end, moves the trait and changes the picture."""
    moves = {"snr": 9.5, "mask_start": 40, "mask_length": 3, "iterations": 5}
    before = ask(explorer)[1]
    for seq, (name, value) in enumerate(moves.items()):
        message, arrays = ask(explorer, str(seq), **{name: value})
        assert message["type"] == "result", message.get("message")
        assert message["seq"] == str(seq)
        assert getattr(explorer, name) == value == message["values"][name]
        assert not all(map(np.array_equal, before, arrays)), f"{name} changed nothing"
        before = arrays


def test_every_control_moves_the_picture():
    assert_alive(connected())


def test_a_broken_callback_is_noticed():
    class Broken(FilterExplorer):
        def evaluate(self, state):
            raise RuntimeError("the filter fell over")

    explorer = Broken()
    explorer.comm = Recorder()
    explorer.comm.sent = []
    with pytest.raises(AssertionError, match="RuntimeError: the filter fell over"):
        assert_alive(explorer)


def test_a_callback_that_ignores_a_control_is_noticed():
    class Deaf(FilterExplorer):
        def evaluate(self, state):
            return evaluate(state._replace(mask_length=10))

    explorer = Deaf()
    explorer.comm = Recorder()
    explorer.comm.sent = []
    with pytest.raises(AssertionError, match="mask_length changed nothing"):
        assert_alive(explorer)


def test_answers_carry_the_arrays_in_single_precision():
    explorer = connected(snr=0.3)
    message, arrays = ask(explorer)
    assert message["fields"] == list(ExplorerArrays._fields)
    for found, wanted in zip(arrays, evaluate(explorer.state), strict=True):
        np.testing.assert_array_equal(found, wanted.astype("<f4"))


def test_a_trait_moved_in_python_sends_one_picture():
    explorer = connected()
    explorer.iterations = 9
    (message, arrays), *more = answers(explorer)
    assert not more
    assert message["seq"] is None and message["values"]["iterations"] == 9
    assert len(arrays) == len(ExplorerArrays._fields)


def test_a_request_is_answered_once():
    explorer = connected()
    ask(explorer, snr=3.0, iterations=4)
    assert len(answers(explorer)) == 1


def test_traits_can_be_observed_and_linked_both_ways():
    explorer, seen = connected(), []
    explorer.observe(lambda change: seen.append(change["new"]), names="snr")
    ask(explorer, snr=7.5)
    assert seen == [7.5]
    slider = ipywidgets.IntSlider(min=0, max=30)
    link = ipywidgets.link((explorer, "iterations"), (slider, "value"))
    ask(explorer, iterations=11)
    assert slider.value == 11
    slider.value = 4
    assert explorer.iterations == 4
    assert answers(explorer)[-1][0]["values"]["iterations"] == 4
    link.unlink()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("snr", 0.0, "snr must be between 0.01 and 100.0, found 0.0"),
        ("snr", float("nan"), "snr must be between 0.01 and 100.0, found nan"),
        ("mask_start", 0, "mask_start must be between 1 and 60, found 0"),
        ("mask_length", 61, "mask_length must be between 0 and 60, found 61"),
        ("iterations", -1, "iterations must be between 0 and 30, found -1"),
    ],
)
def test_values_out_of_range_are_refused(name, value, message):
    explorer = connected()
    before = explorer.state
    with pytest.raises(traitlets.TraitError, match=f"^{re.escape(message)}$"):
        setattr(explorer, name, value)
    with pytest.raises(traitlets.TraitError, match=f"^{re.escape(message)}$"):
        FilterExplorer(**{name: value})
    assert ask(explorer, **{name: value})[0]["message"] == f"TraitError: {message}"
    assert explorer.state == before


def test_an_unknown_control_is_refused():
    answer, _ = ask(connected(), colour="red")
    assert answer["type"] == "error"
    assert answer["message"] == (
        "TraitError: moved must name some of snr, mask_start, mask_length, iterations, "
        "show_latent, found colour"
    )


def test_a_trait_of_the_wrong_type_is_refused():
    with pytest.raises(traitlets.TraitError, match="'iterations' trait .* expected an int"):
        FilterExplorer(iterations=2.5)


def test_display_offers_the_widget_and_the_page():
    data, _ = FilterExplorer(iterations=1)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/html"] == explorer_html(ExplorerState(iterations=1))


def test_html_is_reproducible_self_contained_and_drawn():
    html = explorer_html(ExplorerState())
    assert html == explorer_html(ExplorerState())
    assert not re.search(r"""(?:src|href)=|@import|url\(|import\s*\(""", html)
    assert set(re.findall(r"https?://[^\"'\s]+", html)) == {"http://www.w3.org/2000/svg"}
    assert html.count('<svg class="avf-picture" role="img"') == 1
    setup = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    assert setup and json.loads(setup[1])["values"] == ExplorerState()._asdict()
    script = re.search(r'<script data-once="[0-9a-f]{12}">(.*?)</script>', html, re.DOTALL)
    assert script and "export " not in script[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lines_and_letters_stand_out(scheme):
    blocks = re.findall(r"\.avf-explorer \{(.*?)\}", (STATIC / "explorer.css").read_text(), re.S)
    colours = [dict(re.findall(r"--avf-(\w+): (#\w{6})", block)) for block in blocks]
    chosen = {"light": colours[0], "dark": colours[1]}[scheme]
    for name in ("ink", "quiet", "exact", "approximate", "latent", "alert"):
        for ground in (BACKGROUND[scheme], chosen["veil"]):
            assert contrast(chosen[name], ground) >= 4.9, (name, ground)
