"""A video: frames at even distances, and the first settled frame after every change of scene."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lorasmith.dataset.folders import Problem, printable
from lorasmith.dataset.sources.source import PLAIN, Offer, Origin, Piece, SourceKind, SourceOptions
from lorasmith.errors import DatasetError
from lorasmith.remedies import Install

if TYPE_CHECKING:
    from av.container import InputContainer

EXTENSIONS = frozenset({".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv"})
EVENLY = 30
"""So many frames at even distances; changes of scene come on top."""
MOST = 300
SETTLED = Fraction(1, 4)
"""Seconds that a new scene is given, so that no blend of two is taken."""
CUT = 24.0
"""A change of scene: the mean difference of two frames, 0..255, in grey at 32 x 32 pixels, is at least this."""
_LOOK = 32
_Look = npt.NDArray[np.int16]


def offer_video(path: Path, options: SourceOptions = PLAIN) -> Offer | None:
    """Frames as PNG, named by their time. Raises DatasetError when PyAV is missing or it holds no video."""
    del options
    if path.suffix.lower() not in EXTENSIONS or not path.is_file():
        return None
    where = printable(str(path))
    try:
        import av
    except ImportError:
        raise DatasetError(
            "a video; reading it needs the package av.", where=where, hint="Install it:", remedy=Install("video")
        ) from None
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DatasetError("no pictures in this video, only sound.", where=where)
    except (av.error.FFmpegError, OSError, ValueError) as fault:
        raise DatasetError(f"not a readable video ({_short(fault)}).", where=where, hint="Get it again.") from None
    return Offer("video", path.stem, EVENLY, _frames(path))


def _frames(path: Path) -> Iterator[Piece | Problem]:
    """The chosen frames, in one pass; a video that breaks off gives those before."""
    import av

    shown = printable(path.name)
    taken = 0
    try:
        with av.open(str(path)) as container:
            for seconds, frame in _chosen(container):
                data = _png(frame)
                place = PurePosixPath(f"{path.stem}-{float(seconds):08.2f}s.png")
                yield Piece(place, partial(io.BytesIO, data), Origin(source=f"{shown} at {float(seconds):.2f} s"))
                taken += 1
                if taken == MOST:
                    yield Problem("video", shown, path, f"only its first {MOST} frames of interest were taken.")
                    return
    except (av.error.FFmpegError, OSError, ValueError) as fault:
        yield Problem("video", shown, path, f"breaks off after {taken} frames ({_short(fault)}).")


def _chosen(container: InputContainer) -> Iterator[tuple[Fraction, Any]]:
    """(seconds from the start, frame) of every frame that is due or opens a scene."""
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    distance = _length(container) / EVENLY
    start: Fraction | None = None
    due, settled = distance / 2, None
    before: _Look | None = None
    last: tuple[Fraction, Any] | None = None
    taken = False
    for number, frame in enumerate(container.decode(stream)):
        time = Fraction(number, 25) if frame.pts is None else frame.pts * (frame.time_base or Fraction(1, 25))
        start = time if start is None else start
        seconds = max(Fraction(0), time - start)
        look = _look(frame)
        if before is not None and float(np.abs(look - before).mean()) >= CUT:
            settled = seconds + SETTLED
        before, last = look, (seconds, frame)
        if seconds >= due or (settled is not None and seconds >= settled):
            yield seconds, frame
            taken, settled = True, None
            while due <= seconds:
                due += distance
    if last is not None and not taken:
        yield last


def _length(container: InputContainer) -> Fraction:
    """Seconds of the whole video; one minute where it does not say."""
    stream = container.streams.video[0]
    if stream.duration and stream.time_base:
        return max(Fraction(1, 10), stream.duration * stream.time_base)
    return max(Fraction(1, 10), Fraction(container.duration, 1_000_000)) if container.duration else Fraction(60)


def _look(frame: Any) -> _Look:
    small: _Look = frame.reformat(width=_LOOK, height=_LOOK, format="gray").to_ndarray().astype(np.int16)
    return small


def _png(frame: Any) -> bytes:
    image = frame.to_image()
    if turn := getattr(frame, "rotation", 0):
        image = image.rotate(turn, expand=True)
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def _short(fault: Exception) -> str:
    return (getattr(fault, "strerror", None) or str(fault) or type(fault).__name__).splitlines()[0][:120]


KIND = SourceKind("a video", offer_video)
