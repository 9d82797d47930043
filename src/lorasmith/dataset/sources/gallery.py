"""A folder that gallery-dl filled: a JSON beside each picture tells its page, author, licence and date."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lorasmith.dataset.folders import Found, Place, Problem, find_files, printable
from lorasmith.dataset.sources.folder import count, local_origin, pieces
from lorasmith.dataset.sources.source import PLAIN, Offer, Origin, Piece, SourceKind, SourceOptions

_LARGEST = 4 << 20
_SITE = "category"
_PAGES = ("post_url", "webpage_url", "page_url", "permalink", "source", "file_url", "url")
_AUTHORS = ("artist", "author", "creator", "user", "uploader", "username", "tags_artist", "tag_string_artist")
_LICENCES = ("licence", "license", "license_name", "rights")
_NAMES = ("name", "nick", "username", "title", "id")
Metadata = Mapping[str, Any]


def offer_gallery(path: Path, options: SourceOptions = PLAIN) -> Offer | None:
    """Pictures with their origins. Its tag files are read by every folder (`pieces`)."""
    if not path.is_dir():
        return None
    found = find_files(path, follow_links=options.follow_links)
    others = {place.path for place in found.others}
    about = {place.path: file for place in found.images if (file := _beside(place.path)) in others}
    if not any(_read(file) for file in about.values()):
        return None
    label = path.resolve().name

    def origin_of(place: Place) -> Origin:
        file = about.get(place.path)
        known = _read(file) if file else None
        return _origin(known, file) if known and file else local_origin(label, place)

    return Offer("gallery-dl folder", label, count(found), _contents(path, found, origin_of, set(about.values())))


def _contents(
    path: Path, found: Found, origin_of: Callable[[Place], Origin], used: set[Path]
) -> Iterator[Piece | Problem]:
    whole = {place.path for place in found.others if place.path.name == "info.json"}
    return pieces(path, found, origin_of, used=used | whole)


def _beside(image: Path) -> Path:
    return image.with_name(f"{image.name}.json")


def _read(file: Path) -> Metadata | None:
    """What gallery-dl wrote, known by the name of the site; None for any other JSON."""
    try:
        if file.stat().st_size > _LARGEST:
            return None
        known = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return known if isinstance(known, dict) and isinstance(known.get(_SITE), str) else None


def _origin(known: Metadata, file: Path) -> Origin:
    written = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return Origin(
        source=_page(known),
        author=_first(known, _AUTHORS),
        licence=_first(known, _LICENCES),
        published=_day(known.get("date")),
        retrieved=written.date().isoformat(),
    )


def _page(known: Metadata) -> str:
    """The address of the page, else of the file; else the site and its number there."""
    for key in _PAGES:
        value = known.get(key)
        if isinstance(value, str) and value.startswith(("https://", "http://")):
            return printable(value)
    return printable(f"{known[_SITE]} {known.get('id', '')}".strip())


def _first(known: Metadata, keys: tuple[str, ...]) -> str:
    return next((text for key in keys if (text := _text(known.get(key)))), "")


def _text(value: object) -> str:
    """Sites tell a name as a text, a number, an object with a name in it, or a list of those."""
    if isinstance(value, list):
        return ", ".join(text for one in value[:8] if (text := _word(one)))
    return _word(value)


def _word(value: object) -> str:
    if isinstance(value, Mapping):
        value = next((value[key] for key in _NAMES if isinstance(value.get(key), str | int)), None)
    return printable(str(value).strip())[:200] if isinstance(value, str | int) and value is not True else ""


def _day(value: object) -> str:
    """The day of "2024-05-01 12:00:00" or of seconds since 1970; "" for anything else."""
    try:
        if isinstance(value, str):
            return datetime.fromisoformat(value.strip()).date().isoformat()
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        pass
    return ""


KIND = SourceKind("a folder that gallery-dl filled", offer_gallery)
