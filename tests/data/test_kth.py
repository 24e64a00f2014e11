"""A copy of KTH Actions with all its names, and films of a few frames."""

import zipfile
from itertools import product

import numpy as np
import pytest

from avfkit.data import _kth, kth
from avfkit.data._avi import Film, films_below, read_film
from avfkit.data._kth import _ACTIONS, _listed, _missing
from data.media import avi, damaged, files_below, message_of, spoil

pytest.importorskip("av")
THREE = {"person11_boxing_d4", "person13_handwaving_d3", "person14_handwaving_d3",
         "person15_boxing_d4", "person22_boxing_d1"}  # fmt: skip
NAMES = [
    f"person{p:02}_{action}_d{d}"
    for p, action, d in product(range(1, 26), _ACTIONS, range(1, 5))
    if (p, action, d) != (13, "handclapping", 3)
]
SPLIT = "person11_boxing_d4 frames 1-5\nperson25_running_d2 frames 1-5\n"  # for train and valid


def sequence_list(names=NAMES, length=5):
    """The official list, in its format: tabs, a heading, and one film that does not exist."""
    lines = ["Training:\tperson 11, 12\r\n", "person13_handclapping_d3\t*missing*"]
    for name in names:
        ranges = [f"{i * length + 1}-{(i + 1) * length}" for i in range(3 + (name not in THREE))]
        lines.append(f"{name}\t\tframes\t{', '.join(ranges)}")
    return "\r\n".join(lines) + "\r\n\r\n"


def film(seed=0, frames=20, height=120, width=160):
    """A bright block on dark ground that moves to the right, and the number of the frame."""
    x = np.full((frames, height, width), 10 + seed, np.uint8)
    for t in range(frames):
        x[t, 40:80, 5 * t : 5 * t + 30] = 200
        x[t, :20, :20] = 10 * t
    return x


@pytest.fixture
def copy(tmp_path):
    """Four films, one per action folder, and the whole list."""
    folder = tmp_path / "kth"
    names = ("person11_boxing_d4", "person01_walking_d1", "person22_boxing_d1",
             "person25_running_d2")  # fmt: skip
    for i, name in enumerate(names):
        path = folder / name.split("_")[1] / f"{name}_uncomp.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(avi(film(i)))
    (folder / "00sequences.txt").write_text(sequence_list())
    return folder


def test_counts_of_a_whole_copy(tmp_path):
    (tmp_path / "00sequences.txt").write_text(sequence_list())
    listed = _listed(tmp_path)
    assert len(NAMES) == 599 and len(listed) == 2391
    assert _missing(listed, dict.fromkeys(NAMES, Film(tmp_path))) == ""
    assert listed == sorted(listed) and (listed[0].start, listed[0].end) == (1, 5)


def test_whole_copy(tmp_path):
    """All 599 films, tiny, of eight frames: each sequence has one."""
    picture = avi(film(frames=8, height=120, width=160)[:, ::5, ::5])
    with zipfile.ZipFile(tmp_path / "all.ZIP", "w") as archive:
        for name in NAMES:
            archive.writestr(f"{name}_uncomp.avi", picture)
    (tmp_path / "00sequences.txt").write_text(sequence_list(length=2))
    splits = kth(tmp_path, cache=tmp_path / "cache")
    assert [len(d) for d in (splits.train, splits.valid, splits.test)] == [760, 768, 863]
    assert splits.train.name == "KTH Actions, train" and {*splits.train.lengths} == {1}


def test_sequences_of_each_part(copy, tmp_path):
    splits = kth(copy, complete=False, cache=tmp_path / "cache")
    parts = (splits.train, splits.valid, splits.test)
    assert [d.lengths.tolist() for d in parts] == [[4] * 3, [4] * 8, [4] * 3]
    test = splits.test
    assert (test.obs_size, test.shape, test.rate, test.window) == (4096, (64, 64), 25.0, 1 / 256)
    assert test.name == "KTH Actions (incomplete), test"
    for number, sequence in enumerate(test.sequences):  # the last frame of each five is left out
        shown = sequence[:].reshape(-1, 64, 64)[:, 2, 2] * 255
        np.testing.assert_allclose(shown, 10 * (5 * number + np.arange(4)), atol=2)


