"""A small reader of MusicXML scores: notes with their onset and duration in quarters.

It reads what four-part chorales need (voices, ties, chords, pick-up bars) and nothing else, which
makes it several times faster than a full import of the score. Repeats are not played twice.
Grace notes have no duration and are left out.
"""

import io
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from ._cache import UNREADABLE, read_bytes
from ._rolls import HIGHEST_NOTE, LOWEST_NOTE

_LARGEST = 2**26  # bytes of a score
_LONGEST = 1000  # quarters in a bar
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


class Note(NamedTuple):
    """A sounding note: MIDI pitch, onset and end in quarters from the start of the score."""

    pitch: int
    start: Fraction
    end: Fraction


class Part(NamedTuple):
    """One voice of a score, with the length of its first bar and its first key signature.

    `fifths` counts sharps (positive) or flats (negative); `bar` is in quarters.
    """

    name: str
    notes: tuple[Note, ...]
    length: Fraction
    bar: Fraction
    fifths: int


def read_parts(path: Path) -> tuple[Part, ...]:
    """All parts of a score in compressed (`.mxl`) or plain (`.xml`, `.musicxml`) MusicXML.

    Raises:
        ValueError: if the file is not a readable MusicXML score.
    """
    try:
        root = ElementTree.fromstring(_score_bytes(path))
        if root.tag != "score-partwise":
            raise ValueError(f"its root is <{root.tag}>, expected <score-partwise>")
        names = {p.get("id"): p.findtext("part-name") or "" for p in root.iter("score-part")}
        return tuple(_read_part(names.get(p.get("id"), ""), p) for p in root.findall("part"))
    except (*UNREADABLE, ElementTree.ParseError, StopIteration, ArithmeticError) as error:
        raise ValueError(f"{path} is not a readable MusicXML score: {error!r}.") from error


def _score_bytes(path: Path) -> bytes:
    data = read_bytes(path, _LARGEST)
    if not data.startswith(b"PK"):
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        container = ElementTree.fromstring(_member(archive, "META-INF/container.xml"))
        first = next(e for e in container.iter() if e.tag.endswith("rootfile"))
        return _member(archive, first.get("full-path", ""))


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if (size := archive.getinfo(name).file_size) > _LARGEST:
        raise ValueError(f"{name} unpacks to {size:,} bytes, expected at most {_LARGEST:,}")
    return archive.read(name)


def _read_part(name: str, part: ElementTree.Element) -> Part:
    notes: list[Note] = []
    start, bar, divisions = Fraction(0), None, 1
    for measure in part.findall("measure"):
        divisions = int(measure.findtext("attributes/divisions") or divisions)
        length = _read_measure(measure, start, divisions, notes)
        bar = length if bar is None else bar
        start += length
    fifths = int(part.findtext("measure/attributes/key/fifths") or 0)
    return Part(name, tuple(notes), start, bar or Fraction(0), fifths)


def _read_measure(
    measure: ElementTree.Element, start: Fraction, divisions: int, notes: list[Note]
) -> Fraction:
    """Appends the notes of a bar that begins at `start`; returns the length of the bar."""
    cursor = onset = longest = 0
    for element in measure:
        duration = int(element.findtext("duration") or 0)
        if element.tag == "backup":
            cursor -= duration
        elif element.tag == "forward":
            cursor += duration
        elif element.tag == "note":
            if element.find("chord") is None:
                onset, cursor = cursor, cursor + duration
            pitch = element.find("pitch")
            if not 0 <= cursor <= _LONGEST * divisions:
                raise ValueError(f"a bar goes on for {cursor} / {divisions} quarters")
            if pitch is not None and duration:
                begin = start + Fraction(onset, divisions)
                notes.append(Note(_midi(pitch), begin, begin + Fraction(duration, divisions)))
        longest = max(longest, cursor)
    return Fraction(longest, divisions)


def _midi(pitch: ElementTree.Element) -> int:
    step, octave = pitch.findtext("step") or "C", int(pitch.findtext("octave") or 4)
    key = 12 * (octave + 1) + _SEMITONES[step] + int(float(pitch.findtext("alter") or 0))
    if not LOWEST_NOTE <= key <= HIGHEST_NOTE:
        raise ValueError(f"the note {key} is on no piano: expected {LOWEST_NOTE}..{HIGHEST_NOTE}")
    return key
