"""`lorasmith inspect` a second time on 5,000 images of which nothing has changed: CPU seconds of the whole command.

One picture in twenty is a drawn head on white, which hashes confuse with the other heads: a first inspection looks
twice at such pairs, so its time grows with the square of the drawings that are alike.

Run: python -m benchmarks.inspection_again [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.drawings import drawn_head, scene
from benchmarks.timing import machine, ratio_line

SECONDS = 3


def inspect(project: Path) -> tuple[float, int]:
    """CPU seconds, and the number of images that it says."""
    before = os.times()
    command = [sys.executable, "-m", "lorasmith.cli.main", "inspect", str(project), "--json"]
    done = subprocess.run(command, capture_output=True, check=False)
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, int(json.loads(done.stdout)["images"])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="300 images")
    count = 300 if parser.parse_args(argv).quick else 5000
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "images").mkdir()
        (project / "lora.toml").write_text(
            '[lora]\nname = "zbk"\nsubject = "character"\ntrigger = "zbk"\n', encoding="utf-8"
        )
        for number in range(count):
            file = project / "images" / f"{number:05}.jpg"
            picture = scene(number, (128, 96)) if number % 20 else drawn_head(number, 128)
            picture.save(file, quality=90)
            file.with_suffix(".txt").write_text("zbk, smile, white background", encoding="utf-8")
        first, images = inspect(project)
        second, again = inspect(project)
    assert images == again == count
    print(f"{count} images: {first:.1f} CPU s the first time, {second:.1f} the second")
    print(ratio_line("CPU seconds the second time / allowed", second / SECONDS, at_most=1.0))


if __name__ == "__main__":
    main()
