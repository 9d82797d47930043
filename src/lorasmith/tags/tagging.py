"""A tagger at work on a dataset, batch by batch: in this process, or in the workers of a cluster."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lorasmith.dataset.measuring import ENDS_PROCESS
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import DatasetError, ImageError
from lorasmith.events import Note, Progress, Work, eta
from lorasmith.images.crops import Box, open_part
from lorasmith.pools.choosing import open_pool
from lorasmith.pools.pool import Job
from lorasmith.project import Project
from lorasmith.tags.categories import RATING
from lorasmith.tags.scores import ScoredTag, StoredTags
from lorasmith.tags.store import read_stored, store, store_tagger
from lorasmith.tags.tagger import Scores, Tagger, open_tagger

_LEAST_STORED = 0.02
_BATCH = 8
_SAVE_EVERY = 5.0  # seconds
_NEVER = 1 << 62
"""A tagger has the threads of all cores: on one machine more processes would only hold it in memory several times."""

Place = tuple[Path, Box | None]
"""A file, or a part of it."""
Seen = tuple[ScoredTag, ...] | str
"""What a tagger says of a picture, or why it says nothing."""


@dataclass(frozen=True)
class TaggerHandle:
    """A tagger that is sent by its name: whoever gets it opens it again, and it must be the same."""

    tagger: Tagger

    def __reduce__(self) -> tuple[Callable[[str | Path, str], TaggerHandle], tuple[str | Path, str]]:
        return _open_again, (self.tagger.source, self.tagger.identity)


def _open_again(source: str | Path, identity: str) -> TaggerHandle:
    tagger = open_tagger(source)
    if tagger.identity != identity:
        raise DatasetError(f"is the tagger {tagger.identity} there, {identity} here.", where=source)
    return TaggerHandle(tagger)


def open_look(handle: TaggerHandle) -> Callable[[Sequence[Place]], list[Seen]]:
    """What the tagger says of a batch of files, a row each."""
    tagger = handle.tagger
    vocabulary = tuple(zip(tagger.names, tagger.categories, strict=True))

    def look(places: Sequence[Place]) -> list[Seen]:
        said: dict[int, Seen] = {}
        views: dict[int, Sequence[Scores]] = {}
        for number, place in enumerate(places):
            try:
                views[number] = tagger.views(open_part(*place))
            except ImageError as fault:
                said[number] = fault.message
        for number, row in zip(views, tagger.scores_of(list(views.values())), strict=True):
            good = bool(np.isfinite(row).all())
            said[number] = _likely(vocabulary, row) if good else "the tagger gives no numbers for it."
        return [said[number] for number in range(len(places))]

    return look


def tag_images(project: Project, dataset: Dataset, tagger: Tagger, again: bool = False) -> Work[int]:
    """Tag the images that this tagger has not seen yet (`again`: all of them) and store what it said, with scores.

    Of an image with a decided crop that part is tagged, which is what the trainer sees; another crop is another image.
    Gives the number of images tagged. What is done is stored along the way, so that it can be interrupted. An image
    that cannot be opened, for which the model gives no numbers, or which ends every process that reads it, is named by
    a note and passed over.
    """
    store_tagger(project, tagger.identity, tuple(zip(tagger.names, tagger.categories, strict=True)))
    todo = list({item.content: item for item in dataset.items}.values())
    if not again:
        known = read_stored(project)
        todo = [item for item in todo if not _done(known.get(item.content, ()), tagger)]
    batches = [todo[start : start + _BATCH] for start in range(0, len(todo), _BATCH)]
    fresh: list[StoredTags] = []
    tagged, done, started = 0, 0, time.monotonic()
    saved = started
    try:
        for item, said in _ask(batches, tagger):
            if isinstance(said, str):
                yield Note(f"{item.name}: not tagged: {said}", "warning")
            else:
                fresh.append(StoredTags(item.content, tagger.identity, said))
                tagged += 1
            if time.monotonic() - saved >= _SAVE_EVERY:
                store(project, fresh)
                fresh, saved = [], time.monotonic()
            done += 1
            if done % _BATCH == 0 or done == len(todo):
                yield Progress("tagging", done, len(todo), eta(started, done, len(todo)))
    finally:
        if fresh:
            store(project, fresh)
    return tagged


def _ask(batches: Sequence[Sequence[Item]], tagger: Tagger) -> Iterator[tuple[Item, Seen]]:
    """What is said of every item, in their order; those of a batch that ends every process come last, one by one."""
    job = Job(open_look, (TaggerHandle(tagger),))
    deadly: list[Item] = []
    with open_pool(len(batches), _NEVER) as pool:
        with contextlib.closing(pool.in_order(job, [_places(batch) for batch in batches], 1)) as answers:
            for batch, answer in zip(batches, answers, strict=True):
                if answer.killed:
                    deadly += batch
                else:
                    yield from zip(batch, answer.get(), strict=True)
        with contextlib.closing(pool.in_order(job, [_places([item]) for item in deadly], 1)) as answers:
            for item, answer in zip(deadly, answers, strict=True):
                yield item, ENDS_PROCESS if answer.killed else answer.get()[0]


def _places(items: Sequence[Item]) -> list[Place]:
    return [(item.path, item.crop) for item in items]


def _done(stored: Sequence[StoredTags], tagger: Tagger) -> bool:
    return any(tags.tagger == tagger.identity for tags in stored)


def _likely(vocabulary: Sequence[tuple[str, int]], row: Scores) -> tuple[ScoredTag, ...]:
    """The tags worth keeping: down to far below any threshold that somebody may set; all the ratings; best first."""
    kept = [
        ScoredTag(name, category, score)
        for (name, category), score in zip(vocabulary, row.tolist(), strict=True)
        if score >= _LEAST_STORED or category == RATING
    ]
    return tuple(sorted(kept, key=lambda tag: -tag.score))
