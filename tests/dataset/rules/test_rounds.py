"""D15: a second round has 25 to 35 images."""

from __future__ import annotations

import pytest

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.rules.rounds import RULE
from tests.dataset.evidences import altered, evidence, picture, pictures


def round_two(own: int, adopted: int) -> Evidence:
    drawn = [picture(f"made/{number}.png", lineage=altered("adopt")) for number in range(adopted)]
    return evidence([*pictures(own), *drawn])


def passing() -> Evidence:
    return round_two(10, 15)


def failing() -> Evidence:
    return round_two(10, 14)


@pytest.mark.parametrize(("own", "adopted", "fits"), [(10, 25, True), (10, 26, False), (40, 0, True), (1, 5, False)])
def test_sizes(own: int, adopted: int, fits: bool) -> None:
    found = list(RULE.check(round_two(own, adopted)))
    assert [len(finding.images) for finding in found] == ([] if fits else [adopted])


def test_when_to_stop() -> None:
    (finding,) = RULE.check(round_two(30, 30))
    assert "strength 0.8" in str(finding.advice)
