"""Every rule: a dataset that passes and one that fails; waivers; the stable shape."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import ImageFilter, ImageOps

from lorasmith.dataset.findings import Finding
from lorasmith.dataset.inspection import Inspection, inspect
from lorasmith.dataset.rules import RULES
from lorasmith.errors import ProjectError
from lorasmith.events import finish
from lorasmith.project import Project
from tests.dataset.projects import make_project, read
from tests.images.drawings import draw, save_drawings


def examine(project: Project, tags: dict[str, tuple[str, ...]] | None = None) -> Inspection:
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
    assert inspection.as_json() == {"images": 30, "groups": [], "findings": []}


def test_ids_are_unique_and_every_rule_has_a_title() -> None:
    ids = [rule.id for rule in RULES]
    assert ids == ["D0", "D1", "D2", "D7", "D12", "D16", "D17"]
    assert all(rule.title for rule in RULES)


def test_d0_names_what_cannot_be_read(project: Project) -> None:
    (project.root / "images" / "text.png").write_text("hello")
    (finding,) = findings(project, "D0")
    assert (finding.level, finding.images) == ("error", ("text.png",))
    assert "text.png" in finding.message
    assert not examine(project).passed


@pytest.mark.parametrize(("count", "level"), [(1, "error"), (4, "error"), (5, "warning"), (19, "warning"), (20, None)])
def test_d1_counts_different_images(tmp_path: Path, count: int, level: str | None) -> None:
    project = make_project(tmp_path)
    (first, *_) = save_drawings(project.root / "images", count, caption="x")
    shutil.copy(first, first.with_name("clone.png"))
    assert [finding.level for finding in findings(project, "D1")] == ([level] if level else [])


@pytest.mark.parametrize(("subject", "count", "limited"), [("asset", 15, True), ("asset", 16, False)])
def test_d2_limited(tmp_path: Path, subject: str, count: int, limited: bool) -> None:
    project = make_project(tmp_path, subject=subject)
    save_drawings(project.root / "images", count, caption="x")
    assert [finding.level for finding in findings(project, "D2")] == (["note"] if limited else [])


def test_d7_and_d12_clones(project: Project) -> None:
    images = project.root / "images"
    shutil.copy(images / "003.png", images / "x1.png")
    assert [finding.level for finding in findings(project, "D7")] == ["warning"], "1 of 31 is over 3 %"
    (finding,) = findings(project, "D12")
    assert finding.images == ("003.png", "x1.png")
    assert finding.advice.startswith("Keep 003.png")
    save_drawings(images, 4, first_seed=30, caption="x")
    assert findings(project, "D7") == [], "1 of 35 is not"


def test_d12_near_duplicates_mirrored_ones_and_blur(project: Project) -> None:
    images = project.root / "images"
    draw(50).save(images / "big.png")
    draw(50).save(images / "copy.jpg", quality=40)
    ImageOps.mirror(draw(50)).resize((192, 192)).save(images / "mirrored.png")
    draw(51).filter(ImageFilter.GaussianBlur(3)).save(images / "soft.png")
    inspection = examine(project)
    groups = {group.kind: group.images for group in inspection.groups}
    assert groups == {"near": ("big.png", "copy.jpg"), "mirrored": ("big.png", "mirrored.png")}
    named = [finding.images for finding in inspection.findings if finding.rule == "D12"]
    assert ("soft.png",) in named
    assert len(named) == 3


def test_d16_shares_and_a_year_for_repeats(project: Project) -> None:
    save_drawings(project.root / "images" / "6_primary", 5, first_seed=30, caption="x")
    (finding,) = findings(project, "D16")
    assert finding.level == "note"
    assert "6_primary: 5 images x 6 = 50%" in finding.message
    save_drawings(project.root / "images" / "2019_holiday", 1, first_seed=40, caption="x")
    (warning, _) = findings(project, "D16")
    assert (warning.level, warning.images) == ("warning", ("2019_holiday/040.png",))


def test_d17_captions_and_images_belong_together(project: Project) -> None:
    images = project.root / "images"
    (images / "000.txt").unlink()
    (images / "001.txt").write_text("")
    (images / "002.txt").write_bytes(b"\xff\xfe")
    (images / "orphan.txt").write_text("x")
    draw(90).save(images / "003.jpg")
    found = {finding.images: finding for finding in findings(project, "D17")}
    assert set(found) == {("000.png",), ("001.png",), ("002.png",), ("orphan.txt",), ("003.jpg", "003.png")}
    assert {finding.level for finding in found.values()} == {"warning"}


def test_d17_is_content_with_a_taggers_tags(project: Project) -> None:
    (project.root / "images" / "000.txt").unlink()
    tagged = examine(project, {"000.png": ("smile",)})
    assert [finding.rule for finding in tagged.findings] == []


def test_a_waived_error_stays_visible_and_passes(tmp_path: Path) -> None:
    project = make_project(tmp_path, '[dataset]\nwaive = { D1 = "a demonstration" }\n')
    save_drawings(project.root / "images", 3, caption="x")
    inspection = examine(project)
    assert [(finding.rule, finding.waived) for finding in inspection.findings] == [("D1", "a demonstration")]
    assert inspection.passed


@pytest.mark.parametrize(("waive", "message"), [('D99 = "x"', "no such rule"), ('D1 = " "', "give a reason")])
def test_wrong_waivers_are_refused(tmp_path: Path, waive: str, message: str) -> None:
    project = make_project(tmp_path, f"[dataset]\nwaive = {{ {waive} }}\n")
    save_drawings(project.root / "images", 3)
    with pytest.raises(ProjectError, match=message):
        examine(project)


def test_the_document_has_the_stable_shape(project: Project) -> None:
    images = project.root / "images"
    shutil.copy(images / "000.png", images / "clone.png")
    document = json.loads(json.dumps(examine(project).as_json()))
    assert set(document) == {"images", "groups", "findings"}
    assert document["groups"] == [{"kind": "same", "images": ["000.png", "clone.png"], "keep": "000.png"}]
    assert document["findings"]
    for finding in document["findings"]:
        assert set(finding) == {"rule", "level", "images", "message", "advice", "waived"}


def test_the_second_look_is_remembered(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    images = project.root / "images"
    draw(50).save(images / "big.png")
    draw(50).save(images / "copy.jpg", quality=40)
    first = examine(project).as_json()

    def never(path: Path) -> None:
        raise AssertionError(f"{path} was opened again")

    monkeypatch.setattr("lorasmith.dataset.fingerprinting.look", never)
    monkeypatch.setattr("lorasmith.dataset.fingerprinting.fingerprint", never)
    assert examine(project).as_json() == first
