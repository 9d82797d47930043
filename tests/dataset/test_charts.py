"""Charts: where the bars stand."""

from __future__ import annotations

from lorasmith.dataset.charts import BINS, plan_histogram


def test_every_value_is_counted_once() -> None:
    chart = plan_histogram("<sizes>", [0.0, 0.1, 0.5, 1.0, 1.0], limit=0.9)
    assert chart is not None
    counts = [int(bar.text.rpartition(": ")[2]) for bar in chart.bars]
    assert len(counts) == BINS
    assert (sum(counts), counts[0], counts[-1]) == (5, 1, 2)
    assert [bar.over for bar in chart.bars].count(True) == 2, "the bars over the limit"
    assert all(bar.y + bar.height == chart.base for bar in chart.bars)


def test_odd_values() -> None:
    assert plan_histogram("nothing", []) is None
    nothing = plan_histogram("all nothing", [0.0, 0.0])
    assert nothing is not None
    assert nothing.bars[0].height == max(bar.height for bar in nothing.bars)
