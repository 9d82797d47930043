"""The tag table."""

from __future__ import annotations

import json
from pathlib import Path

from lorasmith.tags.inputs import read_inputs
from lorasmith.tags.pipeline import compute_captions
from lorasmith.tags.statistics import TagRow, count_tags
from tests.dataset.projects import make_project, read
from tests.images.drawings import save_drawings


def test_frequencies_before_and_after_and_with_the_trigger(tmp_path: Path) -> None:
    project = make_project(tmp_path, '[tags]\nabsorb = "blue eyes"\n')
    captions = (
        "zbk, 1girl, Blue_Eyes, smile",
        "zbk, 1girl, blue eyes",
        "zbk, 1girl, blue eyes, hat",
        "zbl, 1girl, smile",
    )
    for number, caption in enumerate(captions):
        save_drawings(project.root / "images", 1, number, caption=caption)
    inputs = read_inputs(project, read(project))
    table = count_tags(inputs, compute_captions(inputs))
    assert (table.images, table.with_trigger, dict(table.typos)) == (4, 3, {"zbl": 1})
    rows = {row.tag: row for row in table.rows}
    assert [row.tag for row in table.rows][:2] == ["1girl", "Blue_Eyes"]
    assert rows["1girl"] == TagRow("1girl", 4, 4, 1.0, None, fused=False), "counts are not fused"
    assert rows["Blue_Eyes"] == TagRow("Blue_Eyes", 3, 0, 1.0, "eyes", fused=True)
    assert rows["smile"] == TagRow("smile", 2, 2, 1 / 3)
    assert "zbk" not in rows
    assert json.loads(json.dumps(table.as_json()))["tags"][1]["fused"] is True


def test_images_without_trigger_count_when_none_has_it(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    save_drawings(project.root / "images", 3, caption="smile")
    inputs = read_inputs(project, read(project))
    table = count_tags(inputs, compute_captions(inputs))
    assert table.with_trigger == 3
    assert table.rows[0].share == 1.0
