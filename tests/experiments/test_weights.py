"""`avfkit evaluate` and `avfkit sample`: what one does with trained weights."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax.random as jr
import pytest

from avfkit.data import to_midi
from avfkit_experiments import make_tree, write_samples
from avfkit_experiments._samples import context_of
from data.media import read_gif, read_wav
from experiments.tiny import PRESETS, invoke

ROOT = Path(__file__).parents[2]


def note_ons(midi, before):
    """The keys that begin to sound in the first steps of a file that `to_midi` wrote."""
    track, time, found, place = midi[22:], 0, [], 7
    while True:
        delta = 0
        while True:
            byte, place = track[place], place + 1
            delta = delta << 7 | byte & 0x7F
            if byte < 0x80:
                break
        time += delta
        if track[place] == 0xFF:
            return found
        if track[place] == 0x90 and time < before * 480:
            found.append((time // 480, track[place + 1]))
        place += 3


def test_evaluate_repeats_the_result(avf):
    result = invoke("evaluate", avf[0])
    assert result.exit_code == 0, result.output
    expected = json.loads((avf[0] / "result.json").read_text())["test"]
    found = json.loads(result.output)
    assert found["free_energy_per_step"] == expected["free_energy_per_step"]
    assert found["context_1"] == expected["context_1"]


def test_evaluate_with_other_iterations_and_bounds(avf):
    result = invoke("evaluate", avf[0], "--iterations", 3, "--samples", 1, "--bounds", 4)
    assert result.exit_code == 0, result.output
    test = json.loads(result.output)
    assert len(test["free_energy_per_step"]["per_iteration"]) == 4
    assert test["iwae"] < test["free_energy_per_step"]["all_steps"] + 0.5
    assert test["fivo_standard_error"] > 0
    kept = json.loads((avf[0] / "evaluation-k3-s1-b4.json").read_text())
    assert kept["test"] == test
    assert kept["name"] == "VRNN, tiny music, AVF, 3 iterations"
    command = "avfkit evaluate RUN --iterations 3 --samples 1 --bounds 4"
    assert kept["provenance"]["command"] == command


def test_an_own_filter_has_no_iterations(own):
    result = invoke("evaluate", own[0], "--iterations", 3)
    assert result.exit_code == 1
    assert "iterations cannot change: DirectFilter does not iterate." in result.output


def test_a_folder_without_weights(tmp_path):
    result = invoke("evaluate", tmp_path)
    assert result.exit_code == 1
    assert f"{tmp_path} holds no weights.avfkit; expected a run that ended." in result.output


def test_weights_of_an_unknown_preset(own):
    result = invoke("sample", own[0], "--out", own[0] / "x.mid", known={})
    assert result.exit_code == 1
    assert "is of the preset 'tiny-music', which is not known." in result.output


def test_music_is_written_as_midi(own, tmp_path):
    result = invoke("sample", own[0], "--out", tmp_path / "prior", "--length", 5)
    assert (result.exit_code, result.output) == (0, f"wrote {tmp_path / 'prior.mid'}\n")
    assert (tmp_path / "prior.mid").read_bytes().startswith(b"MThd")


def test_a_continuation_begins_with_its_context(own, tmp_path):
    words = ["--length", 3, "--context", 4, "--sequence", 1]
    result = invoke("sample", own[0], "--out", tmp_path / "x.mid", *words)
    assert result.exit_code == 0, result.output
    context = context_of(PRESETS["tiny-music"].load(None).test, 1, 4)
    to_midi(context, tmp_path / "context.mid")
    first = note_ons((tmp_path / "context.mid").read_bytes(), before=4)
    assert first and note_ons((tmp_path / "x.mid").read_bytes(), before=4) == first


def untrained(kind):
    preset = PRESETS[f"tiny-{kind}"]
    return preset, make_tree(preset, "own", iterations=0, samples=1, key=jr.key(0))


@pytest.mark.parametrize(("kind", "suffix"), [("speech", ".wav"), ("video", ".gif")])
def test_each_kind_of_data_has_its_format_and_plays_at_its_rate(kind, suffix, tmp_path):
    preset, tree = untrained(kind)
    path = write_samples(tmp_path / "prior", preset, tree, length=3, key=jr.key(1))
    assert path == tmp_path / f"prior{suffix}"
    if kind == "speech":
        samples, rate = read_wav(path)
        assert (len(samples), rate) == (30, 8000)
    else:
        frames, durations, _ = read_gif(path)
        assert (frames.shape, set(durations)) == ((3, 4, 4), {200})  # milliseconds: 5 a second
    with pytest.raises(ValueError) as error:
        write_samples(tmp_path / "prior.mid", preset, tree, key=jr.key(1))
    assert str(error.value) == f"path ends in '.mid'; {kind} is written as {suffix!r}."


def test_a_film_without_a_rate_is_refused(tmp_path):
    preset, tree = untrained("video")
    with pytest.raises(ValueError) as error:
        write_samples(tmp_path / "x", replace(preset, rate=None), tree, length=2, key=jr.key(1))
    assert str(error.value) == (
        "the preset 'tiny-video' has no rate; video needs one to be written, in samples or frames "
        "per second."
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--context", 9], "context is 9; sequence 0 has 5 steps."),
        (["--context", 2, "--sequence", 3], "sequence is 3; expected from 0 to 2."),
    ],
)
def test_a_context_that_is_not_there(words, message, own, tmp_path):
    result = invoke("sample", own[0], "--out", tmp_path / "x.mid", *words)
    assert (result.exit_code, result.output) == (1, f"Error: {message}\n")


def test_without_click_it_says_what_to_install():
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'experiments')!r}]; "
        "sys.modules['click'] = None; "
        "from avfkit_experiments.__main__ import main; main()"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1
    expected = "The command avfkit needs click: pip install 'avfkit[cli]'."
    assert run.stderr.strip().splitlines()[-1] == expected
