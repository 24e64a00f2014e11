"""Hostile files, each refused: nothing runs, nothing is written elsewhere, no memory is filled.

`HOSTILE` is the list: what a file claims to be, how it is made, and how it is read. Every reading
happens in a folder with a watched neighbour and with little memory to spare.
"""

import io
import json
import os
import pickle
import resource
import struct
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from avfkit import train
from avfkit.data._avi import Film, films_below, read_film
from avfkit.data._cache import LARGEST, read_arrays
from avfkit.data._commands import Archive, _fetched, _found
from avfkit.data._download import sha256_of
from avfkit.data._formats import read_rolls
from avfkit.data._musicxml import read_parts
from avfkit.data._recordings import decoded
from avfkit.data._scores import read_chorales
from avfkit.data._waves import read_wave_file
from avfkit.train._lock import lock
from avfkit_widgets.book._results import read_result
from data.media import avi, noise, riff, sphere

SPARE = 2**30  # bytes
TREE = {"w": np.zeros(3), "n": 2}
NPZ = partial(read_arrays, names=("wave",))
WAVE = partial(read_wave_file, rate=16000)


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def npy(shape, descr="'<f8'", data=b"\0" * 64):
    """A `.npy` file whose header claims any shape and kind."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def npz(members, claimed=None):
    """A zip file of members, the first of which may claim another unpacked size."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    raw = bytearray(file.getvalue())
    if claimed is not None:
        at = raw.index(b"PK\x01\x02") + 24
        raw[at : at + 4] = struct.pack("<I", claimed)
    return bytes(raw)


def bomb_npz(name=b"wave.npy", size=2**31):
    """A small zip file of one member that unpacks to two gigabytes of zeros."""
    packer, piece = zlib.compressobj(9, wbits=-15), b"\0" * 2**22
    block = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)  # begins and ends by itself
    packed = block * (size // len(piece)) + packer.flush()
    head = struct.pack("<HHHHIIIHH", 0, 8, 0, 0, 0, len(packed), size, len(name), 0)
    local = b"PK\x03\x04" + struct.pack("<H", 20) + head + name + packed
    rest = struct.pack("<HHHII", 0, 0, 0, 0, 0)
    directory = b"PK\x01\x02" + struct.pack("<HH", 20, 20) + head + rest + name
    end = struct.pack("<HHHHIIH", 0, 0, 1, 1, len(directory), len(local), 0)
    return local + directory + b"PK\x05\x06" + end


def mat(kind=9, claim=2**31 - 8, dims=(2**20, 2**20)):
    """A MATLAB 5 file whose array claims more elements than it holds."""

    def element(code, content):
        return struct.pack("<II", code, len(content)) + content + b"\0" * (-len(content) % 8)

    body = element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack("<ii", *dims))
    body += element(1, b"traindata") + struct.pack("<II", kind, claim) + b"\0" * 64
    return b"MATLAB 5.0".ljust(124) + struct.pack("<H", 0x0100) + b"IM" + element(14, body)


def huge_avi(width=60000, height=60000):
    """A film whose header claims pictures of gigabytes."""
    film = avi(np.zeros((3, 16, 16), np.uint8))
    at = film.index(b"avih") + 8
    film = film[: at + 32] + struct.pack("<II", width, height) + film[at + 40 :]
    at = film.index(b"strf") + 8
    return film[: at + 4] + struct.pack("<ii", width, height) + film[at + 12 :]


