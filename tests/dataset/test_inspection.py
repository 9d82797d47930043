"""The whole inspection on files: what the rules find together, waivers, decisions, other rooms' findings, the shape."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import ImageFilter, ImageOps

from lorasmith.dataset.decisions import Decision, record
from lorasmith.dataset.findings import AutoFix, Finding
from lorasmith.dataset.inspection import Inspection, inspect
from lorasmith.dataset.lineage import Lineage, add_lineage
from lorasmith.errors import ProjectError
from lorasmith.events import finish
from lorasmith.images.opening import look_at
from lorasmith.project import Project
from tests.dataset.projects import make_project, read
from tests.images.drawings import draw, save_drawings


def examine(project: Project, tags: Mapping[str, tuple[str, ...]] | None = None) -> Inspection:
    dataset = read(project)
    return finish(inspect(project, dataset, tags or {}))


def findings(project: Project, rule: str) -> list[Finding]:
    return [finding for finding in examine(project).findings if finding.rule == rule]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A clean project: 30 different captioned drawings."""
    made = make_project(tmp_path)
    save_drawings(made.root / "images", 30, caption="smile, red background")
    return made


def test_a_clean_dataset_has_nothing_to_say(project: Project) -> None:
    inspection = examine(project)
    assert inspection.findings == ()
    assert inspection.passed
    empty: dict[str, object] = {"groups": [], "findings": [], "coverage": [], "rejected": []}
    assert inspection.as_json() == {"images": 30, **empty}


def test_what_cannot_be_read_is_an_error(project: Project) -> None:
    (project.root / "images" / "text.png").write_text("hello")
    (finding,) = findings(project, "L0")
    assert (finding.level, finding.images) == ("error", ("text.png",))
    assert not examine(project).passed


def test_clones(project: Project) -> None:
    images = project.root / "images"
    shutil.copy(images / "003.png", images / "x1.png")
    assert [finding.level for finding in findings(project, "D7")] == ["warning"], "1 of 31 is over 3 %"
    (finding,) = findings(project, "D12")
    assert finding.images == ("003.png", "x1.png")
    assert finding.fix == AutoFix("reject", ("x1.png",))
    save_drawings(images, 4, first_seed=30, caption="x")
    assert findings(project, "D7") == [], "1 of 35 is not"


def test_near_duplicates_mirrored_ones_and_blur(project: Project) -> None:
    images = project.root / "images"
    draw(50).save(images / "big.png")
    draw(50).save(images / "copy.jpg", quality=40)
    ImageOps.mirror(draw(50)).resize((192, 192)).save(images / "mirrored.png")
    draw(51).filter(ImageFilter.GaussianBlur(3)).save(images / "soft.png")
    draw(52).filter(ImageFilter.GaussianBlur(8)).save(images / "softer.png")
    inspection = examine(project)
    groups = {group.kind: set(group.images) for group in inspection.groups}
    assert groups["near"] == {"big.png", "copy.jpg"}
    assert "mirrored.png" in groups["mirrored"]
    named = [finding.images for finding in inspection.findings if finding.rule == "D12"]
    assert ("soft.png", "softer.png") in named
    assert {"mirrored.png", "soft.png", "softer.png"} <= set(inspection.removable)
    assert len({"big.png", "copy.jpg"} & set(inspection.removable)) == 1


def test_altered_copies_are_no_duplicates_but_adopted_pictures_may_be(project: Project) -> None:
    project.made.mkdir()
    for name, seed, operation in (("altered.png", 3, "quality"), ("adopted.png", 4, "adopt")):
        target = project.made / name
        draw(seed, (64, 64)).save(target, compress_level=1)
        add_lineage(project, look_at(target).sha256, Lineage(operation, ()))
    inspection = examine(project)
    assert [set(group.images) for group in inspection.groups] == [{"004.png", "made/adopted.png"}]
    assert "made/altered.png" not in inspection.evidence.blur


def test_decisions_are_heard(project: Project) -> None:
    images = project.root / "images"
    draw(51).filter(ImageFilter.GaussianBlur(3)).save(images / "soft.png")
    assert "soft.png" in examine(project).removable
    record(project, [Decision(look_at(images / "soft.png").sha256, "keep")])
    kept = examine(project)
    assert kept.evidence.kept == {"soft.png"}
    assert kept.removable == ()
    record(project, [Decision(look_at(images / "003.png").sha256, "reject")])
    assert examine(project).as_json()["rejected"] == ["003.png"]


