"""Datasets as they were read last: reading ten thousand images again for every request would be felt."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from lorasmith.dataset.reading import Dataset, Item, Scan, apply_decisions, scan_images
from lorasmith.project import Project
from lorasmith.server.road.tasks import RoadTasks
from lorasmith.server.workshop import Workshop
from lorasmith.tags.inputs import CaptionInputs, read_inputs
from lorasmith.tags.measures import measure_poor
from lorasmith.tags.pipeline import Captioning, compute_captions
from lorasmith.tags.settings import read_settings
from lorasmith.tags.statistics import TagTable, count_tags

_KEPT = 4


@dataclass(frozen=True)
class Reading:
    """A project with its images at one `version` of what lies on the disk; `scan` stays true while `files` are so."""

    project: Project
    dataset: Dataset
    version: str
    scan: Scan
    files: tuple[object, ...]
    measure: Callable[[], object]
    """Look at the images for what captions go by; done once, it costs nothing again."""
    alone: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def inputs(self) -> CaptionInputs:
        """What its captions are computed from. Raises DatasetError, ProjectError, RefusedError."""
        return read_inputs(self.project, self.dataset)

    @cached_property
    def captioning(self) -> Captioning:
        """Its captions, computed once for all who ask."""
        with self.alone:
            known: Captioning | None = vars(self).get("captioning")
            if known is None:
                self.measure()
                known = vars(self)["captioning"] = compute_captions(self.inputs)
            return known

    @cached_property
    def tags(self) -> TagTable:
        """How often each tag stands where."""
        return count_tags(self.inputs, self.captioning)

    def by_content(self, sha256: str) -> Item | None:
        """An image with these bytes."""
        return next((one for one in (*self.dataset.items, *self.dataset.rejected) if one.facts.sha256 == sha256), None)


class Readings:
    """The last few readings, each as long as nothing has changed on the disk; one that takes a while is told of among
    the tasks, and whoever asks meanwhile waits for it."""

    def __init__(self, tasks: RoadTasks) -> None:
        self._tasks = tasks
        self._reading: dict[str, threading.Lock] = {}
        self._kept: OrderedDict[str, Reading] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, workshop: Workshop, name: str) -> Reading:
        """A project's images as they are now. Raises MissingError, ProjectError, DatasetError."""
        workshop.open(name)
        with self._lock:
            alone = self._reading.setdefault(name, threading.Lock())
        with alone:
            return self._of(workshop, name)

    def _of(self, workshop: Workshop, name: str) -> Reading:
        version = workshop.images_version(name)
        with self._lock:
            known = self._kept.get(name)
        if known is not None and known.version == version:
            return known
        opened = workshop.open(name)  # after its version was taken: what changes meanwhile is read again
        files = (workshop.files_version(name), repr(opened.table("dataset")))
        scan = known.scan if known is not None and known.files == files else self._scan(name, opened)
        dataset = apply_decisions(opened, scan)
        if known is not None and dataset == known.dataset:
            dataset = known.dataset  # what follows from it alone is known already

        def measure() -> object:
            return self._tasks.follow(name, "read", measure_poor(opened, dataset, read_settings(opened)))

        reading = Reading(opened, dataset, version, scan, files, measure)
        with self._lock:
            self._kept[name] = reading
            self._kept.move_to_end(name)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return reading

    def _scan(self, name: str, project: Project) -> Scan:
        return self._tasks.follow(name, "read", scan_images(project))