def test_decoded_once(copy, tmp_path):
    first = kth(copy, complete=False, cache=tmp_path / "cache")
    before = {
        n: (tmp_path / "cache" / n).stat().st_mtime_ns for n in files_below(tmp_path / "cache")
    }
    again = kth(str(copy), complete=False, cache=tmp_path / "cache")
    assert before == {n: (tmp_path / "cache" / n).stat().st_mtime_ns for n in before}
    assert len(before) == 2
    np.testing.assert_array_equal(first.valid.sequences[5][:], again.valid.sequences[5][:])


@pytest.mark.parametrize("number", ["DECODING", "_CUTTING"])
def test_another_decoding_reads_no_old_cache(copy, tmp_path, monkeypatch, number):
    first = kth(copy, complete=False, cache=tmp_path / "cache")
    expected = first.valid.sequences[5][:]
    spoil(tmp_path / "cache")
    with pytest.raises(ValueError, match="is truncated or altered"):
        kth(copy, complete=False, cache=tmp_path / "cache")
    monkeypatch.setattr(_kth, number, 99)
    again = kth(copy, complete=False, cache=tmp_path / "cache")
    np.testing.assert_array_equal(again.valid.sequences[5][:], expected)


def test_pictures_are_grey_and_bilinear(tmp_path):
    from PIL import Image

    frames = film(frames=3)
    (tmp_path / "person01_boxing_d1_uncomp.avi").write_bytes(avi(frames))
    found = read_film(films_below(tmp_path)["person01_boxing_d1"], (64, 64))
    for small, frame in zip(found, frames, strict=True):
        expected = Image.fromarray(frame).resize((64, 64), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(small.astype(int), np.asarray(expected), atol=2)


def test_films_in_zip_files(copy, tmp_path):
    unpacked = kth(copy, complete=False, cache=tmp_path / "one")
    for path in [*copy.rglob("*.avi")]:
        with zipfile.ZipFile(copy / f"{path.parent.name}.zip", "a") as archive:
            archive.write(path, f"../../../{path.name}")  # a name that would leave the folder
        path.unlink()
    before = files_below(tmp_path)
    zipped = kth(copy, complete=False, cache=tmp_path / "two")
    for a, b in zip(unpacked.test.sequences, zipped.test.sequences, strict=True):
        np.testing.assert_array_equal(a[:], b[:])
    assert {n.partition("/")[0] for n in {*files_below(tmp_path)} - {*before}} == {"two"}


def test_what_is_missing_is_named(copy, tmp_path):
    message = message_of(ValueError, lambda: kth(copy, cache=tmp_path / "cache"))
    few = ", ".join(n for n in sorted(NAMES) if n != "person01_walking_d1")
    first = ", ".join(few.split(", ")[:10])
    assert message == (
        f"{copy} is not all of KTH Actions: found 4 of 599 films; missing: {first} and 585 more. "
        "Copy what is missing, or pass complete=False to take what is there; results are then not "
        "comparable."
    )
    (copy / "00sequences.txt").write_text(sequence_list(NAMES[:-1]))
    assert "00sequences.txt lists (760, 764, 863) sequences (train, valid, test), expected " in (
        message_of(ValueError, lambda: kth(copy, cache=tmp_path / "cache"))
    )
    assert not (tmp_path / "cache").exists()


def test_no_list_and_no_film(tmp_path):
    message = message_of(FileNotFoundError, lambda: kth(tmp_path))
    assert message == (
        f"folder {str(tmp_path)!r} holds no 00sequences.txt, the official list of sequences: it is "
        "published beside the films."
    )
    (tmp_path / "00Sequences.txt").write_text(sequence_list())
    message = message_of(FileNotFoundError, lambda: kth(tmp_path, complete=False))
    assert message == f"folder {str(tmp_path)!r} holds no film of 00sequences.txt."


@pytest.mark.parametrize("entry", ["0-5", "7-7", "9-3"])
def test_altered_list(copy, entry):
    (copy / "00sequences.txt").write_text(f"person01_boxing_d1\tframes\t{entry}\n")
    message = message_of(ValueError, lambda: kth(copy, complete=False))
    assert message == (
        f"{copy / '00sequences.txt'}: person01_boxing_d1 has the frames {entry}, expected a start "
        "of at least 1, a later end, and a person of 1 to 25."
    )


@pytest.mark.parametrize(
    "state", ["empty", "cut in the header", "cut in the middle", "something else", "short"]
)
def test_damaged_film_is_named_and_nothing_kept(copy, tmp_path, state):
    path = copy / "boxing" / "person22_boxing_d1_uncomp.avi"
    states = damaged(path.read_bytes()) | {"short": avi(film(frames=2))}
    path.write_bytes(states[state])
    message = message_of(ValueError, lambda: kth(copy, complete=False, cache=tmp_path / "cache"))
    assert message.startswith(str(path))
    assert message.endswith("It is truncated or altered: copy it again.")
    assert files_below(tmp_path / "cache") == []


@pytest.fixture
def short(copy):
    """A film of 13 frames: its last sequence has three of four."""
    (copy / "boxing" / "person22_boxing_d1_uncomp.avi").write_bytes(avi(film(frames=13)))
    return copy


def test_a_sequence_ends_with_its_film(short, tmp_path):
    """Cut and counted, not padded; said again when the cache is read."""
    for _ in range(2):
        with pytest.warns(UserWarning) as said:
            test = kth(short, complete=False, cache=tmp_path / "cache").test
        assert [str(warning.message) for warning in said] == [
            f"{short}: 1 of 14 sequences end with their film, before 00sequences.txt says: frames "
            "lacking, 1; nothing is padded. Results are not quite comparable."
        ]
        assert test.lengths.tolist() == [4, 4, 3]
        shown = test.sequences[2][:].reshape(-1, 64, 64)[:, 2, 2] * 255
        np.testing.assert_allclose(shown, [100, 110, 120], atol=2)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("entry", "steps"), [("6-14", 8), ("6-26", 8), ("13-17", 1)])
