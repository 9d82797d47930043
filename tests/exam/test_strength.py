"""The window: the weakest strength that serves as well as the best, among its neighbours, too; usable around it."""

from __future__ import annotations

from collections.abc import Mapping

from lorasmith.exam.figures import share, wilson
from lorasmith.exam.strength import Point, find_window, still_rises, with_hits


def _points(hits: Mapping[float, int], n: int = 100, flexible: Mapping[float, int] | None = None) -> list[Point]:
    return [
        Point(
            strength, wilson(count, n), wilson(flexible[strength], n) if flexible else share([]), wilson(n - count, n)
        )
        for strength, count in hits.items()
    ]


def test_the_foot_of_the_slope_is_not_recommended_for_a_few_pictures() -> None:
    window = find_window(_points({0.4: 0, 0.6: 13, 0.8: 13, 1.0: 12, 1.2: 10}, n=16))
    assert window.recommended == 0.8
    assert (window.low, window.high) == (0.6, 0.8)
    assert find_window(_points({0.6: 13, 0.8: 13, 1.0: 12, 1.2: 10}, n=16)).recommended == 0.6


def test_the_weakest_of_the_best_is_recommended() -> None:
    window = find_window(_points({0.4: 5, 0.6: 86, 0.8: 96, 1.0: 97, 1.2: 88}))
    assert window.recommended == 0.8
    assert (window.low, window.high) == (0.6, 1.2)
    assert str(window) == "0.8; usable from 0.6 to 1.2"


def test_of_few_pictures_a_usable_strength_goes_before_a_weaker_one_that_is_not() -> None:
    window = find_window(_points({0.6: 6, 0.8: 7, 1.0: 6}, n=8))
    assert window.recommended == 0.8
    assert (window.low, window.high) == (0.8, 0.8)


def test_a_narrow_window_is_recommended_where_it_is() -> None:
    window = find_window(_points({0.4: 0, 0.6: 0, 0.8: 33, 1.0: 97, 1.2: 88}))
    assert window.recommended in (1.0, 1.2)
    assert (window.low, window.high) == (1.0, 1.2)


def test_a_gap_ends_the_window() -> None:
    window = find_window(_points({0.4: 90, 0.6: 40, 0.8: 95, 1.0: 96, 1.2: 30}))
    assert (window.low, window.high) == (0.8, 1.0)


def test_flexibility_pulls_it_down() -> None:
    hits = {0.6: 92, 0.8: 94, 1.0: 96, 1.2: 96}
    window = find_window(_points(hits, flexible={0.6: 80, 0.8: 78, 1.0: 40, 1.2: 20}))
    assert window.recommended == 0.6


def test_nothing_learnt_is_usable_nowhere() -> None:
    window = find_window(_points({0.6: 0, 0.8: 2, 1.0: 10, 1.2: 20}))
    assert window.recommended == 1.2
    assert window.low is None
    assert window.as_json()["from"] is None
    assert "nowhere" in str(window)


def test_a_given_strength_is_kept() -> None:
    window = find_window(_points({0.6: 90, 0.8: 95, 1.0: 96}), given=0.6)
    assert window.recommended == 0.6
    assert (window.low, window.high) == (0.6, 1.0)


def test_it_goes_on_while_it_rises() -> None:
    assert still_rises(_points({1.0: 50, 1.2: 60}))
    assert not still_rises(_points({1.0: 60, 1.2: 60}))
    assert not still_rises(_points({1.0: 60}))


def test_the_whole_exams_hits_stand_for_the_windows_own() -> None:
    window = find_window(_points({0.8: 6, 1.0: 7, 1.2: 6}, n=10))
    assert window.low is None
    whole = with_hits(window, wilson(90, 100))
    assert whole.recommended == window.recommended == 0.8
    assert (whole.low, whole.high) == (0.8, 0.8)
    assert with_hits(window, wilson(4, 4)) == window
