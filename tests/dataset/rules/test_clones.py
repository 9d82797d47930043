"""D7: few clones."""

from __future__ import annotations

from lorasmith.dataset.evidence import Evidence, Group
from lorasmith.dataset.rules.clones import RULE
from lorasmith.remedies import Action, Do
from tests.dataset.evidences import altered, evidence, picture, pictures, steps

GROUP = Group("same", ("p000.png", "p001.png"))


def passing() -> Evidence:
    return evidence(pictures(34), groups=(GROUP,))


def failing() -> Evidence:
    return evidence(pictures(33), groups=(GROUP,))


def test_copies_beyond_three_in_a_hundred() -> None:
    (finding,) = RULE.check(failing())
    assert finding.images == ("p001.png",), "the first one is no clone"
    assert steps(finding.advice) == [Do(Action.ALTER, project="PROJECT", replace_clones=True)]


def test_near_duplicates_are_no_clones_and_altered_ones_are_told() -> None:
    near = Group("near", ("p000.png", "p001.png"))
    assert list(RULE.check(evidence(pictures(10), groups=(near,)))) == []
    made = picture("made/1.png", lineage=altered("crop", "p000.png"))
    (finding,) = RULE.check(evidence([*pictures(10), made], groups=(GROUP,)))
    assert "(and 1 altered ones)" in finding.message
