"""From a spec and its axes to pictures on disk: every distinct cell drawn once, none drawn again.

A grid's folder keeps its cells, each under a key made of all that decides the picture: the settled spec, the base's
content and the adapters' content. What is there already is not drawn, whatever the axes were when it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from lorasmith.adapters.header import addnet_hash
from lorasmith.bases.text.embeddings import Embedding
from lorasmith.errors import LorasmithError, RefusedError
from lorasmith.events import Event, Note, Progress, Work, eta
from lorasmith.generation.base_facts import facts_of
from lorasmith.generation.checks import settle
from lorasmith.generation.grids.axes import STILL, Axis, Draft
from lorasmith.generation.grids.workers import KILLED, OpenPipeline, open_drawing, tell_fault
from lorasmith.generation.pictures import Picture, read_picture, save_picture
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from lorasmith.pools.choosing import open_pool
from lorasmith.pools.pool import Job, Pool
from lorasmith.project import EMBEDDED, safe_name
from lorasmith.prompts import split_networks
from lorasmith.prompts.dynamic import Expansion

CELLS = "cells"
KEY_DIGITS = 16
LONGEST_NAME = 60
_NEVER = 1 << 62
"""Pictures from which on the processes of this machine draw them: one draws with all cores."""
T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """A picture that one or more cells show. `path` is where it lies, or will; `kept` says that it is there.

    `origin` is where its prompt comes from, if not from the user's hand: written into the picture.
    """

    key: str
    base: str
    spec: PictureSpec
    path: Path
    kept: bool
    origin: Expansion | None = None


@dataclass(frozen=True)
class Order:
    """What a grid needs: for each place (x runs fastest, then y, then z) a picture, or the reason why there is none."""

    spec: PictureSpec
    x: Axis
    y: Axis
    z: Axis
    folder: Path
    places: tuple[Wanted | str, ...]

    @property
    def pictures(self) -> list[Wanted]:
        """The distinct pictures, in the order of their first places."""
        return list({place.key: place for place in self.places if isinstance(place, Wanted)}.values())

    @property
    def missing(self) -> list[Wanted]:
        """Those that have to be drawn."""
        return [wanted for wanted in self.pictures if not wanted.kept]


@dataclass(frozen=True)
class Cell:
    """One cell: its labels, and its picture's file or the reason why there is none. `key` is None without a picture."""

    x: str
    y: str
    z: str
    base: str
    spec: PictureSpec | None
    key: str | None
    path: Path | None
    error: str | None


@dataclass(frozen=True)
class Grid:
    """The cells in the order of the places, and the axes that they stand along."""

    spec: PictureSpec
    x: Axis
    y: Axis
    z: Axis
    folder: Path
    cells: tuple[Cell, ...]

    def page(self, index: int) -> list[tuple[Cell, ...]]:
        """The rows of one place on the z axis."""
        across, rows = len(self.x), len(self.y)
        first = index * across * rows
        return [self.cells[first + row * across : first + (row + 1) * across] for row in range(rows)]


def take_order(
    spec: PictureSpec,
    x: Axis,
    y: Axis,
    open_pipeline: OpenPipeline,
    folder: Path,
    *,
    z: Axis = STILL,
    adapter: str | None = None,
    base: str = EMBEDDED,
) -> Work[Order]:
    """Check every cell and find what has been drawn before; nothing is drawn.

    `open_pipeline` gives the pipeline of a base by name; it is asked base after base, and no pipeline is held on to
    when the next is asked for. `adapter` is the one that a strength axis acts on when no axis names adapters. A cell
    that cannot be drawn says why; a refused prompt refuses all (RefusedError).
    """
    start = Draft(spec, base, adapter)
    drafts: list[Draft | str] = []
    for k in z.edits:
        for j in y.edits:
            for i in x.edits:
                try:
                    drafts.append(k(j(i(start))))
                except RefusedError:
                    raise
                except LorasmithError as fault:
                    drafts.append(str(fault))
    labels = [" ".join(filter(None, (c, b, a))) for c in z.labels for b in y.labels for a in x.labels]
    places = yield from check_drafts(drafts, labels, open_pipeline, folder)
    return Order(spec, x, y, z, folder, places)


