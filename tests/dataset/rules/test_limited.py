"""D2: normal or limited dataset."""

from __future__ import annotations

import pytest

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.rules.limited import LIMITED, RULE
from lorasmith.project import SubjectKind
from tests.dataset.evidences import evidence, pictures


def passing() -> Evidence:
    return evidence(pictures(26))


def failing() -> Evidence:
    return evidence(pictures(25))


@pytest.mark.parametrize("kind", SubjectKind)
def test_the_limit_of_each_kind(kind: SubjectKind) -> None:
    limit = LIMITED[kind]
    assert [finding.level for finding in RULE.check(evidence(pictures(limit), kind))] == ["note"]
    assert list(RULE.check(evidence(pictures(limit + 1), kind))) == []


def test_the_rules_own_numbers() -> None:
    numbers = {"character": 25, "background": 15, "asset": 15, "concept": 35, "style": 35}
    assert {kind.value: LIMITED[kind] for kind in SubjectKind if kind.value in numbers} == numbers


def test_the_target_is_said() -> None:
    (finding,) = RULE.check(failing())
    assert "50 to 90" in str(finding.advice)
