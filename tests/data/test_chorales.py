"""The reader of scores against music21's own, the grouping of pieces, and the cache."""

import re
import zipfile

import numpy as np
import pytest

from avfkit.data import chorales
from avfkit.data._chorales import _corpus, _shift
from avfkit.data._musicxml import read_parts
from avfkit.data._scores import Chorale, read_chorales, split_of

pytest.importorskip("music21", reason="the scores come with music21: pip install 'avfkit[music]'")

# a pick-up bar, chords and voices within a part, instruments beside the voices, a plain .xml
NAMES = ("bwv269.mxl", "bwv10.7.mxl", "bwv227.1.mxl", "bwv70.11.mxl", "bwv67.4.xml")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    chorales(folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")  # of music21
def test_reader_agrees_with_music21(name):
    from music21 import converter

    path = _corpus()[1] / name
    score = converter.parseFile(str(path), forceSource=True, storePickle=False)
    parts = read_parts(path)
    assert len(parts) == len(score.parts)
    for ours, theirs in zip(parts, score.parts, strict=True):
        expected = [
            (p.midi, e.offset, e.offset + e.quarterLength)
            for e in theirs.flatten().notes
            if not e.duration.isGrace
            for p in e.pitches
        ]
        found = [(n.pitch, n.start, n.end) for n in ours.notes]
        assert sorted(found) == sorted(expected)


def test_chorales_of_the_corpus(cache):
    splits = chorales(cache)
    parts = (splits.train, splits.valid, splits.test)
    total = sum(len(p) for p in parts)
    assert total > 350
    for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
        assert abs(len(part) / total - share) < 0.06
        assert part.obs_size == 88 and part.step == "quarter note"
        for roll in part.sequences:
            assert set(np.unique(roll)) <= {0, 1}
            assert roll[0].any() and roll[-1].any()
            assert roll.sum(1).max() <= 6  # four voices, now and then divided
    assert 3.5 < np.concatenate([r for p in parts for r in p.sequences]).sum(1).mean() < 4


def test_no_piece_in_two_parts(cache):
    """No harmonisation of the test part, in any key, is that of a training piece."""
    splits = chorales(cache)

    def successions(roll):
        chords = [np.flatnonzero(step) for step in roll]
        return {(*(a - a[0]), None, *(b - a[0])) for a, b in zip(chords, chords[1:], strict=False)
                if len(a) and len(b)}  # fmt: skip

    known = [successions(r) for r in splits.train.sequences]
    for roll in (*splits.valid.sequences, *splits.test.sequences):
        signs = successions(roll)
        assert max(len(signs & k) / min(len(signs), len(k)) for k in known) < 0.5


def test_second_call_reads_the_cache_and_only_the_cache(cache):
    (file,) = cache.iterdir()
    before = file.stat().st_mtime_ns
    first, second = chorales(cache), chorales(cache)
    assert file.stat().st_mtime_ns == before
    for a, b in zip(first.test.sequences, second.test.sequences, strict=True):
        np.testing.assert_array_equal(a, b)


def test_transposed_to_no_sharps_or_flats(cache):
    original, moved = chorales(cache).train, chorales(cache, transpose=True).train
    white = np.isin((np.arange(88) + 21) % 12, [0, 2, 4, 5, 7, 9, 11])
    shares = [
        np.concatenate(d.sequences)[:, white].sum() / np.concatenate(d.sequences).sum()
        for d in (original, moved)
    ]
    assert shares[1] > 0.9 > shares[0]
    for a, b in zip(original.sequences, moved.sequences, strict=True):
        by = np.flatnonzero(b.any(0))[0] - np.flatnonzero(a.any(0))[0]
        assert abs(by) <= 6
        np.testing.assert_array_equal(np.roll(a, by, 1), b)


@pytest.mark.parametrize(
    ("fifths", "semitones"), [(0, 0), (1, 5), (2, -2), (3, 3), (-1, -5), (-3, -3), (6, -6)]
)
def test_shift(fifths, semitones):
    assert _shift(fifths) == semitones


def test_altered_cache(cache, tmp_path):
    (file,) = cache.iterdir()
    arrays = dict(np.load(file))
    arrays["fifths"][0] += 1
    np.savez(tmp_path / file.name, **arrays)
    with pytest.raises(ValueError) as error:
        chorales(tmp_path)
    start = re.escape(f"{tmp_path / file.name} was altered: the SHA-256 of its content is ")
    end = "Delete it, and the next call makes it anew."
    assert re.fullmatch(
        rf"{start}[0-9a-f]{{64}}, expected [0-9a-f]{{64}}\. {end}", str(error.value)
    )


def test_truncated_cache(cache, tmp_path):
    (file,) = cache.iterdir()
    (tmp_path / file.name).write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is not a readable .npz file .* It is truncated or"):
        chorales(tmp_path)


SCORE = """<score-partwise><part-list>{heads}</part-list>{parts}</score-partwise>"""
PART = """<part id="{id}"><measure>
<attributes><divisions>2</divisions><key><fifths>-1</fifths></key>
</attributes><note><pitch><step>B</step><alter>-1</alter><octave>3</octave></pitch>
<duration>3</duration></note><note><chord/><pitch><step>D</step><octave>4</octave></pitch>
<duration>3</duration></note><note><grace/><pitch><step>C</step><octave>4</octave></pitch></note>
<note><rest/><duration>1</duration></note><backup><duration>2</duration></backup>
<note><pitch><step>E</step><octave>5</octave></pitch><duration>4</duration></note></measure></part>"""


def score(*names: str) -> str:
    heads = (f'<score-part id="{n}"><part-name>{n}</part-name></score-part>' for n in names)
    return SCORE.format(heads="".join(heads), parts="".join(PART.format(id=n) for n in names))


def test_reader_by_hand(tmp_path):
    (tmp_path / "a.xml").write_text(score("Soprano"))
    (part,) = read_parts(tmp_path / "a.xml")
    assert (part.name, part.fifths, part.length, part.bar) == ("Soprano", -1, 3, 3)
    assert [(n.pitch, float(n.start), float(n.end)) for n in part.notes] == [
        (58, 0, 1.5), (62, 0, 1.5), (76, 1, 3),
    ]  # fmt: skip


def test_four_voices_make_a_chorale_and_copies_are_dropped(tmp_path):
    voices = ("Soprano", "Alto", "Tenor", "Bass")
    names = {"bwv1": voices, "bwv2": voices[:3], "bwv3": (*voices, "Bass 2"), "bwv4": voices}
    for name, parts in names.items():
        (tmp_path / f"{name}.xml").write_text(score(*parts))
    (piece,) = read_chorales(sorted(tmp_path.iterdir()))
    assert piece.name == "bwv1" and piece.fifths == -1
    np.testing.assert_array_equal(
        np.argwhere(piece.roll) + [0, 21], [[0, 58], [0, 62], [1, 58], [1, 62], [1, 76], [2, 76]]
    )


def test_related_pieces_share_a_part():
    random = np.random.default_rng(0)
    rolls = (random.random((40, 60, 88)) < 0.05).astype(np.uint8)
    rolls[:, :, 80:] = 0
    pieces = [Chorale(f"bwv{i + 1}", roll, 0) for i, roll in enumerate(rolls)]
    alone = split_of(pieces)
    assert set(alone) == {0, 1, 2}
    copies = [Chorale(f"bwv{i + 500}", np.roll(roll[:40], 5, 1), 0) for i, roll in enumerate(rolls)]
    versions = [Chorale(f"bwv{i + 1}-a", roll[::-1], 0) for i, roll in enumerate(rolls)]
    both = split_of([*pieces, *copies, *versions])
    assert both[:40] == both[40:80] == both[80:] == alone


@pytest.mark.parametrize("content", ["", "<score-partwise>", "<html/>"])
def test_not_a_score(tmp_path, content):
    (tmp_path / "bwv1.xml").write_text(content)
    with pytest.raises(ValueError, match=r"bwv1\.xml is not a readable MusicXML score"):
        read_parts(tmp_path / "bwv1.xml")


def test_not_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "bwv1.mxl", "w") as archive:
        archive.writestr("a.xml", "<score-partwise/>")
    with pytest.raises(ValueError, match=r"bwv1\.mxl is not a readable MusicXML score"):
        read_parts(tmp_path / "bwv1.mxl")
