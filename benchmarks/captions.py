"""What it costs to change a caption rule: 10,000 captions computed anew, in seconds of the processor.

"After a rule was changed" is as on a page, which holds the images; a new command reads their tags again.

Half of the images have a caption of twenty tags, half have fifty stored tags of a tagger; every rule that can be on is
on. The pictures are real files (tiny ones) whose sharpness was measured before, as after a first `lorasmith inspect`.
The limit beside it: reading the same captions' bytes, splitting and joining them, and nothing else.

Run: python -m benchmarks.captions [--quick]
"""

from __future__ import annotations

import argparse
import io
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from benchmarks.timing import machine, ratio_line
from lorasmith.dataset.reading import Dataset, read_dataset
from lorasmith.events import finish
from lorasmith.project import Project, open_project
from lorasmith.tags.pipeline import write_captions
from lorasmith.tags.review import review_tags
from lorasmith.tags.scores import ScoredTag, StoredTags
from lorasmith.tags.store import store
from lorasmith.tags.words import join_tags, split_tags

LORA = '[lora]\nname = "zbk"\nsubject = "character"\ntrigger = "zbk"\n'
RULES = """
[tags]
undesired = "watermark, * text, word 7*"
absorb = "* hair, *eyes"
faithful = {dial}
unify = "eyes"
fused = 0.98
style = "anime screencap"
add = "drawing"
arrange = "groups"
doubt = 0.01
thresholds = {{ copyright = 0.6, "word 12" = 0.5 }}
[tags.images."*7.png"]
add = "seven"
"""
FEATURES = ("blonde hair", "long hair", "blue eyes", "pale skin", "freckles", "open mouth", "smile", "1girl", "solo")
VOCABULARY = 3000


def make_project(root: Path, count: int) -> Project:
    """A project with `count` tiny pictures, half of them with a caption."""
    chance = random.Random(1)
    words = [f"word {n}" for n in range(VOCABULARY)]
    picture = io.BytesIO()
    Image.effect_noise((16, 16), 60).convert("RGB").save(picture, "PNG")
    images = root / "images"
    images.mkdir(parents=True)
    for n in range(count):
        file = images / f"{n:05}.png"
        file.write_bytes(picture.getvalue() + n.to_bytes(4, "big"))  # every file has a hash of its own
        if n % 2:
            tags = ["zbk", *chance.sample(FEATURES, 5), *chance.choices(words, k=14)]
            file.with_suffix(".txt").write_text(join_tags(tags), "utf-8")
    (root / "lora.toml").write_text(LORA, "utf-8")
    project = open_project(root)
    items = finish(read_dataset(project)).items
    store(project, (_stored(item.facts.sha256, words, chance) for item in items if item.caption is None))
    return project


def _stored(sha256: str, words: Sequence[str], chance: random.Random) -> StoredTags:
    names = [*chance.sample(FEATURES, 5), *chance.sample(words, 45)]
    tags = (ScoredTag(name.replace(" ", "_"), 0, chance.random()) for name in names)
    return StoredTags(sha256, "bench", tuple(tags))


def measure(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the processor, the least of `rounds`: the machine has other things to do."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def change_a_rule(project: Project, dataset: Dataset, turn: list[int]) -> None:
    """Write another dial into lora.toml, as a user would, and compute all captions."""
    turn[0] += 1
    project.file.write_text(LORA + RULES.format(dial=0.3 + 0.1 * (turn[0] % 5)), "utf-8")
    write_captions(open_project(project.root), dataset)


def change_in_a_command(project: Project, dataset: Dataset, turn: list[int]) -> None:
    """The same where nothing is known of the images yet."""
    change_a_rule(project, replace(dataset), turn)


def split_and_join(dataset: Dataset) -> None:
    """The least that anybody must do."""
    for item in dataset.items:
        join_tags(split_tags(item.path.with_suffix(".txt").read_text("utf-8") if item.caption else "a, b"))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 images")
    quick = parser.parse_args(argv).quick
    count, rounds = (1_000, 2) if quick else (10_000, 5)
    print(machine(), f"{count} images")
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder) / "project", count)
        dataset = finish(read_dataset(project))
        turn = [0]
        first = measure(lambda: change_a_rule(project, dataset, turn), 1)
        again = measure(lambda: change_a_rule(project, dataset, turn), rounds)
        command = measure(lambda: change_in_a_command(project, dataset, turn), rounds)
        review = measure(lambda: review_tags(open_project(project.root), dataset), 1)
        least = measure(lambda: split_and_join(dataset), rounds)
    print(f"first time, with measuring the sharpness: {first:.2f} s")
    print(f"after a rule was changed: {again:.3f} s; in a new command: {command:.3f} s")
    print(f"all tag rules' findings: {review:.2f} s")
    print(f"read, split and join alone: {least:.2f} s")
    print(ratio_line("captions / read, split and join", command / least, at_most=10.0))
    print(ratio_line(f"seconds to recompute {count} captions after a change / 0.5 s", again / 0.5, at_most=1.0))


if __name__ == "__main__":
    main()
