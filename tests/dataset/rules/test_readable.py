"""L0: every image can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.folders import Problem
from lorasmith.dataset.rules.readable import RULE
from tests.dataset.evidences import evidence, pictures


def passing() -> Evidence:
    return evidence(pictures(20))


def failing() -> Evidence:
    return evidence(pictures(20), problems=(Problem("unreadable", "text.png", Path("text.png"), "not an image."),))


@pytest.mark.parametrize(
    ("kind", "level"),
    [("unreadable", "error"), ("link", "warning"), ("folder", "warning"), ("curation", "warning"), ("caption", None)],
)
def test_every_problem_is_named(kind: str, level: str | None) -> None:
    problem = Problem(kind, "the name", Path("the name"), "what is wrong.")
    found = list(RULE.check(evidence(pictures(1), problems=(problem,))))
    assert [finding.level for finding in found] == ([level] if level else []), "captions are D17's"
    assert all("the name" in finding.message and "what is wrong" in finding.message for finding in found)
