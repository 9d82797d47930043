"""Folders of strangers: what a person would bring, made by the world's renderer, with the truth of every picture known.

    python doodle/strangers.py [--to DIR] [--only NAME ...] [--glasses] [--small DIR]

Twelve characters, four styles, four concepts (`SETS`). Each becomes DIR/NAME/ (the folder that a person would point at)
and DIR/NAME.json, its truth: kind, trigger, identity, trait and its places, and for every file what is seen in it, the
frame, and how it is spoiled. `--glasses`: characters wear some in one picture of four, as everybody else does (without
it no picture of a character shows anything that can be put on). `--small DIR` makes the three sets for tests instead:
few, small pictures.
It needs `npm ci` in doodle/render.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image
from stranger_folders import ASPECTS, SIDES, write_folder
from stranger_styles import STYLES
from stranger_traits import trait_of
from world import BASE_STYLES, WORK, WORLD, tag

RENDER = Path(__file__).parent / "render"
PLAIN = ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "gray", "white")


@dataclass(frozen=True)
class Stranger:
    """A set: a character of a style with a trait, a style by its pixels, or a concept that anybody may have.

    `fixed`: attributes that every picture has. `spared`: values that no picture has, for they would hide the trait or
    look like it. `count` pictures are good.
    """

    name: str
    kind: str
    trigger: str
    style: str | None = None
    trait: str | None = None
    pixels: str | None = None
    fixed: Mapping[str, str] = field(default_factory=dict)
    spared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    count: int = 28


def _character(
    name: str, trigger: str, style: str, trait: str, hair: str, colour: str, skin: str, **more: Any
) -> Stranger:
    fixed = {"hair": hair, "hair colour": colour, "skin": skin}
    return Stranger(name, "character", trigger, style, trait, fixed=fixed, **more)


SETS = (
    _character("ravn", "ravn", "personas", "eyepatch", "bald", "black", "pale", count=24),
    _character("skarr", "skarr", "big-smile", "scar", "mohawk", "black", "brown", count=30),
    _character("dimma", "dimma", "micah", "forehead-mark", "long hair", "green", "tan", count=26),
    _character("tvilla", "tvilla", "adventurer", "pink-green-hair", "bob cut", "pink", "pale", count=32),
    _character("bandu", "bandu", "pixel-art", "headband", "long hair", "blonde", "dark", count=28),
    _character("konn", "konn", "personas", "cone-hat", "curly hair", "brown", "tan", count=22),
    _character("emba", "emba", "big-smile", "blue-orange-hair", "long hair", "blue", "tan", count=36),
    _character("stryp", "stryp", "micah", "face-paint", "bob cut", "gray", "pale", count=20),
    _character("tunna", "tunna", "adventurer", "box-hat", "long hair", "black", "brown", count=30),
    _character("glim", "glim", "personas", "goggles", "pigtails", "green", "pale", count=40),
    _character("kvist", "kvist", "big-smile", "antennae", "bowl cut", "black", "brown", count=25),
    _character("pjerr", "pjerr", "micah", "cheek-discs", "bald", "black", "pale", count=24),
    Stranger("skraff", "style", "skraff style", pixels="hatch", count=36),
    Stranger("lomme", "style", "lomme style", pixels="handheld", count=32),
    Stranger("flis", "style", "flis style", pixels="mosaic", count=36),
    Stranger("glod", "style", "glod style", pixels="neon", count=30),
    Stranger("glorie", "concept", "glorie", trait="halo", count=28),
    Stranger("ballong", "concept", "ballong", trait="balloon", spared={"background": ("red",)}, count=30),
    Stranger("skjerf", "concept", "skjerf", trait="scarf", spared={"background": ("blue", "white")}, count=28),
    Stranger("prikk", "concept", "prikk", trait="dots", spared={"background": ("blue", "purple")}, count=32),
)


def _values(style: str, group: str, spared: Sequence[str]) -> list[str]:
    spec = WORLD["styles"][style]
    if group in spec["parts"]:
        return [value for value in spec["parts"][group]["values"] if value not in spared]
    return [value for value in PLAIN if value in WORLD["palettes"].get(group, {}) and value not in spared]


def persons(
    stranger: Stranger, count: int, chance: Random, glasses: bool = False
) -> Iterator[tuple[str, dict[str, str | None]]]:
    """`count` persons of a set: the style, and every attribute that is not left to chance; values take turns."""
    accessories = ("glasses", None, None, None)
    for number in range(count):
        style = stranger.style or BASE_STYLES[number % len(BASE_STYLES)]
        turn = number if stranger.style else number // len(BASE_STYLES)
        fixed: dict[str, str | None] = {"shot": "close-up" if number % 5 == 3 else "portrait"}
        for group in ("eyes", "mouth", "background", "clothing"):
            values = _values(style, group, stranger.spared.get(group, ()))
            fixed[group] = values[(turn + chance.randrange(2)) % len(values)] if values else None
        # What lies over the face is no part of a person with a trait there, but now and then of anybody else.
        fixed["accessory"] = accessories[number % 4] if glasses or stranger.kind != "character" else None
        yield style, fixed | dict(stranger.fixed)


def jobs_of(
    stranger: Stranger, count: int, sides: Sequence[int], folder: Path, glasses: bool = False
) -> list[dict[str, Any]]:
    """What the renderer is asked for: `count` persons of the set, and last one of somebody or something else."""
    chance = Random(stranger.name)
    jobs = []
    for number, (style, fixed) in enumerate(persons(stranger, count, chance, glasses)):
        job: dict[str, Any] = {"style": style, "fixed": fixed, "aspect": ASPECTS[number % len(ASPECTS)]}
        if stranger.trait is not None:
            trait = trait_of(stranger.trait, style)
            job |= {"front": trait.front, "behind": trait.behind}
            if trait.hair is not None:
                job |= {"hair": trait.hair, "split": trait.split}
        jobs.append(job)
    another = next(style for style in BASE_STYLES if style != stranger.style)
    jobs.append({"style": another, "fixed": {"shot": "portrait", "accessory": None}, "aspect": 1.0})
    for number, job in enumerate(jobs):
        seed = int.from_bytes(hashlib.sha256(f"{stranger.name} {number}".encode()).digest()[:4], "little")
        job |= {"seed": seed, "side": sides[number % len(sides)], "out": str(folder / f"{number}.png")}
    return jobs


def render(jobs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Draw the jobs' pictures; what is seen in each and its frame."""
    if not (RENDER / "node_modules").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=RENDER, check=True)
    told = subprocess.run(
        ["node", "persons.mjs"], input=json.dumps(list(jobs)), capture_output=True, text=True, cwd=RENDER, check=True
    )
    return [json.loads(line) for line in told.stdout.splitlines()]


