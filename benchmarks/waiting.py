"""Two threads of a training step beside other programs: waiting in a loop, as torch's library does, and asleep.

A step of the embedded base (four rows, LoRA on the attentions) on as many threads as there are cores, beside busy loops
in processes of their own (`--beside`, one by default; 0: nothing beside). The sides take turns. Programs choose by
themselves when they start (`lorasmith.cli.waiting`); here both are forced.

Run: python -m benchmarks.waiting [--quick] [--beside N]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.timing import machine, ratio_line
from benchmarks.whole_run import make_project
from lorasmith.cli.waiting import ROUNDS

_WARM = 4
_LOOP = "import time; end = time.monotonic() + 3600\nwhile time.monotonic() < end: pass"
_SIDES: dict[str, dict[str, str]] = {"in a loop": {}, "asleep": {"GOMP_SPINCOUNT": ROUNDS}}


def train_here(folder: Path, steps: int) -> tuple[float, float]:
    """Seconds and processor seconds of a step, without the first few."""
    from lorasmith.project import open_project
    from lorasmith.recipe.recipe import read_recipe
    from lorasmith.training.loop import train

    project = open_project(make_project(folder / "project", steps))
    times: list[tuple[float, float]] = []
    for event in train(project, read_recipe(project)):
        if event.name == "step":
            times.append((time.perf_counter(), time.process_time()))
    (begun, cpu), (ended, used) = times[_WARM], times[-1]
    count = len(times) - 1 - _WARM
    return (ended - begun) / count, (used - cpu) / count


def measure(steps: int, side: str) -> tuple[float, float]:
    """The same in a process of its own that waits so."""
    free = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    command = [sys.executable, "-m", "benchmarks.waiting", "--steps", str(steps), "--here"]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env=free | _SIDES[side] | {"OMP_NUM_THREADS": str(os.cpu_count() or 1)},
        cwd=Path(__file__).parents[1],
    )
    seconds, cpu = json.loads(ran.stdout.splitlines()[-1])
    return float(seconds), float(cpu)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="eight steps, one round")
    parser.add_argument("--beside", type=int, default=1, help="busy loops beside it; 1 by default")
    parser.add_argument("--steps", type=int, default=0, help="of a run; 64 by default")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    steps, rounds = given.steps or (8 if given.quick else 64), 1 if given.quick else 3
    if given.here:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(train_here(Path(folder), steps)))
        return
    print(machine(), f"{given.beside} busy loops beside, {os.getloadavg()[0]:.1f} processes at the start")
    loops = [subprocess.Popen([sys.executable, "-c", _LOOP]) for _ in range(given.beside)]
    try:
        found: dict[str, list[tuple[float, float]]] = {side: [] for side in _SIDES}
        for _ in range(rounds):
            for side, each in found.items():
                each.append(measure(steps, side))
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    medians = {side: tuple(map(statistics.median, zip(*each, strict=True))) for side, each in found.items()}
    for side, (seconds, cpu) in medians.items():
        print(f"{side}: {seconds * 1000:.0f} ms a step, {cpu * 1000:.0f} ms of the processor")
    print(ratio_line("seconds of a step asleep / in a loop", medians["asleep"][0] / medians["in a loop"][0], at_most=1))


if __name__ == "__main__":
    main()
