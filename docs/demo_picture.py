"""Draw README's picture of the demo: its character on ten prompts, and below the bare base on the same words and seeds.

    .venv/bin/python -m docs.demo_picture lorasmith-demo

The adapter is drawn at the strength that its exam recommends; no training image shows what the prompts add.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from lorasmith.bases.base import open_base
from lorasmith.exam.drawing import PipelineArtist, Row
from lorasmith.exam.settings import ExamTable
from lorasmith.project import EMBEDDED

PICTURE = Path(__file__).parent / "pictures/demo.png"
CALLED = "zbk, 1person"
ASKED = (
    "portrait, open eyes, smile, green shirt, purple background",
    "portrait, wink, open mouth, yellow shirt, yellow background",
    "portrait, open eyes, grin, orange shirt, teal background",
    "portrait, sunglasses, smile, black shirt, pink background",
    "close-up, open eyes, open mouth, orange background",
    "portrait, open eyes, frown, green shirt, white background",
    "portrait, glasses, open mouth, purple shirt, blue background",
    "portrait, closed eyes, smile, yellow shirt, green background",
    "portrait, open eyes, open mouth, pink shirt, gray background",
    "close-up, wink, grin, purple background",
)
SEED, SIDE, GAP, STEPS = 500, 96, 4, 20


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m docs.demo_picture", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="what `lorasmith demo` made")
    parser.add_argument("--out", type=Path, default=PICTURE)
    chosen = parser.parse_args(argv)
    adapter = chosen.folder / "adapter.safetensors"
    strength = json.loads((chosen.folder / "figures.json").read_text("utf-8"))["strength"]["recommended"]
    artist = PipelineArtist(open_base(EMBEDDED, "auto", "exam"), [adapter], ExamTable())
    called = [Row(f"{CALLED}, {asked}", SEED + n, adapter, strength, STEPS) for n, asked in enumerate(ASKED)]
    bare = [Row(f"1person, {asked}", SEED + n, None, steps=STEPS) for n, asked in enumerate(ASKED)]
    sheet = Image.new("RGB", (len(ASKED) * (SIDE + GAP) - GAP, 2 * SIDE + GAP), "white")
    for line, rows in enumerate((called, bare)):
        for place, picture in enumerate(artist.draw(rows)):
            small = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            sheet.paste(small, (place * (SIDE + GAP), line * (SIDE + GAP)))
    sheet.save(chosen.out, optimize=True)


if __name__ == "__main__":
    main()
