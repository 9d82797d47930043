"""Compare the judge with a person on generated pictures.

    python doodle/handcheck.py --draw 240 [--base work/base]     # work/handcheck/: sheets with the judge's answers
    python doodle/handcheck.py --score doodle/handcheck.txt      # puts the agreement into work/tagger/report.json

The person looks at every sheet and writes one line for every wrong answer: ``17 mouth: smile`` (the picture's number,
the group, what is really there; ``none`` when it shows nothing of that group, ``?`` when nobody could tell).
Half of the pictures are drawn at the usual guidance, half at a low one, so that doubtful pictures are among them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from evaluate import prompts
from PIL import Image, ImageDraw, ImageFont
from world import GROUPS, SIDE, WORK, tags

from lorasmith.bases.base import load_base
from lorasmith.events import finish
from lorasmith.exam.judges import exact_judge
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec

FOLDER = WORK / "handcheck"
COLUMNS, ROWS, SCALE = 6, 4, 2
_LINES = 10
_LINE = 13


def draw(base: Path, tagger: Path, count: int, seed: int) -> None:
    """Write the sheets and answers.json (one entry a picture: the judge's answer by group, and the prompt)."""
    texts = [", ".join(tags(seen)) for seen in prompts(count, seed)]
    specs = [
        PictureSpec(text, seed=seed + index, steps=20, cfg=(4.0, 1.5)[index % 2]) for index, text in enumerate(texts)
    ]
    images = [picture.image for picture in finish(Pipeline(load_base(base), batch_size=16).draw(specs))]
    answers = exact_judge(tagger).describe(images)
    FOLDER.mkdir(exist_ok=True)
    entries = [{"prompt": text, "judge": answer} for text, answer in zip(texts, answers, strict=True)]
    (FOLDER / "answers.json").write_text(json.dumps(entries, indent=1) + "\n")
    for first in range(0, count, COLUMNS * ROWS):
        numbers = range(first, min(count, first + COLUMNS * ROWS))
        sheet(numbers, images, answers).save(FOLDER / f"sheet-{first // (COLUMNS * ROWS):02d}.png")


def sheet(numbers: range, images: list[Image.Image], answers: list[dict[str, str | None]]) -> Image.Image:
    """Pictures at twice their size, each with its number and the judge's answers below it."""
    wide, high = SIDE * SCALE + 8, SIDE * SCALE + _LINES // 2 * _LINE + 22
    page = Image.new("RGB", (COLUMNS * wide, ROWS * high), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(11)
    for place, number in enumerate(numbers):
        x, y = place % COLUMNS * wide, place // COLUMNS * high
        page.paste(images[number].resize((SIDE * SCALE, SIDE * SCALE), Image.Resampling.LANCZOS), (x, y))
        words = [answers[number][group] or f"no {group}" for group in GROUPS]
        pen.text((x, y + SIDE * SCALE + 2), f"#{number}", "red", font)
        for line in range(_LINES // 2):
            text = " | ".join(words[2 * line : 2 * line + 2])
            pen.text((x + (34 if line == 0 else 0), y + SIDE * SCALE + 2 + line * _LINE), text, "black", font)
    return page


def score(file: Path, tagger: Path) -> dict[str, float]:
    """Agreement in all, and per group, from the marks in `file`; stored in the tagger's report.

    An answer that is marked ``?`` is left out. Raises ValueError for a line that names no picture or group.
    """
    entries = json.loads((FOLDER / "answers.json").read_text())
    wrong: Counter[str] = Counter()
    doubtful: Counter[str] = Counter()
    for line in file.read_text().splitlines():
        text = line.split("#")[0].strip()
        if not text:
            continue
        place, _, truth = text.partition(":")
        number, _, group = place.partition(" ")
        if group not in GROUPS or not int(number) < len(entries):
            raise ValueError(f"{file}: {line!r} names no picture or no group")
        (doubtful if truth.strip() == "?" else wrong)[group] += 1
    count = len(entries)
    agreement = {group: 1 - wrong[group] / (count - doubtful[group]) for group in GROUPS}
    asked = count * len(GROUPS) - doubtful.total()
    total = round(1 - wrong.total() / asked, 4)
    report_file = tagger / "report.json"
    report = {key: value for key, value in json.loads(report_file.read_text()).items() if "by eye" not in key}
    report[f"agreement by eye, {count} generated pictures"] = total
    report["by eye, per group"] = {group: round(value, 4) for group, value in agreement.items()}
    report_file.write_text(json.dumps(report, indent=1) + "\n")
    return {**agreement, "all": total, "doubtful": doubtful.total() / (count * len(GROUPS))}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draw", type=int, default=0, metavar="COUNT")
    parser.add_argument("--score", type=Path, metavar="FILE")
    parser.add_argument("--base", type=Path, default=WORK / "base")
    parser.add_argument("--tagger", type=Path, default=WORK / "tagger")
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    if options.draw:
        draw(options.base, options.tagger, options.draw, options.seed)
    elif options.score:
        for group, value in score(options.score, options.tagger).items():
            print(f"{group:12} {value:.4f}")
    else:
        sys.exit("give --draw or --score")
