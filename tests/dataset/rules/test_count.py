"""D1: the image count is enough."""

from __future__ import annotations

import pytest

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.rules.count import RULE
from tests.dataset.evidences import evidence, picture, pictures


def passing() -> Evidence:
    return evidence(pictures(20))


def failing() -> Evidence:
    return evidence(pictures(4))


@pytest.mark.parametrize(
    ("count", "level"),
    [(1, "error"), (4, "error"), (5, "warning"), (19, "warning"), (20, None), (1000, None), (1001, "note")],
)
def test_different_images_are_counted(count: int, level: str | None) -> None:
    clone = picture("clone.png", sha256="p000.png")
    found = [finding.level for finding in RULE.check(evidence([*pictures(count), clone]))]
    assert found == ([level] if level else [])
