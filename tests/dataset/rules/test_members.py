"""D3: every member of a bundle has enough images of its own."""

from __future__ import annotations

import pytest

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.rules.members import RULE, WANTED
from lorasmith.project import MemberTable, SubjectKind
from tests.dataset.evidences import evidence, picture, pictures

BUNDLE = {"anna": MemberTable(trigger="annax", folders=("anna",)), "ben": MemberTable(trigger="benx", folders=("ben",))}


def bundle(anna: int, ben: int, subject: SubjectKind = SubjectKind.CHARACTER) -> Evidence:
    said = [
        *pictures(anna, "annax, smile", prefix="a", member="anna"),
        *pictures(ben, "benx, smile", prefix="b", member="ben"),
    ]
    return evidence(said, subject, bundle=BUNDLE)


def passing() -> Evidence:
    return bundle(69, 69)


def failing() -> Evidence:
    return bundle(69, 68)


@pytest.mark.parametrize(("kind", "wanted"), [("character", 69), ("background", 45), ("clothing", 30), ("concept", 25)])
def test_the_rules_own_numbers(kind: str, wanted: int) -> None:
    subject = SubjectKind(kind)
    assert WANTED[subject] == wanted
    assert list(RULE.check(bundle(wanted, wanted, subject))) == []
    (finding,) = RULE.check(bundle(wanted, wanted - 1, subject))
    assert (finding.level, finding.message[:4]) == ("note", "ben:")


def test_a_member_with_hardly_an_image_is_an_error() -> None:
    (finding,) = RULE.check(bundle(69, 4))
    assert finding.level == "error"


def test_an_image_of_nobody() -> None:
    base = passing()
    stray = picture("stray.png", "smile")[0]
    found = list(RULE.check(evidence([*((item, "x") for item in base.items), (stray, "smile")], bundle=BUNDLE)))
    assert [(finding.level, finding.images) for finding in found] == [("warning", ("stray.png",))]


def test_a_clash_of_triggers() -> None:
    said = [
        *pictures(69, "annax, smile", prefix="a", member="anna"),
        *pictures(69, "benx, smile", prefix="b", member="ben"),
        picture("both.png", "benx, annax, smile", member="ben"),
    ]
    (finding,) = RULE.check(evidence(said, bundle=BUNDLE))
    assert finding.images == ("both.png",)
    assert "tagged annax, which calls anna" in finding.message


def test_a_single_subject_is_no_bundle() -> None:
    assert list(RULE.check(evidence(pictures(3)))) == []
