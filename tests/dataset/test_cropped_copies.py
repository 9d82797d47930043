"""Pictures that were cut out of others are found among many, by what they share; once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lorasmith.dataset.cropped_copies import ComparedImage, CroppedCopy, find_candidates, find_cropped_copies, make_keys
from lorasmith.dataset.decisions import Decision, record
from lorasmith.dataset.inspection import inspect
from lorasmith.events import finish
from lorasmith.images.keypoints import take_keypoints
from lorasmith.images.opening import look_at
from lorasmith.images.similarity import take_thumbnail
from lorasmith.project import Project
from tests.dataset.projects import make_project, read
from tests.images.test_keypoints import detailed, part

pytest.importorskip("cv2")
BOX = (0.3, 0.1, 0.9, 0.7)


def sight(name: str, image: Image.Image) -> ComparedImage:
    return ComparedImage(name, name, lambda: take_keypoints(image), lambda box: take_thumbnail(image, box))


def test_parts_are_found_among_others() -> None:
    images = {str(seed): detailed(seed) for seed in range(6)}
    images["cut"] = part(images["2"], BOX).resize((300, 225))
    images["other cut"] = part(images["4"], (0.0, 0.4, 0.6, 1.0))
    found = finish(find_cropped_copies([sight(name, image) for name, image in images.items()]))
    assert [(cutting.part, cutting.whole) for cutting in found] == [("cut", "2"), ("other cut", "4")]
    assert found[0].box == pytest.approx(BOX, abs=0.02)
    distinct = frozenset({frozenset({"cut", "2"})})
    assert [
        cutting.part for cutting in finish(find_cropped_copies([sight(*one) for one in images.items()], distinct))
    ] == ["other cut"]


def test_where_the_pixels_differ_it_is_no_cutting() -> None:
    """Keypoints of a drawing's frame agree, what it frames does not."""
    image = detailed(3)
    other = part(image, BOX)
    other.paste("white", (120, 80, 260, 200))
    assert finish(find_cropped_copies([sight("whole", image), sight("part", other)])) == ()
    (cutting,) = finish(find_cropped_copies([sight("whole", image), sight("part", part(image, BOX))]))
    assert replace(cutting, box=BOX) == CroppedCopy("part", "whole", BOX)
    assert cutting.box == pytest.approx(BOX, abs=0.02)


def test_candidates_share_keys_that_few_have() -> None:
    random = np.random.default_rng(1)
    own = [random.integers(0, 256, (40, 32), dtype=np.uint8) for _ in range(30)]
    everybody = random.integers(0, 256, (40, 32), dtype=np.uint8)
    bits = [np.concatenate((mine, everybody)) for mine in own]
    bits[7] = np.concatenate((bits[7], own[21][:10]))
    assert find_candidates([make_keys(of) for of in bits]) == [(7, 21)], "what everybody has tells nothing"
    assert find_candidates([]) == []
    assert find_candidates([make_keys(np.empty((0, 32), np.uint8))] * 2) == []


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = make_project(tmp_path_factory.mktemp("copies"))
    images = made.root / "images"
    for seed in range(3):
        detailed(seed).save(images / f"{seed}.png")
    part(detailed(1), BOX).save(images / "cut.png")
    return made


def groups(project: Project) -> list[tuple[str, ...]]:
    return [group.images for group in finish(inspect(project, read(project), {})).groups if group.kind == "cropped"]


def test_inspection_names_them_and_remembers(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert groups(project) == [("1.png", "cut.png")]
    monkeypatch.setattr("lorasmith.dataset.cropped_copies.find_cropped_copies", None)
    assert groups(project) == [("1.png", "cut.png")]


def test_a_pair_that_is_called_distinct_and_a_missing_extra(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setattr("lorasmith.dataset.inspection.can_see", lambda: False)
        assert groups(project) == []
    one, other = (look_at(project.root / "images" / name).sha256 for name in ("1.png", "cut.png"))
    record(project, [Decision(one, "distinct", other)])
    assert groups(project) == []


def test_a_decided_crop_is_what_is_compared(project: Project) -> None:
    """Whatever the file shows: the part that is trained is compared, for likeness and for cropped copies."""
    images = project.root / "images"
    (images / "cut.png").unlink()
    assert groups(project) == []
    sheet = Image.new("RGB", (900, 700), "navy")
    sheet.paste(detailed(5), (0, 0))
    sheet.paste(part(detailed(2), BOX), (500, 400))
    sheet.save(images / "sheet.png")
    sha = look_at(images / "sheet.png").sha256
    record(project, [Decision(sha, "crop", (500, 400, 884, 688))])
    assert groups(project) == [("2.png", "sheet.png")]
    record(project, [Decision(sha, "crop", (0, 0, 500, 480))])
    assert groups(project) == []