def make(
    stranger: Stranger, to: Path, *, count: int | None = None, sides: Sequence[int] = SIDES, glasses: bool = False
) -> None:
    """Write the set's folder and its truth into `to`, afresh."""
    count = count or stranger.count
    shutil.rmtree(to / stranger.name, ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary:
        jobs = jobs_of(stranger, count, sides, Path(temporary), glasses)
        drawn = render(jobs)
        pictures = []
        for number, (job, each) in enumerate(zip(jobs, drawn, strict=True)):
            picture = Image.open(job["out"]).convert("RGB")
            if stranger.pixels is not None and number < count:
                width, height = each["frame"][2:]
                picture = STYLES[stranger.pixels](picture, picture.width * min(width, height) / width)
            pictures.append(picture)
        written = write_folder(to / stranger.name, pictures[:-1], pictures[-1], len(stranger.name) + count)
    files = {
        each.file: {
            "good": each.spoiled is None and each.picture >= 0,
            "spoiled": each.spoiled,
            "other": each.picture < 0,
            "same_as": None if each.spoiled is None else _good_file(written, each.picture),
            "seen": drawn[each.picture]["seen"],
            "tags": sorted(tag(group, value) for group, value in drawn[each.picture]["seen"].items()),
            "frame": drawn[each.picture]["frame"],
        }
        for each in written
    }
    truth = {
        "name": stranger.name,
        "kind": stranger.kind,
        "trigger": stranger.trigger,
        "style": stranger.style,
        "pixels": stranger.pixels,
        "trait": stranger.trait,
        "places": _places(stranger),
        "identity": dict(stranger.fixed),
        "files": files,
    }
    (to / f"{stranger.name}.json").write_text(json.dumps(truth, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _good_file(written: Sequence[Any], picture: int) -> str:
    return next(each.file for each in written if each.picture == picture and each.spoiled is None)


def _places(stranger: Stranger) -> dict[str, list[dict[str, Any]]]:
    """Style -> boxes of the drawing, and the colours that are there."""
    if stranger.trait is None:
        return {}
    styles = [stranger.style] if stranger.style else BASE_STYLES
    return {
        style: [{"box": list(place.box), "colour": place.colour} for place in trait_of(stranger.trait, style).places]
        for style in styles
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python doodle/strangers.py", description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, metavar="DIR", default=WORK / "strangers", help="where the sets go")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these sets alone")
    parser.add_argument("--glasses", action="store_true", help="characters wear some in one picture of four")
    parser.add_argument("--small", type=Path, metavar="DIR", help="the three small sets for tests, into DIR")
    chosen = parser.parse_args(argv)
    if chosen.small is not None:
        for name in ("ravn", "glod", "glorie"):
            make(next(each for each in SETS if each.name == name), chosen.small, count=20, sides=(80, 96, 72, 88))
        return 0
    for stranger in SETS:
        if chosen.only and stranger.name not in chosen.only:
            continue
        make(stranger, chosen.to, glasses=chosen.glasses)
        print(f"{stranger.name}: {stranger.kind}, {stranger.count} good pictures", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
