"""D9: the page's errors and progress are seen, and what it offers can be done."""

from __future__ import annotations

import re
from html.parser import HTMLParser
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
    return (files("lorasmith.web") / name).read_text("utf-8")


class _Within(HTMLParser):
    """The ids of what stands inside the element with an id."""

    def __init__(self, outer: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._outer, self._depth = outer, 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if self._depth and known.get("id"):
            self.found.add(str(known["id"]))
        if tag in ("section", "div", "form", "p", "button", "kbd") and (self._depth or known.get("id") == self._outer):
            self._depth += 1

    def handle_endtag(self, tag: str) -> None:
        if self._depth and tag in ("section", "div", "form", "p", "button", "kbd"):
            self._depth -= 1


def test_errors_and_progress_stand_where_the_button_is_and_that_stays_in_sight() -> None:
    page = _Within("act")
    page.feed(part("studio.html"))
    assert page.found == {"draw", "cancel", "error", "jobs"}
    (act,) = re.findall(r"#act \{([^}]*)\}", part("studio.css"))
    assert "position: sticky" in act
    assert "bottom: 0" in act


def test_nothing_is_sent_before_the_lists_are_there() -> None:
    """The button is off until they are, and every way to draw goes through one function that looks at it."""
    script = part("studio.js")
    assert 'id="draw" disabled' in part("studio.html")
    (body,) = re.findall(r"async function draw\(\) \{\n(.*)\n", script)
    assert '$("draw").disabled) return' in body
    assert script.count('ask("/jobs"') == 1


def test_one_without_any_is_drawn_in_both_modes() -> None:
    (body,) = re.findall(r"async function draw\(\) \{.*?\n\}", part("studio.js"), re.DOTALL)
    assert "if (each || control)" in body
    assert "each ? rows.map((row) => [row]) : [rows]" in body


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
