"""What lies behind a URL, of any kind that fsspec knows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from lorasmith.dataset.folders import Problem, printable
from lorasmith.dataset.sources.source import Offer, Origin, Piece
from lorasmith.dataset.stored import is_wanted
from lorasmith.errors import DatasetError
from lorasmith.images.opening import is_image_name
from lorasmith.storage.remote import RemoteFolder


def offer_url(url: str) -> Offer:
    """Every picture and caption below it; nothing that leads out of it. Raises DatasetError when there is no picture,
    StorageError when nobody answers."""
    remote = RemoteFolder(url)
    listed, outside = remote.list()
    places = [one.place for one in listed if is_wanted(one.place)]
    pictures = [place for place in places if is_image_name(Path(place))]
    if not pictures:
        raise DatasetError("no images behind this URL.", where=url)
    label = remote.url.rpartition("/")[2]
    captions = [place for place in places if not is_image_name(Path(place))]
    return Offer("URL", label, len(places), _pieces(remote, [*pictures, *captions], outside))


def _pieces(remote: RemoteFolder, places: list[PurePosixPath], outside: tuple[str, ...]) -> Iterator[Piece | Problem]:
    for path in outside:
        yield Problem("link", printable(path), Path(path), "leads out of the URL, and is not read.")
    for place in places:
        yield Piece(place, partial(remote.open, place), Origin(source=printable(f"{remote.url}/{place}")))
