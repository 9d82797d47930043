"""What to do next, in view of what was done."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorasmith.exam.advice import Evidence, advise
from lorasmith.exam.figures import Figure, share
from lorasmith.exam.selection import Arm, Choice
from lorasmith.exam.strength import Window

NAMES = ("hit_rate", "broken", "flexibility", "leakage", "copying", "untriggered", "likeness")


@pytest.mark.parametrize(
    ("rate", "lower", "higher"),
    [
        (
            5e-5,
            "a lower text-encoder rate (it was 5e-05) or fewer steps",
            "or a higher text-encoder rate (it was 5e-05)",
        ),
        (0, 'preserve.kind = "both" or fewer steps', "or a text encoder that learns, too"),
    ],
)
def test_a_rate_that_was_0_is_not_made_lower(rate: float, lower: str, higher: str) -> None:
    figures = {name: share([]) for name in NAMES}
    figures |= {"hit_rate": Figure(1.0, 0.9, 1.0, 50), "leakage": share([True] * 20), "untriggered": share([True] * 20)}
    chosen = Arm(Path("a.safetensors"), 0.8)
    evidence = Evidence(
        figures,
        {"hit_rate": share([False] * 20), "broken": share([])},
        Window(0.8, None, None, ()),
        Choice(chosen, clear=True, tied=(chosen,), answers={}),
        recipe={"lr": {"unet": 1e-3, "text_encoder": rate}},
    )
    steps = [str(step) for step in advise(evidence)]
    assert any(lower in step for step in steps), steps
    assert any(higher in step for step in steps), steps
