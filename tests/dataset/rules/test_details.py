"""D6: special details are shown in focus, and oftener."""

from __future__ import annotations

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.rules.details import RULE
from lorasmith.project import SubjectKind
from tests.dataset.evidences import altered, evidence, picture, pictures

PLAIN = [*pictures(30, "upper body"), *pictures(8, "full body, arm tattoo", prefix="t")]


def passing() -> Evidence:
    return evidence([*PLAIN, *pictures(2, "close-up, arm tattoo", prefix="c", repeats=2)])


def failing() -> Evidence:
    return evidence(PLAIN)


def test_a_detail_without_a_close_up() -> None:
    (finding,) = RULE.check(failing())
    assert finding.message.startswith("tattoo: in focus in 0 of 38 images")
    assert len(finding.images) == 8


def test_close_ups_are_shown_twice_on_a_face_three_times() -> None:
    (finding,) = RULE.check(evidence([*PLAIN, *pictures(2, "close-up, arm tattoo", prefix="c")]))
    assert "too seldom" in finding.message
    face = [*pictures(20, "portrait, facial tattoo", prefix="f", repeats=2)]
    assert [finding.rule for finding in RULE.check(evidence(face))] == ["D6"]
    assert list(RULE.check(evidence([(item, tags.replace("facial", "arm")) for item, tags in face]))) == []


def test_altered_copies_count() -> None:
    close = pictures(2, "close-up, scar on arm", prefix="c")
    copies = [
        picture(f"made/{n}.png", "smile", lineage=altered("flip", item.name)) for n, (item, _) in enumerate(close)
    ]
    assert list(RULE.check(evidence([*pictures(30, "smile"), *close, *copies]))) == []
    assert list(RULE.check(evidence([*pictures(30, "smile"), *close]))) != []


def test_no_detail_or_another_kind() -> None:
    assert list(RULE.check(evidence(pictures(9, "oscar statue, upper body")))) == []
    assert list(RULE.check(evidence(PLAIN, SubjectKind.ASSET))) == []


def test_a_part_that_was_cut_out_is_in_focus() -> None:
    parts = [
        picture(f"made/{number}.png", "arm tattoo", lineage=altered("cut", f"t00{number}.png"), repeats=2)
        for number in range(2)
    ]
    assert list(RULE.check(evidence([*PLAIN, *parts]))) == []
