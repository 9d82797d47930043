"""D9: the page's errors and progress are seen, and what it offers can be done."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import torch

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.files import save_adapter
from lorasmith.adapters.recommendation import Recommendation
from lorasmith.bases.base import Base
from tests.adapters.drawing import trained_adapter
from tests.server.running import Plain, plain_settings, running


def part(name: str) -> str:
    return (files("lorasmith.web.studio") / "screens" / "draw" / name).read_text("utf-8")


def test_errors_and_progress_stand_where_the_button_is_and_that_stays_in_sight() -> None:
    act = part("draw.js").partition('<div class="draw-act">')[2].partition('<div class="draw-side">')[0]
    assert "Draw <kbd>" in act
    assert "cancelAll}>Stop" in act
    assert "<${ErrorLine} fault=${refused}" in act
    assert "<${Job} key=${each.id} job=${each}" in act
    (rule,) = re.findall(r"^\.draw-act \{([^}]*)\}", part("draw.css"), re.MULTILINE)
    assert "position: sticky" in rule
    assert "bottom: 0" in rule


def test_nothing_is_sent_before_the_lists_are_there() -> None:
    """Nothing is shown until they are, and every way to draw goes through one function that looks at it."""
    script = part("draw.js")
    shown = script.index("if (!choices) return null;")
    assert script.count("onClick=${draw}") == 1
    assert script.index("onClick=${draw}") > shown
    (body,) = re.findall(r"const draw = async \(\) => \{\n(.*)\n", script)
    assert body.strip() == "if (!choices) return;"
    assert script.count('post("/jobs"') == 1


def test_one_without_any_is_drawn_in_both_modes() -> None:
    (body,) = re.findall(r"async function send\(\) \{.*?\n\}", part("draw.js"), re.DOTALL)
    assert "if (rows.length && control) sets.unshift([])" in body
    assert "each ? rows.map((/** @type {any} */ row) => [row]) : [rows]" in body


def test_what_no_prompt_can_call_is_not_offered_and_strengths_are_those_of_exams(
    tmp_path: Path, tiny_base: Base
) -> None:
    layers = trained_adapter(tiny_base).layers
    recommended = Recommendation(0.7, 0.5, 1.0).metadata()
    for name, metadata in (("plain", {}), ("examined", recommended), ("a:b", {})):
        save_adapter(tmp_path / "adapters" / f"{name}.safetensors", Adapter(name, layers, metadata), torch.float32)
    with running(plain_settings(tmp_path / "data", adapters=(tmp_path / "adapters",)), Plain()) as (client, _):
        told = {each["name"]: each for each in client.get("/api/v1/adapters").json()["adapters"]}
    assert "no prompt can call it" in told["a:b"]["problem"]
    assert told["plain"]["problem"] is None
    assert told["plain"]["strength"] is None
    assert told["examined"]["strength"] == 0.7