def tar(members):
    """A `.tar.gz` of files, or of links if a string is given for the content."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def checkpoint(**changes):
    """A checkpoint whose header was changed, and its SHA-256 made to fit."""
    from avfkit.train._checkpoint import _digest

    path = Path("made.avfkit")
    train.save(path, TREE, hyperparameters={})
    line, _, content = path.read_bytes().partition(b"\n")
    path.unlink()
    header = json.loads(line) | {k: v for k, v in changes.items() if k != "content"}
    content = changes.get("content", content)
    header["sha256"] = _digest(header, [content])
    return json.dumps(header).encode() + b"\n" + content


NESTED = b"[" * 200_000 + b"]" * 200_000
LAUGHS = b'<!DOCTYPE a [<!ENTITY a "' + b"ha" * 50 + b'">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 50) for i in range(8)
) + b"]><score-partwise>&i;</score-partwise>"  # fmt: skip
OUTSIDE = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><score-partwise>&x;' + (
    b"</score-partwise>"
)
BAR = (
    b"<score-partwise><part-list><score-part id='1'><part-name>Soprano</part-name></score-part>"
    b"</part-list><part id='1'><measure><attributes><divisions>%s</divisions></attributes><note>"
    b"<pitch><step>%s</step><octave>%s</octave></pitch><duration>%s</duration></note></measure>"
    b"</part></score-partwise>"
)
SONG = [[60] * 88] * 100_000  # one chord, a hundred thousand times
CHORD = [60] * 20_000  # one note, twenty thousand times
PARTS = ("train", "valid", "test")
LOAD = partial(train.load, like=TREE)
MAKES_A_FOLDER = Call(os.mkdir, "../ran")
LEAVES = [
    {"path": "['n']", "value": "2"},
    {"path": "['w']", "shape": [2**40], "dtype": "float64"},
]
ELSEWHERE = b'<a><rootfile full-path="../../../etc/hostname"/></a>'
PLAIN = b"PK\x01\x02\x14\x03\x14\x00\x00"  # how an entry begins that is not encrypted
CHANNELS = b"channel_count -i 1"


HOSTILE = {
    # what would run code
    "pickle that calls a function": ("a.pickle", lambda: pickle.dumps(MAKES_A_FOLDER), read_rolls),
    "pickle that imports a module": ("a.pkl", lambda: b"c__main__\n__dict__\n.", read_rolls),
    "pickle of another pickle's reader": (
        "a.pkl",
        lambda: pickle.dumps(Call(pickle.loads, b"N.")),
        read_rolls,
    ),
    "pickle named json": ("a.json", lambda: pickle.dumps(MAKES_A_FOLDER), read_rolls),
    "pickle named npz": ("a.npz", lambda: pickle.dumps(MAKES_A_FOLDER), NPZ),
    "objects in an npz": (
        "a.npz",
        lambda: npz({"wave.npy": npy((1,), "'|O'", pickle.dumps(MAKES_A_FOLDER))}),
        NPZ,
    ),
    "code in the header of an npy": (
        "a.npz",
        lambda: npz({"wave.npy": npy("(__import__('os').mkdir('../ran'),)")}),
        NPZ,
    ),
    "pickle named checkpoint": ("a.avfkit", lambda: pickle.dumps(MAKES_A_FOLDER), LOAD),
    "pickle named result": ("a.json", lambda: pickle.dumps(MAKES_A_FOLDER), read_result),
    # headers that claim what is not there
    "npy that claims eight terabytes": ("a.npz", lambda: npz({"wave.npy": npy((2**40,))}), NPZ),
    "npy that claims eight gigabytes": ("a.npz", lambda: npz({"wave.npy": npy((2**30,))}), NPZ),
    "npy whose size overflows": ("a.npz", lambda: npz({"wave.npy": npy((2**62, 2**62))}), NPZ),
    "npy of negative size": ("a.npz", lambda: npz({"wave.npy": npy((-(2**40),))}), NPZ),
    "npy with a nested header": ("a.npz", lambda: npz({"wave.npy": npy("-" * 9000 + "1")}), NPZ),
    "npy with a header of brackets": ("a.npz", lambda: npz({"wave.npy": npy("(" * 9000)}), NPZ),
    "npy with a header of 60 kB": (
        "a.npz",
        lambda: npz({"wave.npy": npy("(" + "1," * 30000 + ")")}),
        NPZ,
    ),
    "npy outside a zip file": ("a.npz", lambda: npy((2**40,)), NPZ),
    "npz member that claims more than it holds": (
        "a.npz",
        lambda: npz({"wave.npy": npy((8,))}, 2**32 - 2),
        NPZ,
    ),
    "npz that unpacks to two gigabytes": ("a.npz", bomb_npz, NPZ),
    "mat that claims a terabyte": ("a.mat", mat, read_rolls),
    "mat of complex size": ("a.mat", lambda: mat(dims=(-1, 2**31 - 1)), read_rolls),
    "mat of cells": ("a.mat", lambda: mat(kind=1), read_rolls),
    "SPHERE that claims a terabyte": ("a.wav", lambda: sphere(noise(100), count=2**40), WAVE),
    "SPHERE with many channels": (
        "a.wav",
        lambda: sphere(noise(100)).replace(CHANNELS, CHANNELS + b"0" * 9),
        WAVE,
    ),
    "wav that claims four gigabytes": (
        "a.wav",
        lambda: riff(noise(100)).replace(struct.pack("<I", 200), b"\xff\xff\xff\xff"),
        WAVE,
    ),
    "wav with 65,535 channels": (
        "a.wav",
        lambda: riff(noise(100))[:22] + b"\xff\xff" + riff(noise(100))[24:],
        WAVE,
    ),
    "avi with gigabytes of picture": (
        "a.avi",
        huge_avi,
        lambda path: read_film(Film(path), (8, 8)),
    ),
    "pickle that asks for a memo of gigabytes": (
        "a.pkl",
        lambda: b"\x80\x02]r\xff\xff\xff\x7f.",
        read_rolls,
    ),
    "pickle that claims exabytes of bytes": (
        "a.pkl",
        lambda: b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",
        read_rolls,
    ),
    "pickle with a huge frame": (
        "a.pkl",
        lambda: b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
        read_rolls,
    ),
    "bar of a billion quarters": ("a.xml", lambda: BAR % (b"1", b"C", b"4", b"9" * 9), read_parts),
    "note above every piano": ("a.xml", lambda: BAR % (b"1", b"C", b"9" * 9, b"1"), read_parts),
    "quarters divided by zero": ("a.xml", lambda: BAR % (b"0", b"C", b"4", b"1"), read_parts),
    "note without a name": ("a.xml", lambda: BAR % (b"1", b"Q", b"4", b"1"), read_parts),
    "checkpoint that claims a terabyte": ("a.avfkit", lambda: checkpoint(leaves=LEAVES), LOAD),
    "checkpoint with leaves that are none": (
        "a.avfkit",
        lambda: checkpoint(leaves=[5, None]),
        LOAD,
    ),
    "checkpoint with a number for its leaves": ("a.avfkit", lambda: checkpoint(leaves=5), LOAD),
    "checkpoint with a list of settings": ("a.avfkit", lambda: checkpoint(settings=[]), LOAD),
    "checkpoint without its arrays": ("a.avfkit", lambda: checkpoint(content=b""), LOAD),
    # what grows when it is read
    "json nested 200,000 deep": ("a.json", lambda: NESTED, read_rolls),
    "json with a number of a million digits": (
        "a.json",
        lambda: b'{"train": [[[' + b"9" * 10**6 + b"]]]}",
        read_rolls,
    ),
    "pickle of one song many times": (
        "a.pkl",
        lambda: pickle.dumps({part: [SONG] * 1000 for part in PARTS}),
        read_rolls,
    ),
    "pickle of one note many times": (
        "a.pkl",
        lambda: pickle.dumps({part: [[CHORD] * 1000] for part in PARTS}),
        read_rolls,
    ),
    "xml of a billion laughs": ("a.xml", lambda: LAUGHS, read_parts),
    "mxl that unpacks to two gigabytes": (
        "a.mxl",
        lambda: bomb_npz(b"META-INF/container.xml"),
        read_parts,
    ),
    "result nested 200,000 deep": ("a.json", lambda: NESTED, read_result),
    "checkpoint nested 200,000 deep": (
        "a.avfkit",
        lambda: b'{"format": "avfkit-checkpoint-2", "run": ' + NESTED,
        LOAD,
    ),
    # what leads elsewhere
    "xml that reads another file": ("a.xml", lambda: OUTSIDE, read_parts),
    "mxl whose score lies outside": (
        "a.mxl",
        lambda: npz({"META-INF/container.xml": ELSEWHERE}),
        read_parts,
    ),
    # what is something else, or broken
    "npz encrypted": (
        "a.npz",
        lambda: npz({"wave.npy": npy((8,))}).replace(PLAIN, PLAIN[:-1] + b"\x01"),
        NPZ,
    ),
    "npz packed in an unknown way": (
        "a.npz",
        lambda: npz({"wave.npy": npy((8,))}).replace(b"\x08\x00", b"\x63\x00"),
        NPZ,
    ),
    "text that is no text": ("a.json", lambda: b"\xff\xfe\x00", read_result),
    "directory named npz": ("a.npz", None, NPZ),
    "pipe named wav": ("a.wav", os.mkfifo, WAVE),
    "endless device named wav": ("a.wav", partial(os.symlink, "/dev/zero"), WAVE),
    "endless device named pickle": ("a.pkl", partial(os.symlink, "/dev/zero"), read_rolls),
    "endless device named mxl": ("a.mxl", partial(os.symlink, "/dev/zero"), read_parts),
}


@contextmanager
def little_memory():
    """An allocation of more than a gigabyte fails."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + SPARE, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to read in, beside one that must stay as it is."""
    (tmp_path / "here").mkdir()
    (tmp_path / "victim").write_text("precious")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("AVFKIT_DATA", raising=False)
    monkeypatch.setenv("AVFKIT_CACHE", str(tmp_path / "here" / "cache"))
    yield tmp_path / "here"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "victim"]
    assert (tmp_path / "victim").read_text() == "precious"


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused(what, here):
    name, make, read = HOSTILE[what]
    path = here / name
    if make is None:
        path.mkdir()
    elif isinstance(make, partial) or make is os.mkfifo:
        make(path)
    else:
        path.write_bytes(make())
        if path.suffix in (".pickle", ".pkl") and "calls" in what:
            pickle.loads(path.read_bytes())  # hostile indeed: an ordinary reader runs it
            (here.parent / "ran").rmdir()
    with little_memory(), pytest.raises((ValueError, IsADirectoryError)) as caught:
        read(path)
    assert name in str(caught.value)  # it is said which file
    assert [p.name for p in here.iterdir()] == [name]


