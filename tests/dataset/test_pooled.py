"""An inspection is the same to the byte whoever takes the fingerprints, and one picture cannot end it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from lorasmith.dataset import cropped_copies, fingerprinting
from lorasmith.dataset.fingerprinting import open_fingerprints
from lorasmith.dataset.index import open_index
from lorasmith.dataset.inspection import inspect
from lorasmith.events import Event, Note, Progress, finish
from lorasmith.images.crops import Box as PixelBox
from lorasmith.pools import choosing, dealing
from lorasmith.pools.local import LocalBody
from lorasmith.pools.pool import Pool
from lorasmith.project import Project
from tests.dataset.projects import make_project, read
from tests.images.drawings import draw

POISONED = "03.png"


def open_poisoned() -> Callable[[tuple[Path, PixelBox | None]], list[object]]:
    work = open_fingerprints()

    def poisoned(place: tuple[Path, PixelBox | None]) -> list[object]:
        if place[0].name == POISONED:
            os.kill(os.getpid(), signal.SIGKILL)
        return work(place)

    return poisoned


def make(root: Path) -> Project:
    project = make_project(root)
    for number in range(10):
        draw(number).save(project.root / "images" / f"{number:02}.png")
    draw(1).resize((128, 128)).save(project.root / "images" / "small.jpg")
    draw(2).crop((30, 20, 200, 190)).save(project.root / "images" / "cut.png")
    return project


def use(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    """Deal everything out, to so many."""
    for module in (fingerprinting, cropped_copies):
        monkeypatch.setattr(module, "are_many", lambda _: workers > 0)
    monkeypatch.setattr(dealing, "open_pool", lambda *_: Pool(LocalBody(workers)))


def look(project: Project, events: list[Event] | None = None) -> str:
    dataset = read(project)
    see = events.append if events is not None else None
    return json.dumps(finish(inspect(project, dataset, {}), see).as_json())


def test_an_inspection_is_the_same_whatever_the_number_of_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []
    for workers in (0, 1, 2):
        use(monkeypatch, workers)
        said.append(look(make(tmp_path / str(workers))))
    assert said[0] == said[1] == said[2]
    assert "small.jpg" in said[0]


def test_an_image_that_ends_its_process_is_named_and_the_rest_inspected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, 2)
    monkeypatch.setattr(fingerprinting, "open_fingerprints", open_poisoned)
    events: list[Event] = []
    said = json.loads(look(make(tmp_path), events))
    warnings = [event.message for event in events if isinstance(event, Note) and event.level == "warning"]
    assert warnings == [f"{POISONED}: left out: it ends every process that reads it."]
    assert ["01.png", "small.jpg"] in [group["images"] for group in said["groups"]]


def test_what_was_done_before_an_interruption_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make(tmp_path)
    use(monkeypatch, 1)
    dataset = read(project)
    with open_index(project.cache) as index:
        work = fingerprinting.take_signatures(index, dataset)
        first = next(work)
        work.close()
    assert isinstance(first, Progress)
    assert (first.stage, first.total) == ("fingerprinting images", 12)
    with open_index(project.cache) as index:
        events: list[Event] = []
        finish(fingerprinting.take_signatures(index, dataset), events.append)
    left = [event.total for event in events if isinstance(event, Progress) and event.stage == "fingerprinting images"]
    assert left
    assert set(left) < set(range(12))


def test_few_images_call_nobody() -> None:
    assert not choosing.are_many(0)
    assert not choosing.are_many(choosing.MANY - 1)
