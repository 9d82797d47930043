"""Every listed benchmark runs from a clean checkout in its smallest size, and ends with its ratio lines. What they say
of speed is not asserted."""

from __future__ import annotations

import json
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


def test_what_a_gpu_lacks_memory_for_is_told_and_the_rest_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from benchmarks import gpu

    def fails(_: gpu.Bench) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB\nmore words")

    monkeypatch.setitem(gpu.PARTS, "sweep", fails)
    chosen = ["--part", "sweep", "--part", "mixed", "--true-shape", "anima"]
    gpu.main([*chosen, "--json", str(tmp_path / "found.json"), "--quick"])
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["shapes"]["anima"]["sweep"] == {"out of memory": "CUDA out of memory. Tried to allocate 9 GiB"}
    assert len(found["shapes"]["anima"]["mixed"]) == 3
    assert (found["failed"], found["tiny"]) == ([], True)
    assert "sweep: out of memory" in capsys.readouterr().out
    monkeypatch.setitem(gpu.PARTS, "sweep", lambda _: 1 / 0)
    with pytest.raises(SystemExit, match="failed: anima: sweep"):
        gpu.main([*chosen, "--quick"])


def test_true_shapes_are_those_of_the_public_models() -> None:
    """Without memory: what is random there is as large as what is trained elsewhere, and a step can be counted."""
    import torch
    from benchmarks.gpu_bases import make_base, shapes

    meta = torch.device("meta")
    found = {name: make_base(name, meta, tiny=False) for name in shapes()}
    parameters = {name: sum(each.numel() for each in own.base.denoiser.parameters()) for name, own in found.items()}
    assert {name: count // 100_000 for name, count in parameters.items()} == {
        "sd1": 8595,
        "sdxl": 25674,
        "anima": 19564,
    }
    for own in found.values():
        assert own.decode(own.inputs(1)[0]).shape == (1, 3, own.shape.side, own.shape.side)
    assert found["sd1"].denoise(*found["sd1"].inputs(2)).shape == (2, 4, 64, 64)
