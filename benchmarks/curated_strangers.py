"""What `curate auto` finds in twenty folders of strangers, what it misses, and which good pictures it loses.

Run: python -m benchmarks.curated_strangers [--quick] [--only NAME ...]. The sets are those of
``python doodle/strangers.py``; with --quick a small one of the tests.
"Told" is what L1 or L2 names and a person decides; the rest of what is found is rejected, or cannot be read.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.choice_regret import SETS, SMALL
from benchmarks.timing import ratio_line
from lorasmith.bases.vocabulary import read_vocabulary
from lorasmith.dataset.create import create_project
from lorasmith.dataset.reading import read_dataset
from lorasmith.dataset.sources.source import SourceOptions
from lorasmith.events import finish
from lorasmith.project import SubjectKind, open_project
from lorasmith.tags.inspection import inspect_project

OTHER = "other person"
PICKING = ("L1", "L2")
"""Rules that pick out images that do not belong to the set; others name every image of a varied set."""


@dataclass(frozen=True)
class Found:
    """Of one set: names of what is spoiled or foreign by what became of it, and the files of good pictures that go."""

    name: str
    good: int
    rejected: tuple[str, ...]
    told: tuple[str, ...]
    missed: tuple[str, ...]
    lost: tuple[str, ...]


def look(file: Path, root: Path) -> Found:
    """new, and what curate auto would do. Of a picture and its spoiled copy one may go, whichever it is."""
    told = json.loads(file.read_text("utf-8"))
    files = told["files"]
    kind, sources, options = SubjectKind(told["kind"]), [file.with_suffix("")], SourceOptions(False, "")
    finish(create_project(root, subject=kind, name=None, trigger=told["trigger"], sources=sources, options=options))
    project = open_project(root)
    dataset = finish(read_dataset(project))
    inspection = finish(inspect_project(project, dataset, read_vocabulary(project)))
    gone = set(inspection.removable) | (files.keys() - {item.name for item in dataset.items})
    named = {name for finding in inspection.findings if finding.rule in PICKING for name in finding.images}
    copies = {entry["same_as"]: name for name, entry in files.items() if entry["spoiled"] == "mirrored"}
    by: dict[str, list[str]] = {"rejected": [], "told": [], "missed": []}
    for name, entry in files.items():
        if not entry["good"]:
            went = name in gone or (entry["spoiled"] == "mirrored" and entry["same_as"] in gone)
            by["rejected" if went else "told" if name in named else "missed"].append(entry["spoiled"] or OTHER)
    good = [name for name, entry in files.items() if entry["good"]]
    lost = tuple(name for name in good if name in gone and copies.get(name, name) in gone)
    return Found(file.stem, len(good), *(tuple(by[way]) for way in ("rejected", "told", "missed")), lost)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curated_strangers", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these sets alone")
    parser.add_argument("--quick", action="store_true", help="one of the small sets of the tests")
    chosen = parser.parse_args(argv)
    files = [SMALL / "ravn.json"] if chosen.quick else sorted(SETS.glob("*.json"))
    files = [file for file in files if not chosen.only or file.stem in chosen.only]
    if not files:
        parser.error(f"{SETS} has no such sets: node and python doodle/strangers.py make them")
    print("| set | good | rejected | told | missed | good ones lost |\n| --- | --- | --- | --- | --- | --- |")
    found = []
    for file in files:
        with tempfile.TemporaryDirectory() as folder:
            found.append(each := look(file, Path(folder) / file.stem))
        went = f"all {len(each.rejected)}" if not (each.told or each.missed) else str(len(each.rejected))
        told, missed = (", ".join(names) or "-" for names in (each.told, each.missed))
        print(f"| {each.name} | {each.good} | {went} | {told} | {missed} | {len(each.lost)} |", flush=True)
    print(ratio_line("good pictures lost", sum(len(each.lost) for each in found), at_most=0.0))
    spoiled = sum(1 for each in found for name in each.missed if name != OTHER)
    print(ratio_line("spoiled pictures missed", spoiled, at_most=0.0))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
