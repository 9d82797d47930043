"""What curation is worth: adapters from a clean folder, from its spoiled twin, and from the twin after the automatic
curation and tagging, all with the same number of steps, judged by the embedded judge.

``python -m benchmarks.curation_effect [--quick] [--keep DIR]``. About twenty minutes on two cores; with ``--keep`` it
goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.spoiling import make_clean, make_spoiled
from benchmarks.timing import machine, ratio_line
from lorasmith.bases.doodle import tagger_folder
from lorasmith.dataset.choices import cure
from lorasmith.dataset.decisions import read_decisions, record
from lorasmith.dataset.reading import read_dataset
from lorasmith.events import finish
from lorasmith.exam.run import run_exam
from lorasmith.project import Project, open_project
from lorasmith.recipe.recipe import read_recipe
from lorasmith.tags.inspection import inspect_project
from lorasmith.tags.tagger import open_tagger
from lorasmith.tags.tagging import tag_images
from lorasmith.training.loop import train

IDENTITY = ("personas style", "side-swept hair", "turquoise hair", "tan skin")
_TAGS = '\n[tags]\nsource = "tagger"\nfaithful = "faithful"\n'


def make_cured(folder: Path) -> Path:
    """The spoiled twin, as ``tag --tagger doodle`` and ``curate auto`` leave it, with the tagger's tags as captions.

    The dial of T4 is where the captions by hand have it: hair, skin and style are the trigger's. That choice between
    faithful and flexible is the maker's, and no tool's.
    """
    make_spoiled(folder)
    file = folder / "lora.toml"
    file.write_text(file.read_text("utf-8") + _TAGS, "utf-8")
    project = open_project(folder)
    dataset = finish(read_dataset(project))
    finish(tag_images(project, dataset, open_tagger(tagger_folder())))
    findings = finish(inspect_project(project, dataset)).findings
    record(project, cure(dataset, findings, read_decisions(project)).decisions)
    return folder


def hit_rate(project: Project, steps: int, pictures: int, more: dict[str, str]) -> dict[str, Any]:
    """Train for `steps` (or take up the run that is there) and examine: the figures of the chosen snapshot."""
    recipe = read_recipe(project, {"target_steps": str(steps), **more})
    done = finish(train(project, recipe, resume=True))
    few = max(8, pictures // 10)
    asked: dict[str, Any] = {
        "pictures": pictures,
        "identity": IDENTITY,
        "flexibility_pictures": few,
        "leakage_pictures": few,
    }
    asked |= {"strength": 1.0, "window_pictures": 0, "override_pictures": 0, "stacking_pictures": 0}
    figures: dict[str, Any] = finish(run_exam(project, [done.adapter], asked)).as_json()["figures"]["hit_rate"]
    return figures


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curation_effect", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few steps and pictures: only whether it runs")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the projects there, and go on from them")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--pictures", type=int, default=400)
    chosen = parser.parse_args(argv)
    steps, pictures = (3, 8) if chosen.quick else (chosen.steps, chosen.pictures)
    more = {"preserve.kind": '"none"'} if chosen.quick else {}
    print(machine())
    values = {}
    with tempfile.TemporaryDirectory() as temporary:
        root = chosen.keep or Path(temporary)
        for name, make in (("by hand", make_clean), ("spoiled", make_spoiled), ("cured", make_cured)):
            folder = root / name.replace(" ", "-")
            project = open_project(folder if (folder / "lora.toml").exists() else make(folder))
            figure = hit_rate(project, steps, pictures, more)
            values[name] = figure["value"]
            print(
                f"  {name:8} hit rate {figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f}, "
                f"n = {figure['n']}) after {steps} steps",
                flush=True,
            )
    whole = max(values["by hand"], 1e-9)
    print(f"  without curation: {values['spoiled'] / whole:.3f} of the hit rate by hand")
    print(ratio_line("hit rate, cured / by hand", values["cured"] / whole, at_least=0.95))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