def test_two_images_that_are_no_duplicates_stay_apart(project: Project) -> None:
    images = project.root / "images"
    draw(50).save(images / "big.png")
    draw(50).save(images / "copy.jpg", quality=40)
    assert examine(project).groups != ()
    one, other = (look_at(images / name).sha256 for name in ("big.png", "copy.jpg"))
    record(project, [Decision(one, "distinct", other)])
    assert examine(project).groups == ()


def test_captions_and_images_belong_together(project: Project) -> None:
    images = project.root / "images"
    (images / "000.txt").unlink()
    (images / "001.txt").write_text("")
    (images / "002.txt").write_bytes(b"\xff\xfe")
    (images / "orphan.txt").write_text("x")
    draw(90).save(images / "003.jpg")
    found = {finding.images: finding for finding in findings(project, "D17")}
    assert set(found) == {("000.png",), ("001.png",), ("002.png",), ("orphan.txt",), ("003.jpg", "003.png")}
    assert {finding.level for finding in found.values()} == {"warning"}


def test_a_taggers_tags_are_as_good_as_a_caption(project: Project) -> None:
    (project.root / "images" / "000.txt").unlink()
    assert [finding.rule for finding in examine(project).findings] == ["D17"]
    assert examine(project, {"000.png": ("smile",)}).findings == ()


def test_a_waived_error_stays_visible_and_passes(tmp_path: Path) -> None:
    project = make_project(tmp_path, '[dataset]\nwaive = { D1 = "a demonstration" }\n')
    save_drawings(project.root / "images", 3, caption="x")
    inspection = examine(project)
    assert [(finding.rule, finding.waived) for finding in inspection.findings] == [("D1", "a demonstration")]
    assert inspection.passed


def test_a_waived_finding_removes_nothing(tmp_path: Path) -> None:
    project = make_project(tmp_path, '[dataset]\nwaive = { D12 = "on purpose", D7 = "on purpose" }\n')
    (first, *_) = save_drawings(project.root / "images", 30, caption="x")
    shutil.copy(first, first.with_name("clone.png"))
    inspection = examine(project)
    assert {finding.rule for finding in inspection.findings} >= {"D7", "D12"}
    assert inspection.removable == ()


@pytest.mark.parametrize(("waive", "message"), [('D99 = "x"', "no such rule"), ('D1 = " "', "give a reason")])
def test_wrong_waivers_are_refused(tmp_path: Path, waive: str, message: str) -> None:
    project = make_project(tmp_path, f"[dataset]\nwaive = {{ {waive} }}\n")
    save_drawings(project.root / "images", 3)
    with pytest.raises(ProjectError, match=message):
        examine(project)


def test_other_rooms_findings_are_waived_and_sorted_like_ours(tmp_path: Path) -> None:
    project = make_project(tmp_path, '[dataset]\nwaive = { T9 = "known" }\n')
    save_drawings(project.root / "images", 10, caption="x")
    also = (
        Finding("T9", "error", "a conflict.", "Mend it.", ("000.png",)),
        Finding("T1", "error", "no trigger.", "Add it.", ("001.png",)),
    )
    dataset = read(project)
    inspection = finish(inspect(project, dataset, {}, also, ("T1", "T9")))
    assert [finding.rule for finding in inspection.findings] == ["T1", "D1", "D2", "T9"]
    assert inspection.findings[-1].waived == "known"
    assert not inspection.passed
    with pytest.raises(ProjectError, match="no such rule"):
        finish(inspect(project, dataset, {}, also, ("T1",)))


def test_the_document_has_the_stable_shape(project: Project) -> None:
    images = project.root / "images"
    shutil.copy(images / "000.png", images / "clone.png")
    tags = {f"{number:03}.png": ("portrait", "from behind") for number in range(30)}
    document = json.loads(json.dumps(examine(project, tags).as_json()))
    assert set(document) == {"images", "groups", "findings", "coverage", "rejected"}
    (group,) = document["groups"]
    assert (group["kind"], group["images"], group["keep"]) == ("same", ["000.png", "clone.png"], "000.png")
    assert group["reason"], "why this one is kept"
    assert document["findings"]
    for finding in document["findings"]:
        assert set(finding) == {"rule", "level", "images", "message", "advice", "waived", "remedy"}
    assert {"axis": "view", "facet": "from behind", "rule": "D5", "images": 30, "wanted": 1} in document["coverage"]


def test_nothing_is_decoded_twice(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    images = project.root / "images"
    draw(50).save(images / "big.png")
    draw(50).save(images / "copy.jpg", quality=40)
    first = examine(project).as_json()

    def never(path: Path, *rest: object) -> None:
        raise AssertionError(f"{path} was opened again: {rest}")

    monkeypatch.setattr("PIL.Image.open", never)
    assert examine(project).as_json() == first
