"""Every listed benchmark runs from a clean checkout in its smallest size, and ends with its ratio lines. What they say
of speed is not asserted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.__main__ import names

ROOT = Path(__file__).parents[1]
RATIO = re.compile(r"^ratio: .+ = \S+ \(goal (<=|>=) \S+\)$", re.MULTILINE)


def test_only_benchmarks_are_listed() -> None:
    assert len(names()) > 15
    for name in names():
        assert "def main(" in (ROOT / "benchmarks" / f"{name}.py").read_text("utf-8")


@pytest.mark.parametrize("name", names())
def test_a_benchmark_ends_with_its_ratios(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "LORASMITH_HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--quick"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert RATIO.search(result.stdout), result.stdout[-2000:]


def test_the_truth_goes_on_with_all_that_may_be_the_best_and_no_others() -> None:
    from benchmarks.choice_regret import PROBED, still_racing

    from lorasmith.exam.selection import Arm

    best, near, bad = (Arm(Path(name), 1.0) for name in ("best", "near", "bad"))
    weaker = Arm(best.snapshot, 0.8)
    answers = {arm: [i % 10 < tenths for i in range(PROBED)] for arm, tenths in ((best, 9), (bad, 3))}
    answers[near] = [i % 10 > 1 for i in range(PROBED)]
    answers[weaker] = [i % 10 != 1 and right for i, right in enumerate(answers[best])]
    assert still_racing([weaker, best, near, bad], answers) == [best, near]
    few = {arm: right[: PROBED // 2] for arm, right in answers.items()}
    assert still_racing([weaker, best, near, bad], few) == [weaker, best, near]


def test_regret_is_a_lead_on_the_same_questions_and_a_lucky_best_shows_on_the_other_half() -> None:
    from benchmarks.choice_regret import find_regret

    from lorasmith.exam.selection import Arm

    first, second, dropped = (Arm(Path(name), 1.0) for name in ("first", "second", "dropped"))
    fours = [i // 4 % 2 == 0 for i in range(80)]
    answers = {first: fours, second: [True] * 4 + [not right for right in fours[4:]], dropped: [True] * 8}
    found = find_regret(answers, first)
    assert found["value"] == 0.05
    assert found["low"] < 0 < found["high"]
    assert found["fresh"] < 0  # each half's best loses on the other
    assert find_regret(answers, second)["value"] == 0
