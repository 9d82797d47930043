"""Tags are the same to the byte whoever looks, and one picture cannot end it."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lorasmith.errors import DatasetError
from lorasmith.events import Event, Note, finish
from lorasmith.pools.local import LocalBody
from lorasmith.pools.pool import Job, Pool
from lorasmith.project import Project
from lorasmith.tags import tagging
from lorasmith.tags.store import read_stored
from lorasmith.tags.tagger import open_tagger
from lorasmith.tags.tagging import Place, Seen, TaggerHandle, open_look, tag_images
from tests.dataset.projects import make_project, read
from tests.images.drawings import save_drawings
from tests.tags.models import make_tagger


def open_poisoned(handle: TaggerHandle, name: str) -> Callable[[Sequence[Place]], list[Seen]]:
    look = open_look(handle)

    def poisoned(places: Sequence[Place]) -> list[Seen]:
        if any(path.name == name for path, _ in places):
            os.kill(os.getpid(), signal.SIGKILL)
        return look(places)

    return poisoned


def make(root: Path) -> Project:
    project = make_project(root)
    save_drawings(project.root / "images", 11)
    return project


def use(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.setattr(tagging, "open_pool", lambda *_: Pool(LocalBody(workers) if workers else None))


def test_the_same_tags_whatever_the_number_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_tagger(tmp_path / "colours")
    found = []
    for workers in (0, 1, 2):
        use(monkeypatch, workers)
        project = make(tmp_path / str(workers))
        assert finish(tag_images(project, read(project), open_tagger(folder))) == 11
        found.append(read_stored(project))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 11


def test_a_picture_that_ends_its_process_is_named_and_the_others_are_tagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, 2)
    project, events = make(tmp_path), list[Event]()
    poisoned = read(project).items[4].path.name

    def job(_: object, given: tuple[TaggerHandle]) -> Job:
        return Job(open_poisoned, (*given, poisoned))

    monkeypatch.setattr(tagging, "Job", job)
    tagger = open_tagger(make_tagger(tmp_path / "colours"))
    assert finish(tag_images(project, read(project), tagger), events.append) == 10
    notes = [event.message for event in events if isinstance(event, Note)]
    assert notes == [f"{poisoned}: not tagged: it ends every process that reads it."]


def test_a_worker_opens_the_same_tagger_or_none(tmp_path: Path) -> None:
    folder = make_tagger(tmp_path / "colours")
    handle = TaggerHandle(open_tagger(folder))
    sent = pickle.dumps(handle)
    assert pickle.loads(sent).tagger.identity == handle.tagger.identity
    with pytest.raises(DatasetError, match=r"colours: is the tagger colours [0-9a-f]{12} there, colours other here\."):
        tagging._open_again(folder, "colours other")
