"""`lorasmith inspect` on 5,000 images: the first time by the clock, on all cores and on one of them, and a second time
when nothing has changed, in CPU seconds of the whole command.

One picture in twenty is a drawn head on white, which hashes confuse with the other heads: a first inspection looks
twice at such pairs, so its time grows with the square of the drawings that are alike.

Run: python -m benchmarks.inspection_again [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.drawings import drawn_head, scene
from benchmarks.timing import machine, ratio_line

SECONDS = 3
FIRST_SECONDS = 60
FASTER = 1.3
"""How much sooner two cores are done than one, at least."""


def inspect(project: Path, one_core: bool = False) -> tuple[float, float, int]:
    """CPU seconds, seconds by the clock, and the number of images that it says."""
    before, began = os.times(), time.perf_counter()
    command = [sys.executable, "-m", "lorasmith.cli.main", "inspect", str(project), "--json"]
    if one_core:
        command = ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0))), *command]
    done = subprocess.run(command, capture_output=True, check=False)
    after, clock = os.times(), time.perf_counter() - began
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return processor, clock, int(json.loads(done.stdout)["images"])


def make_project(project: Path, count: int) -> None:
    (project / "images").mkdir(parents=True)
    (project / "lora.toml").write_text(
        '[lora]\nname = "zbk"\nsubject = "character"\ntrigger = "zbk"\n', encoding="utf-8"
    )
    for number in range(count):
        file = project / "images" / f"{number:05}.jpg"
        picture = scene(number, (128, 96)) if number % 20 else drawn_head(number, 128)
        picture.save(file, quality=90)
        file.with_suffix(".txt").write_text("zbk, smile, white background", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="300 images")
    count = 300 if parser.parse_args(argv).quick else 5000
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        project, alone = Path(folder, "all"), Path(folder, "one")
        make_project(project, count)
        shutil.copytree(project, alone)
        first, clock, images = inspect(project)
        second, _, again = inspect(project)
        processor_of_one, clock_of_one, _ = inspect(alone, one_core=True) if shutil.which("taskset") else (0, 0, 0)
    assert images == again == count
    print(f"{count} images: {first:.1f} CPU s the first time ({clock:.1f} by the clock), {second:.1f} the second")
    if clock_of_one:
        print(f"on one core: {processor_of_one:.1f} CPU s the first time ({clock_of_one:.1f} by the clock)")
        print(ratio_line("one core / all, by the clock", clock_of_one / clock, at_least=FASTER))
    print(ratio_line("seconds the first time / allowed", clock / FIRST_SECONDS, at_most=1.0))
    print(ratio_line("CPU seconds the second time / allowed", second / SECONDS, at_most=1.0))


if __name__ == "__main__":
    main()
