"""Measure a base folder: prompts drawn at random from the tag space, judged group by group.

    python doodle/evaluate.py --prompts 1024 [--base DIR] [--tagger DIR] [--sentences]

The trained base in work/, or the shipped one where there is none; the prompts are those of validation renders.
Writes work/evaluation/: figures.json and contact-sheet.png (64 prompts). Uses the product's own drawing code.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from random import Random

from captions import sentence_caption
from PIL import Image
from world import BASE_STYLES, GROUPS, SIDE, WORK, shard, tag, tags

from lorasmith.bases.base import open_base
from lorasmith.bases.doodle import doodle_folder, tagger_folder
from lorasmith.bases.families.doodle import DOODLE
from lorasmith.events import finish
from lorasmith.exam.judges import TaggerJudge, exact_judge
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec

Seen = dict[str, str]


def prompts(count: int, seed: int) -> list[Seen]:
    """Visible attributes of `count` persons: those of validation renders, styles in turn, so that all are valid."""
    random = Random(seed)
    by_style = {style: shard(f"{style}.valid").seen for style in BASE_STYLES}
    return [random.choice(by_style[BASE_STYLES[index % len(BASE_STYLES)]]) for index in range(count)]


def figures(wanted: list[Seen], found: list[dict[str, str | None]]) -> dict[str, dict[str, float]]:
    """Recall and precision per group: the share of asked values seen, and of seen values asked for."""
    table = {}
    for group in GROUPS:
        pairs = [
            (tag(group, w[group]) if group in w else None, f.get(group)) for w, f in zip(wanted, found, strict=True)
        ]
        asked = [pair for pair in pairs if pair[0]]
        seen = [pair for pair in pairs if pair[1]]
        hits = sum(a == b for a, b in asked)
        table[group] = {
            "recall": round(hits / max(1, len(asked)), 4),
            "precision": round(hits / max(1, len(seen)), 4),
            "asked": len(asked),
        }
    return table


def draw(pipeline: Pipeline, texts: list[str], steps: int, guidance: float, seed: int) -> list[Image.Image]:
    """One picture a prompt, each with its own seed."""
    specs = [PictureSpec(text, seed=seed + index, steps=steps, cfg=guidance) for index, text in enumerate(texts)]
    return [picture.image for picture in finish(pipeline.draw(specs))]


def made_or_shipped(made: str, shipped: Callable[[], Path]) -> Path:
    """A folder of the work folder; while there is none, the package's."""
    return WORK / made if (WORK / made).is_dir() else shipped()


def contact_sheet(images: list[Image.Image], columns: int = 16) -> Image.Image:
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * SIDE, rows * SIDE), "white")
    for index, image in enumerate(images):
        sheet.paste(image, (index % columns * SIDE, index // columns * SIDE))
    return sheet


def evaluate(
    base: Path, judge: TaggerJudge, count: int, sentences: bool, steps: int, guidance: float
) -> dict[str, object]:
    wanted = prompts(count, seed=1)
    random = Random(2)
    texts = [sentence_caption(seen, random, drop=0) if sentences else ", ".join(tags(seen)) for seen in wanted]
    images = draw(Pipeline(open_base(base, use="exam"), batch_size=16), texts, steps, guidance, seed=1000)
    folder = WORK / "evaluation"
    folder.mkdir(exist_ok=True)
    name = "sentences" if sentences else "tags"
    contact_sheet(images[:64]).save(folder / f"contact-sheet-{name}.png")
    (folder / f"prompts-{name}.txt").write_text("\n".join(texts) + "\n")
    table = figures(wanted, judge.describe(images))
    (folder / f"figures-{name}.json").write_text(json.dumps(table, indent=1) + "\n")
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, default=made_or_shipped("base", doodle_folder))
    parser.add_argument("--tagger", type=Path, default=made_or_shipped("tagger", tagger_folder))
    parser.add_argument("--prompts", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=DOODLE.cfg)
    parser.add_argument("--sentences", action="store_true")
    options = parser.parse_args()
    judge = exact_judge(options.tagger)
    result = evaluate(options.base, judge, options.prompts, options.sentences, options.steps, options.guidance)
    for group, row in result.items():
        print(f"{group:12} {row}")
