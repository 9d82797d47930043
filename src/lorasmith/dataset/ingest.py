"""Take images in: copy them, with their captions, from wherever they lie into a project. Nothing is moved."""

from __future__ import annotations

import hashlib
import lzma
import os
import time
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path, PurePosixPath

from lorasmith.dataset.encodings import NotTextError, decode
from lorasmith.dataset.folders import CAPTION_EXTENSIONS, Problem, printable, read_repeats
from lorasmith.dataset.mending import Mended
from lorasmith.dataset.provenance import Provenance
from lorasmith.dataset.reading import Item
from lorasmith.dataset.sources.source import Offer, Origin, Piece
from lorasmith.errors import DatasetError
from lorasmith.events import Note, Progress, Work, eta
from lorasmith.remedies import Give, Sentence

_BLOCK = 1 << 20
_LONGEST_STEM, _LONGEST_PLACE = 200, 1000  # bytes
_DECODERS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError)
_UNREADABLE = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, *_DECODERS)


@dataclass(frozen=True)
class Ingested:
    """What came in: images and captions by number, where each image is from, and what was left out and why; `places`
    are those of the images, in their order, and `names` what they are called where they are from; `class_images` how
    many came beside them; `mended` other captions that came with pictures which are there already."""

    images: int = 0
    captions: int = 0
    provenance: tuple[Provenance, ...] = ()
    left_out: tuple[Problem, ...] = ()
    places: tuple[PurePosixPath, ...] = ()
    class_images: int = 0
    names: tuple[str, ...] = ()
    mended: tuple[Mended, ...] = ()


def ingest(offers: Sequence[Offer], folder: Path, today: str) -> Work[Ingested]:
    """Copy all that the sources offer into the new `folder`.

    `N_name` folders keep their names at the top, so that their repeats hold; of several other sources each keeps its
    own. Names that meet are numbered, with their captions. What cannot be read is left out and named. `today` is the
    date of retrieval where the source knows none. Raises DatasetError when no image comes in, OSError.
    """
    ingested = yield from _gather(offers, folder, today)
    if not ingested.images:
        raise _nothing_came("image", offers, ingested)
    return ingested


def ingest_more(
    offers: Sequence[Offer],
    folder: Path,
    beside: Path,
    known: Mapping[str, Sequence[Item]],
    today: str,
    *,
    mend: Callable[[Sequence[Item], str], Sequence[Mended]],
    captions: bool = False,
) -> Work[Ingested]:
    """Copy all that the sources offer into `folder`, to places that are free in the folder `beside`, too.

    As `ingest`, but pictures whose sha256 is `known` are left out with their captions, and named. `mend` tells which of
    the known ones a caption is another of; with `captions` those are to be taken. Raises DatasetError when nothing is
    new, OSError.
    """
    ingested = yield from _gather(offers, folder, today, _taken_places(beside))
    ingested = _leave_known(ingested, folder, known, mend, captions)
    if not ingested.images and not (captions and ingested.mended):
        raise _nothing_came("new image", offers, ingested)
    return ingested


def _nothing_came(what: str, offers: Sequence[Offer], ingested: Ingested) -> DatasetError:
    listed = "".join(f"\n  {problem.name}: {problem.message}" for problem in ingested.left_out[:5])
    remedy = Sentence("To take the captions: ", Give("captions")) if ingested.mended else None
    return DatasetError(
        f"no {what} came in from {len(offers)} sources.{listed}",
        remedy=remedy or Sentence("Check ", Give("images"), "."),
    )


def warn_of_links(ingested: Ingested) -> Iterator[Note]:
    """One warning when links were left out, with the way to have them."""
    links = sum(problem.kind == "link" for problem in ingested.left_out)
    if links:
        remedy = Sentence("To take what they lead to: ", Give("follow_links"), ".")
        yield Note(f"{links} {'link was' if links == 1 else 'links were'} not followed. {remedy}", "warning")


def _taken_places(folder: Path) -> _Places:
    """The places of what lies in `folder`."""
    places = _Places()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        places.take(PurePosixPath(file.relative_to(folder).as_posix()))
    return places