def check_drafts(
    drafts: Sequence[Draft | str], labels: Sequence[str], open_pipeline: OpenPipeline, folder: Path
) -> Work[tuple[Wanted | str, ...]]:
    """For each draft its picture, drawn before or not, or the reason why there can be none; a text is a reason.

    `labels` name the files of pictures that are not there yet. Raises RefusedError.
    """
    there = {path.stem[-KEY_DIGITS:]: path for path in sorted((folder / CELLS).glob("*.png"))}
    new: dict[str, Path] = {}
    places: list[Wanted | str] = ["" if isinstance(draft, Draft) else draft for draft in drafts]
    bases = list(dict.fromkeys(draft.base for draft in drafts if isinstance(draft, Draft)))
    done = sum(not isinstance(draft, Draft) for draft in drafts)
    for name in bases:
        mine = [(at, draft) for at, draft in enumerate(drafts) if isinstance(draft, Draft) and draft.base == name]
        try:
            checker = _CellChecker(name, open_pipeline(name), folder / CELLS, there, new)
        except LorasmithError as fault:
            for at, _ in mine:
                places[at] = str(fault)
            continue
        for at, draft in mine:
            places[at] = place = checker.place(draft, labels[at])
            if isinstance(place, Wanted):
                yield from checker.pipeline.advise([place.spec])
            done += 1
            yield Progress("checking", done, len(drafts))
        del checker  # before the next base is loaded
    return tuple(places)


def draw_order(order: Order, open_pipeline: OpenPipeline) -> Work[Grid]:
    """Draw what is missing, each batch saved as soon as it is drawn: stopping keeps what is finished.

    A picture that fails while it is drawn says why; the others are drawn. On a cluster each worker has a pipeline of
    its own, for which `open_pipeline` is sent. Raises StorageError, RefusedError.
    """
    errors: dict[str, str] = {}
    missing = order.missing
    progress = _Progress(sum(wanted.spec.steps for wanted in missing))
    with open_pool(len(missing), _NEVER) as pool:
        for name in dict.fromkeys(wanted.base for wanted in missing):
            mine = [wanted for wanted in missing if wanted.base == name]
            try:
                pipeline = open_pipeline(name)
            except LorasmithError as fault:
                errors.update(dict.fromkeys((wanted.key for wanted in mine), str(fault)))
                continue
            batches = list(batches_of(mine, pipeline))
            if pool.helped:
                yield from _deal_batches(pool, open_pipeline, name, batches, progress, errors)
            else:
                for batch in batches:
                    yield from _draw_batch(pipeline, batch, progress, errors)
            del pipeline  # before the next base is loaded
    return Grid(order.spec, order.x, order.y, order.z, order.folder, tuple(_cells(order, errors)))


def batches_of(wanted: Sequence[Wanted], pipeline: Pipeline) -> Iterator[list[Wanted]]:
    """Pictures of one base that go through the denoiser together, a batch at a time."""
    groups: dict[tuple[object, ...], list[Wanted]] = {}
    for each in wanted:
        groups.setdefault(settle(each.spec, facts_of(pipeline.base)).company, []).append(each)
    size = pipeline.batch_size
    for group in groups.values():
        for start in range(0, len(group), size):
            yield group[start : start + size]


def picture_key(
    spec: PictureSpec, base_hash: str, adapter_hash: Callable[[str], str], embeddings: Sequence[Embedding] = ()
) -> str:
    """What decides a picture, as one word: the settled spec, the base, the adapters and the embeddings, by content."""
    networks = split_networks(spec.prompt, spec.compat).networks
    facts: dict[str, Any] = {
        "request": spec.as_json(),
        "base": base_hash,
        "adapters": {network.name: adapter_hash(network.name) for network in networks},
    }
    if embeddings:
        facts["embeddings"] = {each.name: each.digest for each in embeddings}
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_DIGITS]


def sign(picture: Picture, origin: Expansion) -> Picture:
    """The picture with the template of its prompt told in both of its recipes."""
    text = f"Template: {json.dumps(origin.template, ensure_ascii=False)}, Template seed: {origin.prompt_seed}"
    return replace(picture, infotext=f"{picture.infotext}, {text}", origin=origin.as_json())


@dataclass
class _CellChecker:
    """Checks drafts for one base; equal specs once."""

    base: str
    pipeline: Pipeline
    cells: Path
    there: dict[str, Path]
    new: dict[str, Path]
    _checked: dict[PictureSpec, Wanted | str] = field(default_factory=dict)
    _hashes: dict[str, str] = field(default_factory=dict)

    def place(self, draft: Draft, label: str) -> Wanted | str:
        try:
            spec = draft.finished()
        except RefusedError:
            raise
        except LorasmithError as fault:
            return str(fault)
        if spec not in self._checked:
            self._checked[spec] = self._check(spec, label, draft.origin)
        return self._checked[spec]

    def _check(self, spec: PictureSpec, label: str, origin: Expansion | None) -> Wanted | str:
        try:
            embeddings = self.pipeline.preparer.prepare(spec).embeddings
            settled = settle(spec, facts_of(self.pipeline.base))
            key = picture_key(settled, self.pipeline.base.content_hash, self._hash, embeddings)
        except RefusedError:
            raise
        except LorasmithError as fault:
            return str(fault)
        path = self.there.get(key)
        if path is not None and _says(path, settled):
            return Wanted(key, self.base, settled, path, kept=True, origin=origin)
        # One base under two names: its pictures are drawn once, and lie in one place.
        path = self.new.setdefault(key, self.cells / f"{_name(label)}-{key}.png")
        return Wanted(key, self.base, settled, path, kept=False, origin=origin)

    def _hash(self, name: str) -> str:
        if name not in self._hashes:
            self._hashes[name] = addnet_hash(self.pipeline.adapters.path(name))
        return self._hashes[name]


