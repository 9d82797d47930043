"""Ten thousand images: peak memory and seconds of reading, inspecting, tag rules and building.

Small pictures of random shapes with captions are made in a temporary folder; each step runs in a process of its own, so
that its peak memory is its own, at 1,000 and at 10,000 images. Flat memory means that ten times the images cost no more
than a little per image: the goal is set on the extra kilobytes per image.

Run: python -m benchmarks.ten_thousand [--quick]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.timing import machine, ratio_line

TAGS = [
    *("1girl", "solo", "smile", "open mouth", "red hair", "blue eyes", "long hair", "hat", "dress", "full body"),
    *("upper body", "from side", "outdoors", "night", "rain", "sitting", "standing", "looking at viewer"),
    *("simple background", "school uniform"),
]
SIDE = 96
TABLES = '[lora]\nname = "zbk"\nsubject = "character"\ntrigger = "zbk"\n[tags]\nundesired = "hat"\nabsorb = "* hair"\n'
MOST_EXTRA = 20.0
"""Kilobytes that one more image may cost: its name, facts, caption and fingerprint."""


def make_project(root: Path, count: int) -> None:
    """`count` pictures of four colour patches each, all different, in two folders, as JPEG and PNG."""
    random = np.random.default_rng(count)
    for number in range(count):
        folder = root / "images" / ("5_primary" if number % 3 == 0 else "2_supporting")
        folder.mkdir(parents=True, exist_ok=True)
        patches = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        picture = Image.fromarray(patches).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number:05}.{'jpg' if number % 2 else 'png'}")
        tags = random.choice(TAGS, 12, replace=False)
        (folder / f"{number:05}.txt").write_text(", ".join(["zbk", *tags]), "utf-8")
    (root / "lora.toml").write_text(TABLES, "utf-8")


def _nothing(_: Path) -> None:
    """The imports alone, and an empty project's worth of work."""
    import lorasmith.dataset.inspection
    import lorasmith.tags.building  # noqa: F401


def _read(root: Path) -> None:
    from lorasmith.dataset.reading import read_dataset
    from lorasmith.events import finish
    from lorasmith.project import open_project

    finish(read_dataset(open_project(root)))


def _inspect(root: Path) -> None:
    from lorasmith.dataset.inspection import inspect
    from lorasmith.dataset.reading import read_dataset
    from lorasmith.events import finish
    from lorasmith.project import open_project
    from lorasmith.tags.raw import read_raw_tags

    project = open_project(root)
    dataset = finish(read_dataset(project))
    tags = {name: raw.tags for name, raw in read_raw_tags(project, dataset).items()}
    finish(inspect(project, dataset, tags))


def _tag(root: Path) -> None:
    from lorasmith.dataset.reading import read_dataset
    from lorasmith.events import finish
    from lorasmith.project import open_project
    from lorasmith.tags.pipeline import write_captions

    project = open_project(root)
    write_captions(project, finish(read_dataset(project)))


def _build(root: Path) -> None:
    from lorasmith.dataset.reading import read_dataset
    from lorasmith.events import finish
    from lorasmith.project import open_project
    from lorasmith.tags.building import build_dataset
    from lorasmith.tags.pipeline import write_captions

    project = open_project(root)
    dataset = finish(read_dataset(project))
    finish(build_dataset(project, dataset, write_captions(project, dataset)))


STEPS: Mapping[str, Callable[[Path], None]] = {
    "imports": _nothing,
    "read, first": _read,
    "inspect, first": _inspect,
    "inspect, again": _inspect,
    "tag rules": _tag,
    "build": _build,
}


def run_step(name: str, root: Path) -> tuple[float, float]:
    """(processor seconds, peak MiB) of one step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.ten_thousand", "--step", name, "--root", str(root)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], check=True, capture_output=True, text=True)
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return float(seconds), float(peak)


def measure(root: Path, count: int) -> dict[str, tuple[float, float]]:
    make_project(root, count)
    figures = {}
    for name in STEPS:
        seconds, peak = figures[name] = run_step(name, root)
        print(f"{count:>6} images, {name}: {seconds:.2f} s, {peak:.0f} MiB", flush=True)
    return figures


def _run_here(name: str, root: Path) -> None:
    start = time.process_time()
    STEPS[name](root)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([time.process_time() - start, peak]))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 and 600 images")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.step:
        _run_here(given.step, given.root)
        return
    few, many = (100, 600) if given.quick else (1_000, 10_000)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        small = measure(Path(folder, "few"), few)
        large = measure(Path(folder, "many"), many)
    extra = {name: max(0.0, (large[name][1] - small[name][1]) * 1024 / (many - few)) for name in STEPS}
    print(f"times are processor seconds of one process, imports included ({large['imports'][0]:.2f} s of them)")
    for name in ("inspect, first", "tag rules", "build"):
        print(ratio_line(f"kB of memory per further image, {name}", extra[name], at_most=MOST_EXTRA))
    print(ratio_line(f"seconds of tag rules on {many} images", large["tag rules"][0] - large["imports"][0], at_most=5))


if __name__ == "__main__":
    main()
