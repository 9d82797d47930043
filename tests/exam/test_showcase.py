"""Showcases: prompts by column, marks, hit rates, what a picture says of its template."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base
from lorasmith.errors import UsageError
from lorasmith.events import finish
from lorasmith.exam.showcase import (
    RECORD,
    Column,
    ShowcaseSpec,
    draw_showcase,
    judge,
    mark_pictures,
    publish_showcase,
    read_all_marks,
    tell_rate,
    write_marks,
)
from lorasmith.generation.grids.drawing import CELLS
from lorasmith.generation.pictures import read_picture
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec
from lorasmith.prompts.dynamic import read_template
from tests.adapters.drawing import trained_adapter

TEMPLATE = read_template("zbk, {red|blue} {hat|hair}, {smile|1girl|background}")
REQUEST = PictureSpec("", steps=1)
COLUMNS = (Column("models/tiny", "zbk"), Column("models/tiny", None))


def test_columns_share_prompts_or_vary_them() -> None:
    same = ShowcaseSpec(TEMPLATE, COLUMNS, 6, REQUEST, seed=5)
    assert [made.prompt for made in same.expansions(0)] == [made.prompt for made in same.expansions(1)]
    varied = ShowcaseSpec(TEMPLATE, COLUMNS, 6, REQUEST, seed=5, vary=True)
    first, second = varied.expansions(0), varied.expansions(1)
    assert [made.prompt for made in first] == [made.prompt for made in same.expansions(0)]
    assert [made.prompt for made in first] != [made.prompt for made in second]
    assert [made.seed for made in second] == [5, 6, 7, 8, 9, 10]  # the image seeds are the same
    assert [made.prompt_seed for made in second] == [11, 12, 13, 14, 15, 16]
    with pytest.raises(UsageError, match="at random"):
        ShowcaseSpec(TEMPLATE, COLUMNS, 2, REQUEST, mode="cyclical", vary=True).expansions(0)
    assert len(ShowcaseSpec(TEMPLATE, COLUMNS, 99, REQUEST, mode="combinatorial").expansions(0)) == 12


def test_a_showcase_is_drawn_marked_and_judged(tiny_base: Base, tmp_path: Path) -> None:
    file = tmp_path / "zbk.safetensors"
    save_adapter(file, trained_adapter(tiny_base, rank=2), torch.float32)
    pipeline = Pipeline(tiny_base, AdapterCache([file]))
    folder = tmp_path / "show"
    plan = ShowcaseSpec(TEMPLATE, COLUMNS, 3, REQUEST, strength=0.5)
    showcase = finish(draw_showcase(plan, lambda _: pipeline, folder))
    cell = showcase.cells[0][1]
    assert cell.path is not None
    told = read_picture(cell.path)
    expected = plan.expansions(0)[1]
    assert told.document is not None
    assert told.document["origin"] == expected.as_json()
    assert told.spec is not None
    assert told.spec.prompt == f"{expected.prompt} <lora:zbk:0.5>"
    assert f"Template: {json.dumps(TEMPLATE.text)}, Template seed: 1" in (told.infotext or "")

    with pytest.raises(UsageError, match="no picture 7"):
        mark_pictures(folder, keep=[7])
    with pytest.raises(UsageError, match="two ways"):
        mark_pictures(folder, keep=[1], reject=[1])
    mark_pictures(folder, keep=[1, 2, 4], reject=[3])
    mark_pictures(folder, keep=[5], clear=[4])
    judged = judge(folder)
    assert [(name, figure.value, figure.n) for name, figure in judged.columns] == [
        *(("zbk on tiny", 2 / 3, 3), ("no adapter on tiny", 1.0, 1)),
    ]
    assert (judged.total.value, judged.total.n, judged.waiting) == (0.75, 4, 2)
    assert tell_rate(judged.total) == "3 of 4 kept, 75% (30% to 95%)"
    assert any(line.startswith("C2: fewer than 10") for line in judged.advice)
    assert any(line.startswith("C7: 3 kept pictures are a red flag") for line in judged.advice)

    sheet, page = publish_showcase(folder)
    with Image.open(sheet) as image:
        colours = {colour for _, colour in image.getcolors(2**24) or []}
    assert {(46, 139, 87), (205, 70, 60), (200, 200, 200)} <= colours
    data = json.loads(page.read_text("utf-8").split('type="application/json">')[1].split("</script>")[0])
    assert [shown["mark"] for shown in data["cells"]] == ["keep", "keep", "reject", None, "keep", None]
    assert all((folder / shown["path"]).is_file() for shown in data["cells"])

    # Drawn again nothing is new, and the marks stay.
    before = {path: path.stat().st_mtime_ns for path in (folder / CELLS).iterdir()}
    finish(draw_showcase(plan, lambda _: pipeline, folder))
    assert {path: path.stat().st_mtime_ns for path in (folder / CELLS).iterdir()} == before
    assert len(read_all_marks(folder)) == 4
    assert json.loads((folder / RECORD).read_text("utf-8"))["id"] == data["id"]
    with pytest.raises(UsageError, match="no picture of this showcase"):
        write_marks(folder, {"0123": "keep"})

    twice = ShowcaseSpec(read_template("zbk <lora:zbk:1>"), COLUMNS, 1, REQUEST)
    with pytest.raises(UsageError, match="calls zbk itself"):
        finish(draw_showcase(twice, lambda _: pipeline, folder))


def test_what_the_rules_say(tmp_path: Path) -> None:
    pictures = [{"number": at + 1, "column": "a", "key": f"k{at}", "path": "x.png"} for at in range(40)]
    (tmp_path / RECORD).write_text(json.dumps({"id": "i", "pictures": pictures}))
    assert "Nothing is judged" in judge(tmp_path).advice[0]
    for kept, rejected, word in ((40, 0, "worth publishing"), (9, 1, "still possible"), (7, 3, "still possible")):
        write_marks(tmp_path, {f"k{at}": "keep" if at < kept else "reject" for at in range(kept + rejected)})
        assert word in judge(tmp_path).advice[0]
    write_marks(tmp_path, {f"k{at}": "keep" if at < 10 else "reject" for at in range(40)})
    assert "train it further" in judge(tmp_path).advice[0]
    write_marks(tmp_path, {f"k{at}": "keep" for at in range(25)})
    assert "choose among the 25" in judge(tmp_path).advice[-1]


def test_what_is_no_showcase(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no showcase"):
        read_all_marks(tmp_path)
