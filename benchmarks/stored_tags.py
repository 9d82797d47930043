"""Reading the raw tags of 10,000 images, 50 each with their scores: the store beside the same tags as JSON lines.

    python -m benchmarks stored_tags [--quick]

Processor time, for the machine may be busy. "Every tag" decodes each into an object on both sides; "raw tags" is all
that captions need: the likely tags, scores and ratings of every image.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.timing import alternate, machine, ratio_line
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.images.opening import ImageFacts
from lorasmith.project import Project, open_project
from lorasmith.tags.raw import read_raw_tags
from lorasmith.tags.scores import ScoredTag, StoredTags
from lorasmith.tags.store import read_scores, read_stored, store, store_tagger

VOCABULARY = tuple((f"tag_{number}", 9 if number < 4 else 0) for number in range(10_000))
TAGS = 50


def main(argv: list[str] | None = None) -> int:
    images, rounds = (2_000, 3) if "--quick" in (argv or []) else (10_000, 7)
    with tempfile.TemporaryDirectory() as folder:
        project = _make_project(Path(folder) / "project")
        rows = list(_rows(images))
        store_tagger(project, "tagger 0", VOCABULARY)
        started = time.process_time()
        store(project, rows)
        writing = time.process_time() - started
        lines = Path(folder) / "tags.jsonl"
        lines.write_text("".join(json.dumps([row.sha256, row.tagger, list(row.tags)]) + "\n" for row in rows))
        dataset = _dataset(rows)
        del rows
        seconds = alternate(
            {
                "read, as arrays": lambda: read_scores(project),
                "read, every tag": lambda: [list(tags.tags) for kept in read_stored(project).values() for tags in kept],
                "JSON lines, every tag": lambda: _read_lines(lines),
                "raw tags": lambda: read_raw_tags(project, dataset),
            },
            rounds,
            warmup=0,
            clock=time.process_time,
        )
        size = (project.cache / "tags.sqlite").stat().st_size / lines.stat().st_size
    print(f"{images} images, {TAGS} tags each; {machine()}; processor seconds, medians of {rounds}")
    for name, value in {"stored in": writing, **seconds}.items():
        print(f"{name:<24} {value:.3f} s")
    print(f"size on disk             {size:.2f} of the JSON lines'")
    print(ratio_line("seconds to read 10,000 images' tags", seconds["read, as arrays"] * 10_000 / images, at_most=0.4))
    speed = seconds["JSON lines, every tag"] / seconds["raw tags"]
    print(ratio_line("JSON lines only decoded / raw tags of all images ready", speed, at_least=1))
    return 0


def _read_lines(file: Path) -> dict[str, list[ScoredTag]]:
    with file.open() as lines:
        documents = (json.loads(line) for line in lines)
        return {sha256: [ScoredTag(*tag) for tag in tags] for sha256, _, tags in documents}


def _rows(images: int) -> list[StoredTags]:
    chance = random.Random(0)
    rows = []
    for number in range(images):
        picked = chance.sample(VOCABULARY, TAGS)
        tags = tuple(ScoredTag(name, kind, round(chance.random(), 4)) for name, kind in picked)
        rows.append(StoredTags(hashlib.sha256(str(number).encode()).hexdigest(), "tagger 0", tags))
    return rows


def _dataset(rows: list[StoredTags]) -> Dataset:
    items = (
        Item(Path(f"{number}.png"), f"{number}.png", ImageFacts(Path(), 1, 1, "png", row.sha256), None, "", 1)
        for number, row in enumerate(rows)
    )
    return Dataset(tuple(items), (), ())


def _make_project(root: Path) -> Project:
    (root / "images").mkdir(parents=True)
    (root / "lora.toml").write_text('[lora]\nname = "z"\nsubject = "character"\ntrigger = "zbk"\n')
    return open_project(root)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
