"""From the start of a command to its answer on 30 images, and what the half with torch takes to be there.

Each command is a process of its own, as a user starts it, compiled modules at hand. CPU seconds stand beside seconds:
these grow with what else the machine does. Loading the embedded base is set beside importing the same classes of
torch, diffusers and transformers and nothing else, which is the least that it can take.

Run: python -m benchmarks.start [--quick]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.drawings import drawn_head, scene
from benchmarks.timing import machine, ratio_line

IMAGES = 30
SECONDS = 1.5
OVER_LIBRARIES = 1.25
_LEAST = (
    "import torch; from diffusers import AutoencoderKL, UNet2DConditionModel; "
    "from transformers import CLIPTextModel, CLIPTokenizer"
)
_LOADED = (
    "from lorasmith.bases.base import load_base; load_base('doodle'); import sys; "
    "assert not any(name.startswith('diffusers.pipelines.') for name in sys.modules)"
)
"""A base needs no pipeline of diffusers'; each would be imported with all that it needs."""


def build(project: Path) -> None:
    """Thirty pictures with captions, each picture another."""
    (project / "images").mkdir(parents=True)
    text = '[lora]\nname = "zbk"\nsubject = "character"\ntrigger = "zbk"\nbase = "doodle"\n'
    (project / "lora.toml").write_text(text, encoding="utf-8")
    for number in range(IMAGES):
        file = project / "images" / f"{number:02}.png"
        (scene(number, (512, 512)) if number % 3 else drawn_head(number, 512)).save(file)
        file.with_suffix(".txt").write_text("zbk, smile, red hair, white background", encoding="utf-8")


def started(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Seconds and CPU seconds of a process from its start to its end. Raises RuntimeError when it fails."""
    before, begun = os.times(), time.perf_counter()
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, env=environment)
    seconds, after = time.perf_counter() - begun, os.times()
    if done.returncode not in (0, 1):  # 1: `inspect` has found something
        raise RuntimeError(done.stderr)
    return seconds, after.children_user + after.children_system - before.children_user - before.children_system


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round")
    rounds = 1 if parser.parse_args(argv).quick else 5
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        measured: dict[str, list[tuple[float, float]]] = {}
        for turn in range(rounds + 1):
            project = Path(folder) / str(turn)
            build(project)
            lorasmith = ("-m", "lorasmith.cli.main")
            sides = {
                "inspect": (*lorasmith, "inspect", str(project), "--json"),
                "inspect again": (*lorasmith, "inspect", str(project), "--json"),
                "tag": (*lorasmith, "tag", str(project), "--json"),
                "plan": (*lorasmith, "plan", str(project), "--json"),
                "prompt": (*lorasmith, "prompt", "explain", "zbk, (smile:1.2)", "--json"),
                "libraries": ("-c", _LEAST),
                "the embedded base": ("-c", _LOADED),
            }
            for name, command in sides.items():
                if turn:
                    measured.setdefault(name, []).append(started(command, environment))
                elif command[0] == "-m":  # the first time compiles
                    started(command, environment)
    medians = {name: tuple(map(statistics.median, zip(*each, strict=True))) for name, each in measured.items()}
    for name, (seconds, cpu) in medians.items():
        print(f"{name}: {seconds:.2f} s, {cpu:.2f} CPU s")
    for name in ("inspect", "inspect again", "tag", "plan", "prompt"):
        print(ratio_line(f"seconds of {name} on {IMAGES} images / allowed", medians[name][0] / SECONDS, at_most=1.0))
    over = medians["the embedded base"][1] / medians["libraries"][1]
    print(ratio_line("CPU seconds of loading the embedded base / of its libraries", over, at_most=OVER_LIBRARIES))


if __name__ == "__main__":
    main()
