"""Charts as inline SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from lorasmith.dataset.charts import BINS, draw_bar, draw_histogram


def test_every_value_is_counted_once() -> None:
    drawn = draw_histogram("<sizes>", [0.0, 0.1, 0.5, 1.0, 1.0], limit=0.9)
    ElementTree.fromstring(drawn)
    counts = [int(count) for count in re.findall(r": (\d+)</title>", drawn)]
    assert len(counts) == BINS
    assert (sum(counts), counts[0], counts[-1]) == (5, 1, 2)
    assert drawn.count('class="over"') == 2, "the bars over the limit"


def test_odd_values() -> None:
    assert draw_histogram("nothing", []) == ""
    ElementTree.fromstring(draw_histogram("all nothing", [0.0, 0.0]))
    assert "width:100.0%" in draw_bar(7.0)
    assert "width:0.0%" in draw_bar(-1.0)