def test_names_in_archives_never_become_paths(here):
    """Members that climb out, or are links, of a tar and a zip file: read as data or not at all."""
    clip = riff(noise(16000))
    members = {"yes/0a7c2a8d_nohash_0.wav": clip, "../../yes/0b7c2a8d_nohash_0.wav": clip,
               "/tmp/yes/0c7c2a8d_nohash_0.wav": clip, "yes/0d7c2a8d_nohash_0.wav": "../../victim",
               "yes/../../victim": b"spoilt"}  # fmt: skip
    path = here / "cache" / "tiny.tar.gz"
    path.parent.mkdir()
    path.write_bytes(tar(members))
    found = _fetched(Archive("http://localhost/tiny.tar.gz", sha256_of(path)), here / "cache")
    assert found.names.tolist() == ["yes/0a7c2a8d_nohash_0.wav"]
    film = avi(np.zeros((3, 16, 16), np.uint8))
    name = "person01_walking_d1_uncomp.avi"
    (here / "films.zip").write_bytes(npz({f"../../{name}": film, "../../victim": b"spoilt"}))
    films = films_below(here)
    assert [*films] == ["person01_walking_d1"]
    assert read_film(films["person01_walking_d1"], (8, 8)).shape == (3, 8, 8)
    assert sorted(p.name for p in here.iterdir()) == ["cache", "films.zip"]


