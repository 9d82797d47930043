"""Add images to a project that is there already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path

from lorasmith.dataset.folders import read_repeats
from lorasmith.dataset.ingest import Ingested, ingest_more, warn_of_links
from lorasmith.dataset.mending import Mended, find_mended, write_mended
from lorasmith.dataset.provenance import record_provenance
from lorasmith.dataset.reading import Item, read_all
from lorasmith.dataset.sources import open_source
from lorasmith.dataset.sources.source import PLAIN, SourceOptions
from lorasmith.dataset.stored import image_roots
from lorasmith.errors import DatasetError, UsageError
from lorasmith.events import Note, Work
from lorasmith.project import Project
from lorasmith.remedies import Give, Sentence
from lorasmith.storage.arrivals import arriving


def add_images(
    project: Project,
    sources: Sequence[Path],
    *,
    into: str = "",
    today: str | None = None,
    options: SourceOptions = PLAIN,
    captions: bool = False,
) -> Work[Ingested]:
    """Copy the sources' images and captions into the project's images, in the folder `into` of them if one is named.

    What lies there stays as it is; pictures that the project has already (rejected ones too) are left out and named.
    With `captions` the captions of those take the place of theirs, which are kept below build/; else one warning says
    that they differ. Where each is from goes to sources.jsonl; `today` (YYYY-MM-DD) is the date of retrieval. Raises
    UsageError without a source, for a folder that is not inside, or when the images lie outside of the project;
    DatasetError when nothing is new; StorageError, also while another process adds.
    """
    if not sources:
        raise UsageError("no images were named.", hint="Give their folder or files:", remedy=Give("images", "SRC"))
    root = _find_root(project)
    folder = (root / into).resolve()
    if not folder.is_relative_to(root):
        raise UsageError(
            f'"{into}" is not inside {root}.', field="into", hint='Name a folder in it, such as "2_supporting".'
        )
    offers = [open_source(source, options) for source in sources]
    if any(source.resolve() == root or root.is_relative_to(source.resolve()) for source in sources):
        raise UsageError("those are the images of the project itself.", hint="Name images from elsewhere.")
    with arriving(project.root) as gathered:
        known = yield from _read_known(project)
        place = gathered / folder.relative_to(project.root)
        day, mend = today or date.today().isoformat(), partial(find_mended, project)
        ingested = yield from ingest_more(offers, place, folder, known, day, mend=mend, captions=captions)
        record_provenance(project.root, ingested.provenance, gathered)
    yield from _mend(project, ingested.mended, captions)
    yield from _warn_of_repeats(folder.relative_to(root))
    yield from warn_of_links(ingested)
    for offer in offers:
        for line in offer.said:
            yield Note(line)
        if offer.class_images or offer.settings:
            kept = [*(["class images"] if offer.class_images else []), *offer.settings]
            yield Note(f"Not taken over, for the project has its own recipe: {', '.join(kept)}.", "warning")
    return ingested


def _mend(project: Project, mended: Sequence[Mended], captions: bool) -> Iterator[Note]:
    """Write other captions of known pictures, or say that they differ and how they are taken."""
    if not mended:
        return
    what, ones = ("caption", "one") if len(mended) == 1 else ("captions", "ones")
    names = f"{mended[0].item.name}{', ...' if len(mended) > 1 else ''}"
    if captions:
        kept = write_mended(project, mended)
        yield Note(f"{len(mended)} {what} replaced ({names}); the earlier {ones} are kept in {kept}.")
        return
    way = Sentence(" To take them: ", Give("captions"))
    yield Note(f"{len(mended)} {what} came with pictures that are there with other words ({names}).{way}", "warning")


def _warn_of_repeats(folder: Path) -> Iterator[Note]:
    """That what lies in a folder of 0 repeats is never trained (kohya's trainer passes it over, too)."""
    for part in folder.parts[:1]:
        repeats = read_repeats(part)
        if repeats is not None and repeats[0] < 1:
            yield Note(f"{part}/ has {repeats[0]} repeats: its images are never trained.", "warning")


def _find_root(project: Project) -> Path:
    """The first folder of images that lies in the project; the others are the user's own."""
    for root in image_roots(project):
        resolved = root.resolve()
        if resolved.is_relative_to(project.cache.resolve()):  # the mirror of a URL
            continue
        if resolved.is_relative_to(project.root.resolve()) and resolved != project.root.resolve():
            return resolved
    raise UsageError(
        "its images lie outside of the project, and nothing of yours is changed.",
        where=project.where("dataset"),
        hint='Add a folder of the project, such as: images = ["/their/place", "images"]',
    )


def _read_known(project: Project) -> Work[Mapping[str, Sequence[Item]]]:
    """The project's pictures, rejected ones too, by their sha256."""
    try:
        dataset = yield from read_all(project)
    except DatasetError:  # none yet, or none that can be read
        return {}
    known: dict[str, list[Item]] = {}
    for item in (*dataset.items, *dataset.rejected):
        known.setdefault(item.facts.sha256, []).append(item)
    return known
