"""A toy world of stripes: stripe i shows group i's value as a brightness. Drawing and judging are exact.

The toy base draws what the prompt says and fills the rest from the seed. A toy adapter knows the trigger "zbk" and
draws the identity with a given reliability; it can leak.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from lorasmith.bases.tag_space import TagGroup, TagSpace
from lorasmith.exam.drawing import Row
from lorasmith.exam.judges import Group
from lorasmith.tags.words import split_tags

VALUES: dict[str, tuple[str, ...]] = {
    "style": ("ink style", "clay style"),
    "hair": ("red hair", "blue hair", "green hair", "jade hair"),
    "skin": ("pale skin", "brown skin"),
    "mouth": ("smile", "frown", "open mouth"),
    "background": ("blue background", "red background", "grey background", "pink background"),
    "hat": ("cap", "crown"),
}
OPTIONAL = {"hat"}
IDENTITY = {"style": "ink style", "hair": "jade hair", "skin": "brown skin"}
TRIGGER = "zbk"
GROUPS = {name: Group(name, tags, name in OPTIONAL) for name, tags in VALUES.items()}
#: "jade hair" is held out: the base does not know it.
WORLD = TagSpace(
    {
        name: TagGroup(name, {tag: None for tag in tags if tag != "jade hair"}, name in OPTIONAL)
        for name, tags in VALUES.items()
    },
    always=("1person",),
)
STRIPE = 8
STEP = 40


def paint(attributes: Mapping[str, str | None]) -> Image.Image:
    image = Image.new("RGB", (STRIPE * len(VALUES), 48))
    for i, (name, tags) in enumerate(VALUES.items()):
        tag = attributes.get(name)
        level = 0 if tag is None else STEP * (tags.index(tag) + 1)
        image.paste((level, level, level), (i * STRIPE, 0, (i + 1) * STRIPE, 48))
    return image


@dataclass(frozen=True)
class ToyJudge:
    name: str = "toy"
    groups: Mapping[str, Group] = field(default_factory=lambda: GROUPS)
    error_rates: Mapping[str, object] = field(default_factory=lambda: {"mean_accuracy": 0.995})

    def describe(self, images: Sequence[Image.Image]) -> list[dict[str, str | None]]:
        return [self._read(image) for image in images]

    def _read(self, image: Image.Image) -> dict[str, str | None]:
        seen: dict[str, str | None] = {}
        for i, (name, tags) in enumerate(VALUES.items()):
            pixel = image.getpixel((i * STRIPE + STRIPE // 2, 10))
            assert isinstance(pixel, tuple)
            level = round(pixel[0] / STEP)
            seen[name] = tags[level - 1] if level else None
        return seen


@dataclass
class ToyArtist:
    """`skill`: snapshot stem -> how often the identity is drawn when called; `leak`: how often uncalled."""

    skill: Mapping[str, float]
    leak: float = 0.0
    drawn: list[Row] = field(default_factory=list)

    def draw(self, rows: Sequence[Row]) -> list[Image.Image]:
        self.drawn += rows
        return [paint(self._imagine(row)) for row in rows]

    def develop(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        return list(images)

    def _imagine(self, row: Row) -> dict[str, str | None]:
        tags = split_tags(row.prompt)
        dice = random.Random(row.seed)
        attributes: dict[str, str | None] = {}
        for name, values in VALUES.items():
            known = [value for value in values if value != "jade hair"]
            guess = None if name in OPTIONAL else dice.choice(known)
            attributes[name] = next((tag for tag in tags if tag in known), guess)
        if row.adapter is not None:
            own = random.Random(row.seed ^ zlib.crc32(b"adapter"))
            called = TRIGGER in tags
            if own.random() < (self.skill[row.adapter.stem] if called else self.leak):
                attributes.update(IDENTITY)
        return attributes


def make_project(root: Path, exam: str = "") -> Path:
    """A project of 24 training images: the identity, with varied mouth and background, captioned by these."""
    images = root / "images"
    images.mkdir(parents=True)
    for i in range(24):
        shown: dict[str, str | None] = {
            **IDENTITY,
            "mouth": VALUES["mouth"][i % 2],
            "background": VALUES["background"][i % 3],
        }
        paint(shown).save(images / f"{i:02}.png")
        caption = f"{TRIGGER}, 1person, {shown['mouth']}, {shown['background']}"
        (images / f"{i:02}.txt").write_text(caption)
    (root / "lora.toml").write_text(
        f'[lora]\nname = "toy"\nsubject = "character"\ntrigger = "{TRIGGER}"\n\n[exam]\n{exam}\n'
    )
    return root
