import numpy as np

from avfkit.data import films
from avfkit.data._films import Words, film_splits
from avfkit.data._recordings import Recordings

WORDS = Words("Tiny", "noise", "here", "MIT")


def test_films_of_bytes():
    frames = np.random.default_rng(0).integers(0, 256, (9, 3, 2)).astype(np.uint8)
    recordings = Recordings(frames, np.array([4, 2, 1, 2]), np.array(list("abcd")))
    splits = film_splits(recordings, np.array([2, 0, 1, 2]), WORDS, 25)
    assert [d.lengths.tolist() for d in (splits.train, splits.valid, splits.test)] == [
        [2],
        [1],
        [4, 2],
    ]
    test = splits.test
    assert (test.shape, test.rate, test.window, test.scale) == ((3, 2), 25.0, 1 / 256, 255.0)
    assert (test.name, test.step) == ("Tiny, test", "frame, 40 ms")
    for film, expected in zip(test.sequences, (frames[:4], frames[7:]), strict=True):
        np.testing.assert_array_equal(film[:].reshape(-1, 3, 2), np.float32(expected) / 255)


def test_cmu_films(data_folder):
    splits = films(data_folder)
    parts = (splits.train, splits.valid, splits.test)
    assert [len(d) for d in parts] == [50, 13, 14]
    assert [d.num_steps for d in parts] == [6314, 958, 2788]
    assert {(d.obs_size, d.shape, d.rate) for d in parts} == {(4096, (64, 64), 24.0)}
    assert (splits.train.lengths.min(), splits.test.lengths.max()) == (35, 931)
    film = splits.test.sequences[0][:].reshape(-1, 64, 64)
    assert film.min() == 0 and film.max() == 1
