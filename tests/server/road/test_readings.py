"""Reading a project's images for a request: once for all who ask, and told of while it takes a while."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lorasmith.dataset.reading import Scan, scan_images
from lorasmith.events import Progress, Work
from lorasmith.project import Project
from lorasmith.server.road import readings as module
from lorasmith.server.road.readings import Reading, Readings
from lorasmith.server.road.tasks import RoadTasks
from lorasmith.server.workshop import Workshop
from tests.server.running import wait_for


def test_a_long_reading_is_told_of_and_done_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorasmith.server.road.tasks._SOON", 0.0)
    gate, scans = threading.Event(), list[Path]()

    def slowly(opened: Project) -> Work[Scan]:
        scans.append(opened.root)
        yield Progress("reading images", 1, 3, 20.0)
        gate.wait(60)
        return (yield from scan_images(opened))

    monkeypatch.setattr(module, "scan_images", slowly)
    tasks, workshop, found = RoadTasks(), Workshop(project.root.parent), list[Reading]()
    readings = Readings(tasks)
    threads = [threading.Thread(target=lambda: found.append(readings.of(workshop, "zbk"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(tasks.tasks("zbk")) == 1, 30)
    (task,) = tasks.tasks("zbk")
    assert (task.kind, task.state, task.last and task.last["eta"]) == ("read", "running", 20.0)
    gate.set()
    for thread in threads:
        thread.join(60)
    assert (len(found), len(scans), task.state) == (3, 1, "done")


def test_what_is_measured_for_captions_is_told_of_too(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorasmith.server.road.tasks._SOON", 0.0)
    tasks = RoadTasks()
    reading = Readings(tasks).of(Workshop(project.root.parent), "zbk")
    before, found = len(tasks.tasks("zbk")), list[object]()
    threads = [threading.Thread(target=lambda: found.append(reading.captioning)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [reading.captioning] * 3
    assert len({id(one) for one in found}) == 1
    (task,) = tasks.tasks("zbk")[: len(tasks.tasks("zbk")) - before]
    assert (task.kind, task.last and task.last["total"]) == ("read", 3)
