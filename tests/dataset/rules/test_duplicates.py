"""D12: no duplicates or near-duplicates, nothing blurred, tiny or badly lit."""

from __future__ import annotations

import pytest

from lorasmith.dataset.evidence import Evidence, Group, Likeness
from lorasmith.dataset.findings import AutoFix
from lorasmith.dataset.rules.duplicates import RULE
from lorasmith.images.exposure import Exposure
from lorasmith.project import SubjectKind
from tests.dataset.evidences import altered, evidence, picture, pictures

LIT = Exposure(0.2, 0.3, 0.9)


def passing() -> Evidence:
    said = pictures(20, "smile")
    return evidence(said, blur={item.name: 0.03 for item, _ in said}, exposure={item.name: LIT for item, _ in said})


def failing() -> Evidence:
    return evidence(pictures(20), groups=(Group("near", ("p000.png", "p001.png", "p002.png"), "it is the largest"),))


def test_the_best_is_kept_with_the_reason() -> None:
    (finding,) = RULE.check(failing())
    assert finding.message == "p001.png, p002.png: each a near-duplicate of p000.png."
    assert finding.advice == "Keep p000.png (it is the largest), remove the others."
    assert finding.fix == AutoFix("reject", ("p001.png", "p002.png"))


@pytest.mark.parametrize("kind", ["same", "near", "mirrored", "padded"])
def test_every_kind_of_copy_can_be_rejected(kind: Likeness) -> None:
    (finding,) = RULE.check(evidence(pictures(9), groups=(Group(kind, ("p000.png", "p001.png")),)))
    assert (finding.level, finding.fix) == ("warning", AutoFix("reject", ("p001.png",)))


def test_clones_of_an_image_that_goes_itself() -> None:
    groups = (Group("near", ("p000.png", "p001.png", "p002.png")), Group("same", ("p001.png", "p002.png")))
    _, finding = RULE.check(evidence(pictures(9), groups=groups))
    assert finding.message == "p002.png: identical to p001.png."
    assert finding.advice == "Remove it; p001.png itself goes in favour of p000.png."
    assert finding.fix == AutoFix("reject", ("p002.png",))


def test_a_crop_may_be_meant() -> None:
    (finding,) = RULE.check(evidence(pictures(9), groups=(Group("cropped", ("p000.png", "p001.png")),)))
    assert (finding.level, finding.fix) == ("note", None)


def test_what_the_user_keeps_is_not_rejected() -> None:
    base = failing()
    kept = evidence(pictures(20), groups=base.groups, kept=frozenset({"p001.png"}))
    (finding,) = RULE.check(kept)
    assert finding.fix == AutoFix("reject", ("p002.png",))
    assert list(RULE.check(evidence(pictures(3), blur={"p001.png": 0.5}, kept=frozenset({"p001.png"})))) == []


def test_a_blur() -> None:
    (finding,) = RULE.check(evidence(pictures(20), blur={"p003.png": 0.3, "p004.png": 0.1}))
    assert finding.images == ("p003.png",)
    assert finding.fix == AutoFix("reject", ("p003.png",))


def test_a_set_that_is_soft_by_its_style_is_not_blurred() -> None:
    soft = {f"p{number:03}.png": 0.06 + 0.003 * number for number in range(20)}
    assert list(RULE.check(evidence(pictures(20), blur=soft))) == []
    (finding,) = RULE.check(evidence(pictures(20), blur=soft | {"p003.png": 0.3}))
    assert finding.images == ("p003.png",)
    blurred = {f"p{number:03}.png": 0.03 if number < 2 else 0.4 for number in range(20)}
    (finding,) = RULE.check(evidence(pictures(20), blur=blurred))
    assert len(finding.images) == 18  # not so a set that is blurred in truth


def test_a_nearly_black_picture_goes_and_a_night_stays() -> None:
    lit = {f"p{number:03}.png": LIT for number in range(20)}
    black = Exposure(dark=1.0, bright=0.0, contrast=0.06)
    (finding,) = RULE.check(evidence(pictures(20), exposure=lit | {"p003.png": black}))
    assert finding.fix == AutoFix("reject", ("p003.png",))
    night = Exposure(dark=0.95, bright=0.0, contrast=0.3)
    (finding,) = RULE.check(evidence(pictures(20), exposure=lit | {"p003.png": night}))
    assert (finding.images, finding.fix) == (("p003.png",), None)
    (finding,) = RULE.check(evidence(pictures(20), exposure=dict.fromkeys(lit, black)))
    assert finding.fix is None  # a set of such pictures is meant so


def test_the_best_of_a_group_stays_though_it_is_blurred() -> None:
    """Copies go as copies and blurs as blurs; together they would take the picture away."""
    said = pictures(9)
    blurred = {"p000.png": 0.3, "p001.png": 0.6, "p005.png": 0.4}
    found = RULE.check(evidence(said, groups=(Group("near", ("p000.png", "p001.png")),), blur=blurred))
    rejected = {name for finding in found if finding.fix for name in finding.fix.images}
    assert rejected == {"p001.png", "p005.png"}


def test_a_blur_that_is_tagged_stays() -> None:
    said = [*pictures(20), picture("soft.png", "Blurry, low_quality")]
    assert list(RULE.check(evidence(said, blur={"soft.png": 0.5}))) == []


def test_a_tiny_picture_unless_it_was_cut_out() -> None:
    said = [*pictures(20), picture("tiny.png", size=(170, 400)), picture("small.png", size=(256, 256))]
    (finding,) = RULE.check(evidence(said))
    assert finding.images == ("tiny.png",)
    cut = picture("made/cut.png", size=(100, 100), lineage=altered("crop", "p000.png"))
    assert list(RULE.check(evidence([*pictures(20), cut]))) == []


def test_a_tiny_subject() -> None:
    said = [*pictures(20, "smile"), picture("far.png", "very wide shot")]
    (finding,) = RULE.check(evidence(said))
    assert finding.images == ("far.png",)
    assert list(RULE.check(evidence(said, SubjectKind.BACKGROUND))) == []


@pytest.mark.parametrize(
    ("light", "bad"),
    [
        (Exposure(0.95, 0.0, 0.4), True),
        (Exposure(0.0, 0.97, 0.2), True),
        (Exposure(0.0, 0.1, 0.05), True),
        (Exposure(0.6, 0.0, 0.4), False),
        (Exposure(0.05, 0.95, 0.9), False),
    ],
    ids=["black", "washed out", "flat", "evening", "a drawing on white"],
)
def test_light(light: Exposure, bad: bool) -> None:
    found = list(RULE.check(evidence(pictures(3), exposure={"p000.png": light})))
    assert [(finding.level, finding.images, finding.fix) for finding in found] == (
        [("warning", ("p000.png",), None)] if bad else []
    )
    assert list(RULE.check(evidence([picture("p000.png", "night")], exposure={"p000.png": light}))) == []