def _leave_known(
    ingested: Ingested,
    partial: Path,
    known: Mapping[str, Sequence[Item]],
    mend: Callable[[Sequence[Item], str], Sequence[Mended]],
    taken: bool,
) -> Ingested:
    """Without the pictures that are there already, once each, and their captions, but for those that differ: the first
    one for each picture is `mended`."""
    seen = set(known)
    new: dict[PurePosixPath, Provenance] = {}
    old: dict[PurePosixPath, tuple[Provenance, str]] = {}
    for one, place, name in zip(ingested.provenance, ingested.places, ingested.names, strict=True):
        if one.sha256 in seen:
            old[place] = one, name
        else:
            new[place] = one
        seen.add(one.sha256)
    mended: dict[str, Sequence[Mended]] = {}
    left_out = list(ingested.left_out)
    captions = ingested.captions
    stems = {place.with_suffix("") for place in new}  # a caption is of every picture with its stem
    for place, (one, name) in old.items():
        file = partial / place
        file.unlink()
        theirs = [caption for suffix in CAPTION_EXTENSIONS if (caption := file.with_suffix(suffix)).is_file()]
        if place.with_suffix("") in stems:
            theirs = []
        message = "is there already. Its caption is left out, too." if theirs else "is there already."
        text = _text(theirs[0]) if theirs else ""
        if text and one.sha256 not in mended and (others := mend(known.get(one.sha256, ()), text)):
            mended[one.sha256] = others
            message = "is there already. Its caption is taken." if taken else message
        for caption in theirs:
            caption.unlink()
        captions -= len(theirs)
        left_out.append(Problem("known", name, file, message))
    return Ingested(
        len(new), captions, tuple(new.values()), tuple(left_out), mended=tuple(chain.from_iterable(mended.values()))
    )


def _text(caption: Path) -> str:
    """The text of a caption that came in; "" for one that cannot be read."""
    try:
        return decode(caption.read_bytes()).strip()
    except NotTextError:
        return ""


def ingest_in_place(offers: Sequence[Offer], today: str) -> Ingested:
    """What lies there already: nothing is copied."""
    captions = 0
    known: list[Provenance] = []
    left_out: list[Problem] = []
    for piece in (piece for offer in offers for piece in offer.contents):
        if isinstance(piece, Problem):
            left_out.append(piece)
        elif not piece.is_image:
            captions += 1
        else:
            digest = hashlib.sha256()
            try:
                for block in _blocks(piece):
                    digest.update(block)
            except _Unreadable as fault:
                left_out.append(_unreadable(piece, fault))
            else:
                known.append(_provenance(digest.hexdigest(), piece.place, piece.origin, today))
    return Ingested(len(known), captions, tuple(known), tuple(left_out))


def _gather(offers: Sequence[Offer], folder: Path, today: str, places: _Places | None = None) -> Work[Ingested]:
    """Copy everything into `folder`, to `places` that are free."""
    places = places or _Places()
    came: list[PurePosixPath] = []
    captions = 0
    known: list[Provenance] = []
    names: list[str] = []
    left_out: list[Problem] = []
    done, total, started = 0, sum(offer.count for offer in offers), time.monotonic()
    for offer in offers:
        places.next_source()
        top = _top(offer, alone=len(offers) == 1)
        for piece in offer.contents:
            if isinstance(piece, Problem):
                left_out.append(piece)
                continue
            target = places.give(_below(top, piece.place), piece.is_image)
            try:
                sha256 = _copy(piece, folder / target)
            except _Unreadable as fault:
                left_out.append(_unreadable(piece, fault))
            else:
                captions += not piece.is_image
                if piece.is_image:
                    known.append(_provenance(sha256, target, piece.origin, today))
                    came.append(target)
                    names.append(printable(str(piece.place if len(offers) == 1 else offer.label / piece.place)))
            done += 1
            yield Progress("copying", done, max(total, done), eta(started, done, total))
    return Ingested(len(known), captions, tuple(known), tuple(left_out), tuple(came), names=tuple(names))


class _Unreadable(Exception):
    """A piece that its source cannot give."""


def _unreadable(piece: Piece, fault: _Unreadable) -> Problem:
    return Problem("unreadable", printable(str(piece.place)), Path(piece.place), str(fault))


def _copy(piece: Piece, target: Path) -> str:
    """Copy and give the sha256. Raises _Unreadable for the source's faults, OSError for the target's."""
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as out:
        try:
            for block in _blocks(piece):
                digest.update(block)
                out.write(block)
        except _Unreadable:
            target.unlink()
            raise
    return digest.hexdigest()