def test_links_in_the_cache_are_replaced_not_followed(here):
    cache = here / "cache"
    cache.mkdir()
    (cache / "a.bin").symlink_to(here.parent / "victim")
    (cache / "a.npz").symlink_to(here.parent / "missing")
    clips = {"a": np.arange(5, dtype=np.int16)}
    found = decoded(cache / "a.npz", lambda: iter(clips.items()))
    assert found.values.tolist() == [0, 1, 2, 3, 4]
    assert not (cache / "a.bin").is_symlink() and not (cache / "a.npz").is_symlink()


@pytest.mark.parametrize(
    "change", [{"kind": "|O8"}, {"kind": "<f8"}, {"shape": [-1]}, {"length": [-5, 10]}]
)
def test_an_index_that_claims_other_arrays_is_refused(change, here):
    """Were numbers in a file taken for the addresses of objects, reading one could do anything."""
    path = here / "cache" / "a.npz"
    decoded(path, lambda: iter({"a": np.arange(5, dtype=np.int64)}.items()))
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **(arrays | {name: np.array(value) for name, value in change.items()}))
    with pytest.raises(ValueError) as caught:
        decoded(path, lambda: iter(()))
    assert str(caught.value) == (
        f"{path} was altered: it is no index of decoded integers. Delete it, and the next call "
        "decodes anew."
    )


