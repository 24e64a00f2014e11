"""Reading films: AVI by FFmpeg through PyAV, unpacked or inside a zip, as small grey pictures."""

import io
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from ._cache import UNREADABLE, read_bytes

DECODING = 1  # raise it with any change of the pixels that a film gives: cached ones are old then
_NAME = re.compile(r"(person\d\d_[a-z]+_d\d)(?:_uncomp)?\.avi", re.IGNORECASE)
_LARGEST = 2**28  # bytes of an unpacked film; the published ones have about one million
_PIXELS = 2**22  # of a picture; the published ones have 160x120


class Film(NamedTuple):
    """Where a film lies: a file, or a member of a zip file."""

    path: Path
    member: str | None = None

    @property
    def where(self) -> str:
        """The place in words."""
        return str(self.path) if self.member is None else f"{self.path}: {self.member}"


def films_below(folder: Path) -> dict[str, Film]:
    """The films in a folder and its zip files, by name; an unpacked one comes first.

    Zip files are read where they lie: no name in one becomes a path.

    Raises:
        ValueError: if a zip file is truncated or altered.
    """
    found: dict[str, Film] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if match := _NAME.fullmatch(path.name):
            found.setdefault(match[1].lower(), Film(path))
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".zip"):
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
        except UNREADABLE as error:
            raise _damaged(str(path), error) from error
        for member in members:
            match = _NAME.fullmatch(member.filename.rpartition("/")[2])
            if match and member.file_size <= _LARGEST:
                found.setdefault(match[1].lower(), Film(path, member.filename))
    return found


def read_film(film: Film, shape: tuple[int, int]) -> UInt8[np.ndarray, "time height width"]:
    """The frames of a film, grey, resized by bilinear interpolation.

    Raises:
        ImportError: if PyAV or Pillow is not installed.
        ValueError: if it is truncated, altered, or no film.
    """
    try:
        import av
        from av.error import FFmpegError
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            f"{film.where} is a film; reading it needs PyAV and Pillow: "
            "pip install 'avfkit[video]'."
        ) from error
    size, frames = shape[::-1], list[np.ndarray]()
    try:
        with av.open(io.BytesIO(_bytes(film)), "r", "avi") as container:
            promised = container.streams.video[0].frames
            picture = container.streams.video[0].codec_context
            if picture.width * picture.height > _PIXELS:
                raise ValueError(f"its pictures have {picture.width}x{picture.height} pixels")
            for frame in container.decode(video=0):
                small = frame.to_image().convert("L").resize(size, Image.Resampling.BILINEAR)
                frames.append(np.asarray(small))
    except (FFmpegError, IndexError, ValueError, MemoryError, OverflowError) as error:
        raise _damaged(film.where, error) from error
    if len(frames) < promised // 2 or not frames:
        raise _damaged(film.where, f"its header says {promised} frames, it holds {len(frames)}")
    return np.stack(frames)


def _bytes(film: Film) -> bytes:
    if film.member is None:
        return read_bytes(film.path, _LARGEST)
    try:
        with zipfile.ZipFile(film.path) as archive:
            return archive.read(film.member)
    except UNREADABLE as error:
        raise ValueError(f"the archive cannot be unpacked: {error}") from error


def _damaged(where: str, why: object) -> ValueError:
    return ValueError(
        f"{where} is not a readable film ({why}). It is truncated or altered: copy it again."
    )