def _blocks(piece: Piece) -> Iterator[bytes]:
    """The piece's bytes. Only reading happens here, so that every fault is the source's."""
    try:
        source = piece.open()
    except _UNREADABLE as fault:
        raise _Unreadable(_reason(fault)) from None
    with source:
        while True:
            try:
                block = source.read(_BLOCK)
            except _UNREADABLE as fault:
                raise _Unreadable(_reason(fault)) from None
            if not block:
                return
            yield block


def _reason(fault: BaseException) -> str:
    text = getattr(fault, "strerror", None) or (str(fault) or type(fault).__name__).splitlines()[0][:120]
    return f"cannot be read: {printable(str(text))}."


def _provenance(sha256: str, target: PurePosixPath, origin: Origin, today: str) -> Provenance:
    origin = origin if origin.retrieved else replace(origin, retrieved=today)
    return Provenance(
        sha256=sha256,
        name=printable(str(target)),
        source=origin.source,
        author=origin.author,
        licence=origin.licence,
        published=origin.published,
        retrieved=origin.retrieved,
    )


def _top(offer: Offer, alone: bool) -> str:
    """The folder that a source's files go into; "" for the images folder itself."""
    counts = read_repeats(offer.label)
    counted = counts is not None and counts[0] >= 1 and counts[1] != ""
    return offer.label if counted or not alone else ""


def _below(top: str, place: PurePosixPath) -> PurePosixPath:
    in_counted_child = len(place.parts) > 1 and read_repeats(place.parts[0]) is not None
    return place if in_counted_child else PurePosixPath(top, place)


class _Places:
    """Free places, so that nothing is overwritten, also where case or the form of accents makes no difference; a
    picture and its caption keep one stem."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._taken: set[str] = set()
        self._stems: dict[PurePosixPath, PurePosixPath] = {}
        self._alike: dict[str, PurePosixPath] = {}

    def next_source(self) -> None:
        """Stems of different sources do not belong together."""
        self._stems, self._alike = {}, {}

    def take(self, place: PurePosixPath) -> None:
        """Somebody has this place."""
        self._files.add(_composed(place))
        self._taken.add(_composed(place.with_suffix("")))

    def give(self, wanted: PurePosixPath, is_image: bool) -> PurePosixPath:
        """The place for a file that wants to be at `wanted`. A caption goes to its picture's stem, also when only the
        form of an accent differs."""
        fitting = fit(wanted)
        stem, extension = fitting.with_suffix(""), fitting.suffix
        known = self._stems.get(stem)
        if known is None and not is_image:
            known = self._alike.get(_composed(stem))
        if known is None or _composed(known) + extension in self._files:
            known = self._free(stem)
            if is_image or stem not in self._stems:
                self._stems[stem] = known
                self._alike.setdefault(_composed(stem), known)
        self._files.add(_composed(known) + extension)
        return known.with_name(known.name + extension)

    def _free(self, stem: PurePosixPath) -> PurePosixPath:
        free, number = stem, 2
        while _composed(free) in self._taken:
            free, number = stem.with_name(f"{stem.name}-{number}"), number + 1
        self._taken.add(_composed(free))
        return free


def fit(place: PurePosixPath) -> PurePosixPath:
    """`place` as a relative path that any disk takes, and that is not hidden: short, without `..`."""
    parts = [_fit_part(part) for part in place.with_suffix("").parts]
    if sum(len(os.fsencode(part)) + 1 for part in parts) > _LONGEST_PLACE:
        parts = [*parts[:1], _fit_part("-".join(parts[1:]))]
    last = PurePosixPath(*parts)
    return last.with_name(last.name + place.suffix)


def _fit_part(part: str) -> str:
    try:
        data = os.fsencode(part)
    except UnicodeEncodeError:  # half a character, as only JSON and TOML can hold
        data = part.encode("utf-8", "replace")
    data = data.replace(b"\0", b"_")
    if data.startswith(b"."):
        data = b"_" + data[1:]
    if len(data) > _LONGEST_STEM:
        mark = hashlib.sha256(data).hexdigest()[:8].encode()
        data = data[: _LONGEST_STEM - 9].decode("utf-8", "ignore").encode() + b"-" + mark
    return os.fsdecode(data)


def _composed(stem: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", str(stem)).casefold()
