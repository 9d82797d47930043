"""An inspection is the same to the byte whoever takes the fingerprints, and one picture cannot end it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lorasmith.dataset import cropped_copies, facts, fingerprinting
from lorasmith.dataset.cropped_copies import open_keypoints
from lorasmith.dataset.facts import open_facts
from lorasmith.dataset.fingerprinting import open_fingerprints
from lorasmith.dataset.index import open_index
from lorasmith.dataset.inspection import inspect
from lorasmith.events import Event, Note, Progress, finish
from lorasmith.images.crops import Box as PixelBox
from lorasmith.pools import dealing
from lorasmith.pools.local import LocalBody
from lorasmith.pools.pool import Job, Pool
from lorasmith.project import Project
from tests.dataset.projects import make_project, read
from tests.images.drawings import draw

POISONED = "03.png"


MEASURES = {"facts": open_facts, "fingerprint": open_fingerprints, "keypoints": open_keypoints}


def open_poisoned(measure: str) -> Callable[[tuple[Path, PixelBox | None]], object]:
    work: Callable[[tuple[Path, PixelBox | None]], object] = MEASURES[measure]()

    def poisoned(place: tuple[Path, PixelBox | None]) -> object:
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
    monkeypatch.setattr(dealing, "open_pool", lambda *_: Pool(LocalBody(workers) if workers else None))


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


def poison(monkeypatch: pytest.MonkeyPatch, measure: str) -> None:
    """Taking this measure of one image ends the process."""
    job = Job(open_poisoned, (measure,))
    if measure == "facts":
        monkeypatch.setattr(facts, "FACTS", replace(facts.FACTS, job=job))
    elif measure == "fingerprint":
        monkeypatch.setattr(fingerprinting, "FINGERPRINT", replace(fingerprinting.FINGERPRINT, job=job))
    else:
        monkeypatch.setattr(cropped_copies, "KEYPOINTS", replace(cropped_copies.KEYPOINTS, job=job))


@pytest.mark.parametrize("measure", ["facts", "fingerprint", "keypoints"])
def test_an_image_that_ends_its_process_is_a_finding_and_the_rest_is_inspected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measure: str
) -> None:
    if measure == "keypoints":
        pytest.importorskip("cv2")
    use(monkeypatch, 2)
    poison(monkeypatch, measure)
    project = make(tmp_path)
    events: list[Event] = []
    said = json.loads(look(project, events))
    assert ["01.png", "small.jpg"] in [group["images"] for group in said["groups"]]
    (finding,) = [finding for finding in said["findings"] if finding["rule"] == "L0"]
    assert (finding["level"], finding["images"]) == ("error", [POISONED])
    assert finding["message"].endswith("it ends every process that reads it.")
    assert said["images"] == (11 if measure == "facts" else 12)
    warnings = [event.message for event in events if isinstance(event, Note) and event.level == "warning"]
    purposes = {"facts": [], "fingerprint": ["comparing images"], "keypoints": ["looking for cropped copies"]}
    assert warnings == [
        f"{POISONED}: left out of {to}: it ends every process that reads it." for to in purposes[measure]
    ]
    monkeypatch.setattr(LocalBody, "ask", None)
    assert json.loads(look(project)) == said, "it is known, and not tried again for a while"


def test_an_image_over_which_the_last_process_ended_gets_one_of_its_own(tmp_path: Path) -> None:
    """Few images are read by the process that asks; what ends it is met again only by another."""
    project = make(tmp_path)
    code = (
        "import sys\nfrom pathlib import Path\nfrom dataclasses import replace\n"
        "from lorasmith.dataset import facts\nfrom lorasmith.pools.pool import Job\n"
        "from lorasmith.project import open_project\nfrom tests.dataset.test_pooled import open_poisoned, read\n"
        "facts.FACTS = replace(facts.FACTS, job=Job(open_poisoned, ('facts',)))\n"
        "found = read(open_project(Path(sys.argv[1])))\n"
        "print([problem.name for problem in found.problems], len(found.items))\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    run = [sys.executable, "-c", code, str(project.root)]
    env = {**os.environ, "PYTHONPATH": path}
    first = subprocess.run(run, capture_output=True, text=True, check=False, env=env)
    assert first.returncode == -signal.SIGKILL
    second = subprocess.run(run, capture_output=True, text=True, check=False, env=env)
    assert (second.stdout, second.stderr) == (f"['{POISONED}'] 11\n", "")
    assert not (project.cache / "at_work").exists()


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
