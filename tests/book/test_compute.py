import numpy as np

import avfkit
from avfkit_widgets.book import compute_figure


def point(name, iterations, nats, milliseconds):
    evaluation = avfkit.Evaluation(*[np.nan] * len(avfkit.Evaluation._fields))._replace(
        all_steps=nats
    )
    times = (milliseconds, milliseconds, milliseconds)
    return avfkit.ComputePoint(name, iterations, None, evaluation, *times, compile_seconds=1.0)


def test_every_number_is_in_the_words_and_the_best_are_named() -> None:
    points = [
        point("own", None, 3.0, 1.0),
        point("AVF", 1, 3.5, 2.0),
        point("AVF", 4, 2.25, 4.0),
        point("VF-EM", 16, 2.5, 9.0),
    ]
    shown = compute_figure(points)
    assert shown.alt == (
        "Free energy per step against time. own: 3.00 nats in 1 ms; AVF: 3.50 nats in 2 ms (K = 1),"
        " 2.25 nats in 4 ms (K = 4); VF-EM: 2.50 nats in 9 ms (K = 16). Not beaten in both: own, "
        "AVF K = 4."
    )
    assert [trace["name"] for trace in shown.spec["data"]] == ["own", "AVF", "VF-EM"]
    assert shown.spec["data"][1]["y"] == [3.5, 2.25]
