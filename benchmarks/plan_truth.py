"""What `lorasmith plan --rehearse` says a run will take, and what `lorasmith train` takes: both on the embedded base,
several recipes, turn by turn, so that a machine whose speed drifts is seen to drift. The time is that of the whole
command, as the plan's is: opening the program, reading the base, latents, steps, the file.

Run: python -m benchmarks.plan_truth [--quick]. About ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.timing import machine, ratio_line
from lorasmith.examples import copy_example

BARE = {"preserve.kind": "none", "save_every": "1000 steps"}
RECIPES = {
    "LoRA": BARE | {"target_steps": "150"},
    "LoCon, batch 8": BARE | {"target_steps": "80", "batch_size": "8", "conv.rank": "8"},
    "LoHa, 192 pixels": BARE | {"target_steps": "50", "algorithm": "loha", "resolution": "192"},
    "the preset": {"target_steps": "100", "save_every": "1000 steps"},
}


def planned_and_taken(project: Path, sets: dict[str, str]) -> tuple[float, float]:
    """Seconds of a run as planned after a rehearsal, and as they came."""
    chosen = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
    planned = json.loads(_run("plan", str(project), "--rehearse", "--json", *chosen))["seconds"]
    begun = time.perf_counter()
    _run("train", str(project), *chosen)
    return planned, time.perf_counter() - begun


def _run(*words: str) -> str:
    command = [sys.executable, "-m", "lorasmith.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan_truth", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few steps of one recipe, once")
    quick = parser.parse_args(argv).quick
    print(machine(), flush=True)
    worst: dict[str, float] = {}
    for name, sets in list(RECIPES.items())[: 1 if quick else None]:
        ratios = []
        for _ in range(1 if quick else 3):
            with tempfile.TemporaryDirectory() as folder:
                project = copy_example("character", Path(folder) / "project")
                steps = {"target_steps": "5"} if quick else {}
                planned, taken = planned_and_taken(project, sets | steps)
            ratios.append(taken / planned)
            print(f"{name}: planned {planned:.1f} s, taken {taken:.1f} s", flush=True)
        worst[name] = statistics.median(ratios)
    for name, ratio in worst.items():
        print(ratio_line(f"{name}: taken / planned, off by", max(ratio, 1 / ratio), at_most=1.15))


if __name__ == "__main__":
    main()
