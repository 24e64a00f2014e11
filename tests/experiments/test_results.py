"""The committed results say how they were made, beat the baselines and meet the targets."""

import json
from itertools import pairwise
from pathlib import Path
from statistics import mean

import pytest

from avfkit_experiments.presets import PRESETS

RESULTS = Path(__file__).parents[2] / "results"
FILES = sorted(path for name in PRESETS for path in (RESULTS / name).glob("*.json"))


# AVF with one iteration, where x_t enters the memory only: not far enough after 2,000 steps. VF-EM:
# ten noisy gradient steps find less than a network's two, and lose their way in a sharper model.
BEHIND = {
    "srnn-timit-sample-small/avf-1-0.json",
    "srnn-timit-sample-small/vfem-10-0.json",
    "vrnn-timit-sample-small/vfem-10-0.json",
}


def energy(path):
    return json.loads(path.read_text())["test"]["free_energy_per_step"]["all_steps"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_a_result_says_how_to_make_it_again_and_beats_the_baselines(path):
    result = json.loads(path.read_text())
    known = [str(result[name]) for name in ("inference", "iterations", "seed")]
    share = f"-mask{result['recipe']['mask']:g}" if result["recipe"].get("mask") else ""
    assert "-".join(known) + share == path.stem
    provenance = result["provenance"]
    assert provenance["command"].startswith(f"avfkit train {path.parent.name} ")
    assert f"--inference {known[0]}" in provenance["command"]
    assert f"--seed {known[2]}" in provenance["command"]
    assert provenance["data"]["sha256"]
    ahead = all(energy(path) < baseline["all_steps"] for baseline in result["baselines"].values())
    assert ahead == ("/".join(path.parts[-2:]) not in BEHIND)


@pytest.mark.parametrize(
    ("name", "target", "seeds"), [("own-0", 6.85, 3), ("avf-1", 6.9, 3), ("avf-5", 6.9, 3)]
)
def test_chorales_meet_their_targets(name, target, seeds):
    files = sorted((RESULTS / "vrnn-jsb").glob(f"{name}-?.json"))
    assert len(files) >= seeds
    assert max(map(energy, files)) <= target


def test_chorales_are_as_the_chapter_on_amortizing_says():
    """Five iterations are better than one, and their mean stays behind the own filter's."""
    own, one, five = (
        [energy(path) for path in (RESULTS / "vrnn-jsb").glob(f"{name}-?.json")]
        for name in ("own-0", "avf-1", "avf-5")
    )
    assert max(own) < min(one) and mean(five) < mean(one)
    assert 0 < mean(five) - mean(own) < (mean(one) - mean(own)) / 2


def test_on_speech_each_iteration_improves_by_less_than_the_one_before():
    """The shape of Figure 4b of the AVF paper."""
    path = RESULTS / "vrnn-timit-sample-small" / "avf-5-0.json"
    energies = json.loads(path.read_text())["test"]["free_energy_per_step"]["per_iteration"]
    gains = [before - after for before, after in pairwise(energies)]
    assert len(gains) == 5
    assert min(gains) > 0.0
    assert gains == sorted(gains, reverse=True)


@pytest.mark.parametrize("snr", ["0.1", "1", "10"])
@pytest.mark.parametrize("method", ["avf", "vfem"])
def test_where_the_truth_is_known_both_come_within_a_fiftieth_of_a_nat(method, snr):
    result = json.loads((RESULTS / "lds" / f"{method}-snr{snr}.json").read_text())
    gap = result["test"]["free_energy_per_step"]["all_steps"] - result["exact"]
    assert abs(gap - result["gap"]) < 1e-9 and abs(gap) <= 0.02


@pytest.mark.parametrize("name", ["vrnn-timit-sample-small", "srnn-jsb-small"])
def test_more_iterations_in_training_are_worth_it(name):
    """The direction of Figure 4a of the AVF paper."""
    found = [energy(RESULTS / name / f"avf-{k}-0.json") for k in (1, 2, 5)]
    assert found == sorted(found, reverse=True)


LINEAR = sorted(path for path in RESULTS.glob("lds-D*/*.json"))
RIVALS = ("rnn-mf", "rnn-ar-l", "rnn-ar-nl", "cnn-ar-l")


@pytest.mark.parametrize("path", LINEAR, ids=lambda path: "/".join(path.parts[-2:]))
def test_no_bound_on_a_linear_system_exceeds_the_truth(path):
    """Beyond three standard errors, of which the reconstruction's single sample is a part."""
    test = json.loads(path.read_text())["test"]
    error = test["free_energy_per_step"]["standard_error"]
    scalars = test["free_energy_per_step"]["all_steps"] / -test["elbo"]
    assert test["elbo"] <= test["exact"] + 3.0 * error / scalars


def covered(name):
    return {
        path.stem.removesuffix("-0-0"): json.loads(path.read_text())["test"]["gap_covered"]
        for path in (RESULTS / name).glob("*-0-0.json")
    }


COMPLETE = sorted(
    {path.parent.name for path in LINEAR if {*RIVALS, "svae"} <= covered(path.parent.name).keys()}
)
LEADERS: dict[str, str] = {}  # where another method leads than the structured posterior


@pytest.mark.parametrize("name", COMPLETE)
def test_the_structured_posterior_leads_except_where_it_is_said(name):
    found = covered(name)
    shares = {method: found[method] for method in (*RIVALS, "svae")}
    assert max(shares, key=shares.__getitem__) == LEADERS.get(name, "svae")


def test_the_structured_posterior_leads_in_at_least_seven_of_nine_settings():
    leads = [max({*RIVALS, "svae"}, key=covered(name).__getitem__) == "svae" for name in COMPLETE]
    assert len(leads) == 9 and sum(leads) >= 7


@pytest.mark.parametrize("name", COMPLETE)
def test_all_methods_of_a_table_had_the_same_recipe_and_data(name):
    results = [
        json.loads((RESULTS / name / f"{method}-0-0.json").read_text())
        for method in (*RIVALS, "svae")
    ]
    assert all(result["recipe"] == results[0]["recipe"] for result in results)
    assert len({result["provenance"]["data"]["sha256"] for result in results}) == 1


@pytest.mark.parametrize(
    "path",
    [path for path in LINEAR if path.stem.startswith(("avf", "vfem"))],
    ids=lambda path: "/".join(path.parts[-2:]),
)
def test_a_filter_is_level_with_the_null_model_at_least_and_behind_the_smoother(path):
    """At the weakest signal the exact one of the true model is about level with it."""
    share = json.loads(path.read_text())["test"]["gap_covered"]
    weakest = path.parent.name.endswith("q0.01-r10")
    assert (-0.1 if weakest else 0.5) < share < covered(path.parent.name)["svae"]


@pytest.mark.parametrize("name", ["lds-D3-N5-q0.1-r0.1", "lds-D5-N10-q0.1-r0.1"])
def test_the_structured_posterior_covers_nine_tenths_of_the_gap(name):
    assert covered(name)["svae"] >= 0.9


def test_where_the_two_papers_meet_all_methods_have_a_bound_by_one_recipe():
    """But for the rate of CNN-AR-L's networks, as its chapter says."""
    results = [json.loads(path.read_text()) for path in (RESULTS / "lds-mlp").glob("*.json")]
    filters = {"own", "avf", "vfem", "svae-filter"}
    assert {result["inference"] for result in results} == {*filters, "svae", *RIVALS}
    for result in results:
        test, recipe = result["test"], result["recipe"]
        error = test["free_energy_per_step"]["standard_error"]
        bound = test["free_energy_per_step"]["all_steps"]
        assert bound > test["reference"] - 3.0 * error
        slower = {"phi_rate": 1e-3} if result["inference"] == "cnn-ar-l" else {}
        expected = results[0]["recipe"] | {"phi_rate": 3e-3} | slower
        assert recipe | {"prior_from": 0} == expected | {"prior_from": 0}


def pendulum(name):
    return json.loads((RESULTS / "pendulum-small" / f"{name}-mask0.4.json").read_text())["test"]


@pytest.mark.parametrize("rival", ["rnn-mf", "rnn-ar-l", "rnn-ar-nl", "cnn-ar-l"])
def test_the_structured_posterior_alone_knows_the_velocity_of_the_pendulum(rival):
    """Zhao and Linderman (2023), Fig. 4 and 5, on the small twin, all with windows hidden."""
    found, other = pendulum("svae-0-0"), pendulum(f"{rival}-0-0")
    assert other["r2"]["velocity"] < 0.1 < 0.85 <= found["r2"]["velocity"]
    assert other["prediction"] < found["prediction"]


@pytest.mark.parametrize("seed", range(3))
def test_from_three_hidden_numbers_the_velocity_can_be_read(seed):
    assert pendulum(f"svae-0-{seed}")["r2"]["velocity"] >= 0.85


@pytest.mark.parametrize("preset", ["pendulum", "pendulum-small"])
def test_hidden_windows_cost_evidence_and_improve_predictions(preset):
    """The signs of Table 2 for the structured posterior."""
    masked, whole = (
        json.loads((RESULTS / preset / f"svae-0-0{windows}.json").read_text())["test"]
        for windows in ("-mask0.4", "")
    )
    assert masked["elbo"] < whole["elbo"] and masked["prediction"] > whole["prediction"]


def test_the_full_pendulum_trains_within_an_hour_on_two_cores():
    result = json.loads((RESULTS / "pendulum" / "svae-0-0-mask0.4.json").read_text())
    assert result["provenance"]["device"] == "cpu, 2 cores"
    assert result["provenance"]["seconds"] <= 3_600.0


def test_the_full_pendulum_s_latents_hold_the_velocity_and_no_rival_s_hold_it_better():
    found = {
        path.stem: json.loads(path.read_text())["test"]["r2"]["velocity"]
        for path in (RESULTS / "pendulum").glob("*.json")
    }
    rivals = [found[name] for name in found if not name.startswith("svae")]
    assert found["svae-0-0-mask0.4"] >= max([0.85, *rivals])
