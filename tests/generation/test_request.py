"""What is checked before anything is drawn."""

from __future__ import annotations

from typing import Any

import pytest

from lorasmith.bases.base import Base
from lorasmith.errors import LorasmithError
from lorasmith.generation.request import Request, default_cfg, settle


def test_defaults_come_from_the_base(tiny_base: Base) -> None:
    request, settings = settle(Request("a", sampler="euler A"), tiny_base)
    assert (settings.width, settings.height, settings.cfg, settings.sampler) == (64, 64, 7.0, "Euler a")
    assert (request.width, request.cfg, request.sampler) == (64, 7.0, "Euler a")
    tiny_base.name = "doodle"
    assert default_cfg(tiny_base) == 1.75


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 100}, "width = 100 is not a multiple of 8. Near: 96 or 104"),
        ({"height": 8}, "height = 8 is not between 64 and 4096"),
        ({"steps": 0}, "steps = 0 is not between 1 and 1000"),
        ({"steps": 2.5}, "steps = 2.5 is not a whole number"),
        ({"seed": -1}, "seed = -1"),
        ({"cfg": float("nan")}, "cfg = nan is not a number"),
        ({"cfg": -1}, "cfg = -1 is not between"),
        ({"sampler": "DPM++ 2M Karas"}, r'Did you mean "DPM\+\+ 2M Karras"'),
        ({"clip_skip": 9}, "clip skip = 9 is not between 1 and 3"),
        ({"emphasis": "no-norm"}, 'Did you mean "no norm"'),
        ({"compat": "A1111"}, "unknown dialect"),
    ],
)
def test_wrong_values(tiny_base: Base, values: dict[str, Any], message: str) -> None:
    with pytest.raises(LorasmithError, match=message):
        settle(Request("a", **values), tiny_base)
