"""A style learnt on a family that learns a flow, the whole road by its commands: new, tag, train, exam.

The base is the tiny one of Anima's layout that ``python doodle/flow_base.py`` makes; the style is the shipped example's
pixel art, which it never saw. What counts is whether the exam's likeness tells the adapter's pictures from the base's:
both draw the captions on seeds that took no part in drawing the line.

Run: python -m benchmarks.flow_style [--quick] [--base FOLDER] [--out DIR] [--steps N] [--pictures N]
[--set KEY=VALUE ...]. `--quick` takes an untrained base and a few steps, and shows only whether it runs. A run and an
exam that were stopped go on. DIR holds project, figures.json and sheet.png: training images as the base could draw
them, the base's pictures, the adapter's on the same seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.timing import ratio_line
from lorasmith.adapters.runs import newest_adapters
from lorasmith.bases.base import Base, load_base
from lorasmith.bases.doodle import tagger_folder
from lorasmith.cli.main import run as run_command
from lorasmith.exam.drawing import PipelineArtist, Row
from lorasmith.exam.figures import Figure
from lorasmith.exam.likeness.calibration import calibrate, find_auc
from lorasmith.exam.settings import read_settings
from lorasmith.examples import example_folder
from lorasmith.images.opening import open_rgb
from lorasmith.project import Project, open_project
from lorasmith.tags.encoders import Encoder, open_encoder, tagger_encoder
from lorasmith.tags.words import without_trigger

HERE = Path(__file__).parents[1]
BASE = Path(os.environ.get("DOODLE_WORK", HERE / "doodle/work")) / "flow-base"
OUT = HERE / "benchmarks/out/flow-style"
TRIGGER, SIDE = "pxl style", 64
SEED, LINE_SEED = 70_000, 60_000
"""Of the pictures that are compared, and of those that draw the line with the training images."""
COLUMNS, ROOM = 12, 4
"""Of the sheet: pictures in a row, pixels between them."""


NOISE = 60
"""Pictures of noise that an untrained base is made of."""
NOISE_SEEN = {
    "style": "big-smile",
    "shot": "portrait",
    "hair": "short hair",
    "hair colour": "blue",
    "background": "red",
}


@dataclass(frozen=True)
class Told:
    """How likeness tells pictures apart. `standing`: training images from the base's, as the exam has it; `learnt`: the
    adapter's from the base's, fresh ones of the same seeds; `like`: shares of either that the line lets pass."""

    standing: Figure
    learnt: Figure
    like: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        return {"standing": self.standing.as_json(), "learnt": self.learnt.as_json(), "like": self.like}


def make_untrained_base(work: Path) -> Path:
    """Two steps of each training on pictures of noise, as a user runs the scripts; `work` is their folder."""
    (work / "renders").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (NOISE, 128, 128, 3), np.uint8)
    (work / "renders" / "big-smile.0.bin").write_bytes(pixels.tobytes())
    line = json.dumps({"seen": NOISE_SEEN, "frame": [0, 0, 1]})
    (work / "renders" / "big-smile.0.jsonl").write_text(f"{line}\n" * NOISE)
    environment = {**os.environ, "DOODLE_WORK": str(work)}
    for script in ("flow_vae.py", "flow_base.py"):
        command = [sys.executable, f"doodle/{script}", "--steps", "2"]
        subprocess.run(command, cwd=HERE, env=environment, check=True, capture_output=True, timeout=600)
    return work / "flow-base"


def walk(folder: Path, base: Path, steps: int, pictures: int, settings: Sequence[str]) -> Project:
    """The road up to its exam, stage by stage; what is there already is not done again."""
    root = folder / "project"
    if not (root / "lora.toml").is_file():
        images = example_folder("style") / "images"
        _command("new", root, "--name", "pxl", "--subject", "style", "--trigger", TRIGGER, "--images", images)
        file = root / "lora.toml"
        text = file.read_text("utf-8").replace('base = "doodle"', f'base = "{base.resolve()}"')
        text = text.replace("[recipe]\n", _recipe(steps)).replace('source = ""', 'source = "DiceBear"')
        file.write_text(text + _exam(pictures), "utf-8")
        _command("tag", root, "--write")
    if not newest_adapters(open_project(root).runs):
        _command("train", root, *(f"--set={each}" for each in settings))
    if not list(root.glob("exams/*/figures.json")):
        _command("exam", root)
    return open_project(root)


def _recipe(steps: int) -> str:
    lines = {
        "resolution": SIDE,
        "bucket.step": 32,
        "bucket.min": 32,
        "batch_size": 8,
        "target_steps": steps,
        "save_every": f'"{max(1, steps // 2)} steps"',
        "lr.unet": 2e-3,
        "schedule.warmup": min(20, steps // 4),
        "precision": '"fp32"',
    }
    return "[recipe]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items())


def _exam(pictures: int) -> str:
    few = max(8, pictures // 4)
    counts = "".join(f"{key}_pictures = {few}\n" for key in ("flexibility", "leakage", "window"))
    return (
        f'\n[exam]\njudge = "{tagger_folder()}"\nside = {SIDE}\nprecision = "fp32"\npictures = {pictures}\n{counts}'
        "override_pictures = 0\nstacking_pictures = 0\ncandidates = 1\naverage = false\nwindow = [0.6, 0.8, 1.0]\n"
        'identity = ["pixelart style"]\n'
    )


def _command(*words: object) -> None:
    if run_command([str(word) for word in words]) != 0:
        raise SystemExit(f"it ended with a fault: {' '.join(map(str, words))}")


def compare(project: Project, folder: Path, pictures: int) -> Told:
    """Draw so many pairs with and without the newest adapter, and have likeness tell them apart."""
    settings = read_settings(project)
    base: Base = load_base(project.lora.base)
    (*_, adapter) = newest_adapters(project.runs)
    artist = PipelineArtist(base, [adapter], settings)
    encoder: Encoder = (
        tagger_encoder(Path(settings.judge)) if settings.likeness == "auto" else open_encoder(settings.likeness)
    )
    files = sorted((project.root / "images").glob("*.png"))
    captions = [file.with_suffix(".txt").read_text("utf-8").strip() for file in files]
    plain = [without_trigger(caption, TRIGGER) for caption in captions]
    training = artist.develop([open_rgb(file) for file in files])
    line = artist.draw([Row(text, LINE_SEED + number, None) for number, text in enumerate(plain)])
    asked = [number % len(files) for number in range(pictures)]
    bare = artist.draw([Row(plain[each], SEED + number, None) for number, each in enumerate(asked)])
    learnt = artist.draw([Row(captions[each], SEED + number, adapter) for number, each in enumerate(asked)])
    likeness = calibrate(encoder.encode(training), encoder.encode(line))
    scores = {name: likeness.scores(encoder.encode(drawn)) for name, drawn in (("base", bare), ("adapter", learnt))}
    show([training[:COLUMNS], bare[:COLUMNS], learnt[:COLUMNS]], folder / "sheet.png")
    passed = {name: float((each >= likeness.threshold).mean()) for name, each in scores.items()}
    return Told(likeness.auc, find_auc(scores["adapter"], scores["base"]), passed)


def show(rows: Sequence[Sequence[Image.Image]], file: Path) -> None:
    """Rows of pictures as one picture, twice as large."""
    side = 2 * SIDE + ROOM
    sheet = Image.new("RGB", (side * max(map(len, rows)), side * len(rows)), "white")
    for down, row in enumerate(rows):
        for across, picture in enumerate(row):
            sheet.paste(picture.resize((2 * SIDE,) * 2, Image.Resampling.NEAREST), (across * side, down * side))
    sheet.save(file)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="an untrained base, few steps: only whether it runs")
    parser.add_argument("--base", type=Path, default=BASE)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--pictures", type=int, default=48)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a recipe key, for train")
    options = parser.parse_args(argv)
    if options.quick:
        with tempfile.TemporaryDirectory() as folder:
            options.base, options.out = make_untrained_base(Path(folder) / "work"), Path(folder) / "out"
            options.steps, options.pictures = 3, 8
            measure(options)
    else:
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Walks the road as far as it was not walked, and tells what was learnt."""
    options.out.mkdir(parents=True, exist_ok=True)
    project = walk(options.out, options.base, options.steps, options.pictures, options.set)
    told = compare(project, options.out, options.pictures)
    (options.out / "figures.json").write_text(json.dumps(told.as_json(), indent=2) + "\n", "utf-8")
    for name, figure in (("training images", told.standing), ("the adapter's pictures", told.learnt)):
        print(f"{name} from the base's: AUC {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f}, n {figure.n})")
    print(f"like the training images: base {told.like['base']:.0%}, adapter {told.like['adapter']:.0%}")
    print(ratio_line("flow style: lower end of the AUC, adapter from base", told.learnt.low, at_least=0.75))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
