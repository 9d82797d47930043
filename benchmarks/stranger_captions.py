"""What captions of twenty folders of strangers say by the embedded tagger, and what the rule "unsure" takes out.

Run: python -m benchmarks.stranger_captions [--only NAME ...]. The sets are those of ``python doodle/strangers.py``;
what is seen in each picture is the renderer's truth. Only tags of the base's world are counted, of good pictures.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.choice_regret import SETS, SMALL
from benchmarks.timing import ratio_line
from lorasmith.bases.doodle import world
from lorasmith.bases.tag_space import read_tag_space
from lorasmith.dataset.create import create_project
from lorasmith.dataset.reading import read_dataset
from lorasmith.dataset.sources.source import SourceOptions
from lorasmith.events import finish
from lorasmith.face.stages import gather_tags, tidy_images
from lorasmith.project import EMBEDDED, SubjectKind, open_project
from lorasmith.tags.inputs import read_inputs
from lorasmith.tags.pipeline import compute_captions
from lorasmith.tags.rules import unsure
from lorasmith.tags.words import split_tags


def count(file: Path, root: Path) -> Counter[str]:
    """new, curate auto, tag, and how many tags are right and wrong: all of them, and those that the rule takes out."""
    told = json.loads(file.read_text("utf-8"))
    kind, sources, options = SubjectKind(told["kind"]), [file.with_suffix("")], SourceOptions(False, "")
    finish(create_project(root, subject=kind, name=None, trigger=told["trigger"], sources=sources, options=options))
    project = open_project(root)
    finish(tidy_images(project))
    finish(gather_tags(project, finish(read_dataset(project)), tagger=EMBEDDED))
    inputs = read_inputs(project, finish(read_dataset(project)))
    without = replace(inputs, rules=tuple(rule for rule in inputs.rules if rule is not unsure.RULE))
    after, before = compute_captions(inputs).captions, compute_captions(without).captions
    words = {tag for group in read_tag_space(world()).groups.values() for tag in group.tags}
    found: Counter[str] = Counter()
    for name, caption in before.items():
        entry = told["files"][name]
        left = set(split_tags(after[name]))
        for tag in words.intersection(split_tags(caption)) if entry["good"] else ():
            right = "right" if tag in entry["tags"] else "wrong"
            found.update([right] if tag in left else [right, f"{right} gone"])
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stranger_captions", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one small set: only whether it runs")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these sets alone")
    chosen = parser.parse_args(argv)
    folder = SMALL if chosen.quick else SETS
    only = chosen.only or (["ravn"] if chosen.quick else None)
    files = [file for file in sorted(folder.glob("*.json")) if not only or file.stem in only]
    if not files:
        parser.error(f"{folder} has no such sets: node and python doodle/strangers.py make them")
    kinds: dict[str, Counter[str]] = {}
    for file in files:
        with tempfile.TemporaryDirectory() as temporary:
            found = count(file, Path(temporary) / "project")
        print(f"{file.stem:9} {_line(found)}", flush=True)
        kinds.setdefault(json.loads(file.read_text("utf-8"))["kind"], Counter()).update(found)
    for kind, found in kinds.items():
        print(f"{kind + 's':11} {_line(found)}")
    for kind, found in kinds.items():
        print(ratio_line(f"right tags of {kind}s that go, of all", found["right gone"] / found["right"], at_most=0.03))
    return 0


def _line(found: Counter[str]) -> str:
    return ", ".join(f"{found[f'{what} gone']} of {found[what]} {what} tags go" for what in ("wrong", "right"))


if __name__ == "__main__":
    raise SystemExit(main())