@dataclass
class _Progress:
    """Steps done and to do, over all batches."""

    total: int
    done: int = 0
    start: float = field(default_factory=time.monotonic)

    def tell(self, steps: float) -> Progress:
        done = self.done + steps
        return Progress("drawing", round(done), self.total, eta(self.start, done, self.total))


def _draw_batch(pipeline: Pipeline, batch: list[Wanted], progress: _Progress, errors: dict[str, str]) -> Work[None]:
    steps = sum(wanted.spec.steps for wanted in batch)
    try:
        pictures = yield from _follow(pipeline.draw([wanted.spec for wanted in batch]), progress, steps)
    except RefusedError:
        raise
    except (LorasmithError, RuntimeError, MemoryError) as fault:
        # NOTE: torch says "out of memory" by RuntimeError; a picture alone may still fit where a batch did not.
        if len(batch) > 1:
            for wanted in batch:
                yield from _draw_batch(pipeline, [wanted], progress, errors)
            return
        errors[batch[0].key] = tell_fault(fault)
    else:
        for wanted, picture in zip(batch, pictures, strict=True):
            _save(wanted, picture)
    progress.done += steps


def _deal_batches(
    pool: Pool,
    open_pipeline: OpenPipeline,
    base: str,
    batches: Sequence[Sequence[Wanted]],
    progress: _Progress,
    errors: dict[str, str],
) -> Work[None]:
    """Have the workers draw; each picture rounds as it would here, on as many threads."""
    import torch

    job = Job(open_drawing, (open_pipeline, base, torch.get_num_threads()))
    deadly: list[list[Wanted]] = []
    with contextlib.closing(pool.each(job, [[wanted.spec for wanted in batch] for batch in batches], 1)) as answers:
        for answer in answers:
            batch = batches[answer.place]
            if answer.killed and len(batch) > 1:
                deadly += [[wanted] for wanted in batch]
                continue
            for wanted, picture in zip(batch, [KILLED] if answer.killed else answer.get(), strict=True):
                if isinstance(picture, str):
                    errors[wanted.key] = picture
                else:
                    _save(wanted, picture)
            progress.done += sum(wanted.spec.steps for wanted in batch)
            yield progress.tell(0)
    if deadly:
        yield from _deal_batches(pool, open_pipeline, base, deadly, progress, errors)


def _save(wanted: Wanted, picture: Picture) -> None:
    save_picture(picture if wanted.origin is None else sign(picture, wanted.origin), wanted.path)


def _follow(
    work: Generator[Event, None, list[Picture]], progress: _Progress, steps: int
) -> Generator[Event, None, list[Picture]]:
    """The work of one batch, its progress told as part of the whole grid's."""
    with contextlib.closing(work):
        while True:
            try:
                event = next(work)
            except StopIteration as stop:
                pictures: list[Picture] = stop.value
                return pictures
            if isinstance(event, Progress):
                yield progress.tell(steps * event.done / max(1, event.total))
            elif not isinstance(event, Note) or progress.done == 0:  # each batch would say the same
                yield event


def _cells(order: Order, errors: dict[str, str]) -> Iterator[Cell]:
    labels = [(a, b, c) for c in order.z.labels for b in order.y.labels for a in order.x.labels]
    for (x, y, z), place in zip(labels, order.places, strict=True):
        if isinstance(place, str):
            yield Cell(x, y, z, "", None, None, None, place)
        elif place.key in errors:
            yield Cell(x, y, z, place.base, place.spec, None, None, errors[place.key])
        else:
            yield Cell(x, y, z, place.base, place.spec, place.key, place.path, None)


def _says(path: Path, spec: PictureSpec) -> bool:
    """Whether the file is a picture that says of itself that it answers this spec."""
    try:
        document = read_picture(path).document or {}
    except LorasmithError:
        return False
    written: dict[str, Any] = json.loads(json.dumps(spec.as_json(), default=str))
    return document.get("request") == written


def _name(label: str) -> str:
    return safe_name(label)[:LONGEST_NAME].rstrip("._-") or "cell"