def test_links_in_the_folder_of_a_run_are_not_followed(here):
    save = partial(train.save, here / "a.avfkit", TREE, hyperparameters={})
    (here / "a.avfkit").symlink_to(here.parent / "victim")
    (here / "a.avfkit.tmp").symlink_to(here.parent / "victim")
    save()
    assert [path.name for path in here.iterdir()] == ["a.avfkit"]
    (here / ".lock").symlink_to(here.parent / "victim")
    with pytest.raises(OSError) as caught:
        lock(here)
    assert caught.value.args[1] == (
        f"{here} cannot be written (Too many levels of symbolic links); what was there is kept"
    )


def test_a_folder_of_links_to_devices_is_refused(here):
    (here / "yes").mkdir()
    (here / "yes" / "0a7c2a8d_nohash_0.wav").symlink_to("/dev/zero")
    with pytest.raises(ValueError) as caught:
        _found(Archive("http://localhost/none.tar.gz", "0" * 64), here, here / "cache")
    assert str(caught.value) == f"{here / 'yes/0a7c2a8d_nohash_0.wav'} is not an ordinary file."


def test_a_score_that_never_ends_is_refused(here):
    bar = BAR % (b"1", b"C", b"4", b"900")
    measure = bar[bar.index(b"<measure>") : bar.index(b"</part>")]
    bar = bar.replace(measure, measure * 80)
    head = bar[bar.index(b"<score-part ") : bar.index(b"</part-list>")]
    part = bar[bar.index(b"<part ") : bar.index(b"</score-partwise>")]
    heads, parts = b"", b""
    for name in (b"Soprano", b"Alto", b"Tenor", b"Bass"):
        heads += head.replace(b"Soprano", name).replace(b"'1'", b"'%s'" % name)
        parts += part.replace(b"'1'", b"'%s'" % name)
    (here / "a.xml").write_bytes(
        b"<score-partwise><part-list>" + heads + b"</part-list>" + parts + b"</score-partwise>"
    )
    with pytest.raises(ValueError) as caught:
        read_chorales([here / "a.xml"])
    assert str(caught.value) == "a score has 72,000 quarters, expected at most 65,536."


def rolls_in_mat():
    """One song of one chord in each part, written by scipy, packed."""
    cells = {f"{part}data": np.empty((1, 1), object) for part in PARTS}
    for cell in cells.values():
        cell[0, 0] = np.eye(1, 88, 40, dtype=np.uint8)
    file = io.BytesIO()
    savemat(file, cells, do_compression=True)
    return file.getvalue()


FORMATS = {
    "a.npz": (lambda: npz({"wave.npy": npy((8,))}), NPZ),
    "a.mat": (rolls_in_mat, read_rolls),
    "a.json": (lambda: json.dumps({part: [[[60]]] for part in PARTS}).encode(), read_rolls),
    "a.pkl": (lambda: pickle.dumps({part: [[[60]]] for part in PARTS}), read_rolls),
    "a.xml": (lambda: BAR % (b"1", b"C", b"4", b"1"), read_parts),
    "a.avfkit": (checkpoint, LOAD),
    "a.wav": (lambda: riff(noise(30)), WAVE),
}


@pytest.mark.parametrize("name", FORMATS)
def test_flipped_bits_and_cuts_are_refused_or_harmless(name, here):
    """Whatever one bit or one cut does: an error that names the file, or what can be read."""
    make, read = FORMATS[name]
    whole, rng, refused = make(), np.random.default_rng(0), 0
    for trial in range(150):
        content = bytearray(whole)
        if trial % 3 == 0:
            del content[rng.integers(len(whole)) :]
        else:
            content[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        (here / name).write_bytes(content)
        try:
            with little_memory():
                read(here / name)
        except ValueError as error:
            assert name in str(error)
            refused += 1
    assert refused >= 60


@pytest.mark.parametrize("name", ["a.npz", "a.mat", "a.json", "a.pkl", "a.xml", "a.avfkit"])
def test_what_is_mislabelled_is_refused(name, here):
    for other, (make, _) in FORMATS.items():
        if other != name:
            (here / name).write_bytes(make())
            with pytest.raises(ValueError) as caught:
                FORMATS[name][1](here / name)
            assert name in str(caught.value)


def test_the_limit_of_an_npz_is_above_what_is_published():
    assert LARGEST > 10 * 10_060 * 64 * 64  # the CMU films, the largest