def test_a_film_may_lack_twelve_frames(short, tmp_path, entry, steps):
    (short / "00sequences.txt").write_text(f"{SPLIT}person22_boxing_d1 frames 1-5, {entry}\n")
    test = kth(short, complete=False, cache=tmp_path / "cache").test
    assert test.lengths.tolist() == [4, steps]


@pytest.mark.parametrize(("entry", "expected"), [("6-27", 26), ("14-20", 19)])
def test_a_much_shorter_film_is_refused(short, tmp_path, entry, expected):
    """Thirteen frames lacking, or none left of the sequence."""
    (short / "00sequences.txt").write_text(f"{SPLIT}person22_boxing_d1 frames 1-5, {entry}\n")
    message = message_of(ValueError, lambda: kth(short, complete=False, cache=tmp_path / "cache"))
    assert message == (
        f"{short / 'boxing' / 'person22_boxing_d1_uncomp.avi'} has 13 frames, expected {expected} "
        "by 00sequences.txt and at most 12 fewer. It is truncated or altered: copy it again."
    )


@pytest.mark.parametrize("change", ["cut", "bit"])
def test_damaged_zip_is_refused(copy, tmp_path, change):
    path, name = copy / "boxing.zip", "person23_boxing_d1_uncomp.avi"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, avi(film()))
    data = bytearray(path.read_bytes())
    data[500] ^= 255
    path.write_bytes(data[:-100] if change == "cut" else data)
    message = message_of(ValueError, lambda: kth(copy, complete=False, cache=tmp_path / "cache"))
    assert message.startswith(f"{path}" if change == "cut" else f"{path}: {name}")
    assert files_below(tmp_path / "cache") == []
