"""How far images lie from their like: the same whoever looks at them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorasmith.events import Event, Progress, finish
from lorasmith.pools import dealing
from lorasmith.pools.local import LocalBody
from lorasmith.pools.pool import Pool
from lorasmith.tags import apart
from lorasmith.tags.apart import FEWEST, measure_apart
from tests.dataset.projects import make_project, read
from tests.images.drawings import save_drawings


def test_it_is_the_same_whatever_the_number_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "VARIED", 2.0)
    found = []
    for workers in (0, 2):
        project = make_project(tmp_path / str(workers))
        save_drawings(project.root / "images", FEWEST + 8)
        monkeypatch.setattr(dealing, "open_pool", lambda *_, count=workers: Pool(LocalBody(count) if count else None))
        found.append(finish(measure_apart(project, read(project))))
        events: list[Event] = []
        assert finish(measure_apart(project, read(project)), events.append) == found[-1]
        assert not [event for event in events if isinstance(event, Progress)], "nothing is looked at twice"
    assert found[0] == found[1]
    assert len(found[0]) == FEWEST + 8
