"""Templates: whatever is put in is escaped, in every page; parts that several pages show."""

from __future__ import annotations

import re
from importlib.resources import files
from xml.etree import ElementTree

import jinja2
import pytest

from lorasmith.dataset.charts import plan_histogram
from lorasmith.remedies import Action, Do, Sentence, Write
from lorasmith.templates import _environment, render

HOSTILE = "<script>alert('x & \"y\"')</script>"


def part(call: str, **values: object) -> str:
    text = '{% from "parts.html" import advice, bar, histogram %}{{ ' + call + " }}"
    return _environment().from_string(text).render(values).strip()


def test_a_bar_is_at_most_full() -> None:
    assert "width:100.0%" in part("bar(share)", share=7.0)
    assert "width:0.0%" in part("bar(share)", share=-1.0)
    assert "width:25.0%" in part("bar(share)", share=0.25)


def test_a_histogram_is_whole() -> None:
    drawn = part("histogram(chart)", chart=plan_histogram(HOSTILE, [0.0, 0.1, 0.5, 1.0, 1.0], limit=0.9))
    root = ElementTree.fromstring(drawn)
    assert root.get("aria-label") == HOSTILE
    assert sum(int(count) for count in re.findall(r": (\d+)</title>", drawn)) == 5
    assert drawn.count('class="over"') == 2
    assert "<script" not in drawn


def test_what_to_type_is_set_as_code() -> None:
    advice = Sentence("Look <here>: ", Do(Action.INSPECT, project=HOSTILE), ", or ", Write("a = 1"), ".")
    drawn = part("advice(text)", text=advice)
    assert re.sub("<code>.*?</code>", "CODE", drawn) == "Look &lt;here&gt;: CODE, or CODE."
    assert "<script" not in drawn
    assert part("advice(text)", text="plain & simple") == "plain &amp; simple"


def test_data_cannot_end_its_element() -> None:
    page = render("grid.html", data={"title": HOSTILE, "b": "<!--", "a": 1})
    assert page.count("</script>") == 2, "of the data and of the program"
    assert "<!--" not in page
    assert page.index("title") < page.index("u003c!--") < page.index('"a": 1'), "in its own order"


def test_a_value_that_is_missing_is_a_fault() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render("exam.html", name="x")


def test_no_template_lets_anything_through_unescaped() -> None:
    pages = [file for file in files("lorasmith.templates").iterdir() if file.name.endswith(".html")]
    assert len(pages) >= 4
    for page in pages:
        assert not re.search(r"\|\s*safe|autoescape|Markup", page.read_text("utf-8")), page.name
