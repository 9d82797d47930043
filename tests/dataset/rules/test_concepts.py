"""D11: a concept on different kinds of subject, a pose from several angles."""

from __future__ import annotations

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.rules.concepts import RULE
from lorasmith.project import SubjectKind
from tests.dataset.evidences import Said, evidence, pictures

SHOWN = [
    *pictures(10, "1girl, upper body", prefix="a"),
    *pictures(10, "1boy, from side", prefix="b"),
    *pictures(2, "cat, close-up", prefix="c"),
]
POSE = [
    *pictures(5, "sitting, on chair"),
    *pictures(5, "from side", prefix="q"),
    *pictures(2, "silhouette", prefix="s"),
]


def concept(said: list[Said], kind: SubjectKind = SubjectKind.CONCEPT) -> Evidence:
    return evidence(said, kind)


def passing() -> Evidence:
    return concept(SHOWN)


def failing() -> Evidence:
    return concept(pictures(20, "1girl, upper body"))


def test_kinds_of_subject_angles_and_close_focus() -> None:
    messages = [finding.message for finding in RULE.check(failing())]
    assert messages == [
        "not shown, as far as tags and labels tell: close focus.",
        "one viewpoint only (front).",
        "shown with one kind of subject only (a woman).",
    ]


def test_close_focus_is_one_in_twenty() -> None:
    (finding,) = RULE.check(concept([*SHOWN, *pictures(30, "1girl", prefix="d")]))
    assert finding.message.endswith("close focus (2 of 3).")


def test_a_pose_touches_its_surroundings_and_has_a_silhouette() -> None:
    assert list(RULE.check(concept(POSE, SubjectKind.POSE))) == []
    without = [said for said in POSE if "silhouette" not in said[1] and "chair" not in said[1]]
    (finding, _) = RULE.check(concept(without, SubjectKind.POSE))
    assert finding.message.endswith("interacting with the surroundings, silhouette.")


def test_other_kinds_are_not_asked() -> None:
    assert list(RULE.check(evidence(pictures(9, "solo")))) == []
