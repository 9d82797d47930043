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
