"""Whether a picture shows a stranger, by what the renderer knows: colours at known places, the look of a style's
pixels.

No judge of the exam is asked. How much of a colour is enough is learnt from the set's own good pictures, whose frames
are known, as the base's autoencoder gives them back (an adapter cannot draw what it loses), and from pictures of the
bare base; each place and each style tells how well it separates the two.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lorasmith.bases.doodle import world

SIDE = 128
NEAR = 80.0
"""A pixel has a colour when it is no farther from it, in RGB."""
REACH = 0.04
"""The base's frames wander by so much of the drawing."""
_SKIN = {
    "big-smile": (0.55, 0.53, 0.75, 0.66),
    "micah": (0.44, 0.44, 0.62, 0.56),
    "personas": (0.40, 0.48, 0.60, 0.58),
    "adventurer": (0.28, 0.60, 0.55, 0.74),
    "pixel-art": (0.32, 0.52, 0.68, 0.68),
}
_HAIR = {
    "big-smile": (0.15, 0.08, 0.75, 0.45),
    "micah": (0.22, 0.10, 0.75, 0.35),
    "personas": (0.25, 0.17, 0.75, 0.38),
    "adventurer": (0.10, 0.17, 0.85, 0.45),
    "pixel-art": (0.18, 0.05, 0.82, 0.32),
}
Box = tuple[float, float, float, float]
Colour = tuple[int, int, int]
Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Seek:
    """A colour that is looked for in a box of the drawing; there is enough of it from the share `least` on. A pixel
    that is nearer to one of `rivals` has not this colour."""

    what: str
    box: Box
    colour: Colour
    rivals: tuple[Colour, ...] = ()
    least: float = 0.0
    separation: float = float("nan")


@dataclass(frozen=True)
class Truth:
    """A set's truth: what its JSON says, and what is looked for in a portrait of each style."""

    told: Mapping[str, Any]
    seeks: Mapping[str, tuple[Seek, ...]]
    look: tuple[float, float, bool] | None = None
    folder: Path = field(default=Path())

    @property
    def kind(self) -> str:
        return str(self.told["kind"])

    def marks(self, picture: Image.Image, style: str | None) -> dict[str, bool]:
        """What of the stranger is seen in a portrait of this style (a style's own: "pixels")."""
        if self.look is not None:
            least, _, above = self.look
            return {"pixels": (look_of(str(self.told["pixels"]), picture) > least) == above}
        pixels = _pixels(picture)
        return {seek.what: _share(pixels, _frame(style or "", "portrait"), seek) >= seek.least
                for seek in self.seeks[style or str(self.told["style"])]}  # fmt: skip

    def separations(self) -> dict[str, float]:
        """How often a good picture shows more of each mark than one of the bare base (the area under the curve)."""
        if self.look is not None:
            return {"pixels": self.look[1]}
        return {f"{style}: {seek.what}": seek.separation for style, seeks in self.seeks.items() for seek in seeks}


def confusing(truth: Truth) -> frozenset[str]:
    """Colours of backgrounds that look like a trait's: no prompt should ask for them."""
    colours = {place["colour"] for places in truth.told["places"].values() for place in places}
    found = set()
    for name, paper in world()["palettes"]["background"].items():
        pixel = np.array(_rgb(paper), np.float32)
        if any(float(_distance(pixel, _rgb(colour))) < NEAR**2 for colour in colours):
            found.add(f"{name} background")
    return frozenset(found)


def read_truth(
    file: Path,
    bare: Mapping[str, Sequence[Image.Image]],
    through: Callable[[Sequence[Image.Image]], Sequence[Image.Image]] = list,
) -> Truth:
    """The truth beside a set's folder; `bare`: portraits by the base of each style, of people without the trait;
    `through` gives pictures back as the base's autoencoder does."""
    told = json.loads(file.read_text("utf-8"))
    folder = file.with_suffix("")
    good = [(name, each) for name, each in told["files"].items() if each["good"]]
    if told["kind"] == "style":
        mine = [look_of(told["pixels"], picture) for picture in through([cut_square(folder / n) for n, _ in good])]
        others = [look_of(told["pixels"], picture) for pictures in bare.values() for picture in pictures]
        above = float(np.median(mine)) > float(np.median(others))
        least = (float(np.median(mine)) + float(np.median(others))) / 2
        return Truth(told, {}, (least, max(_area(mine, others), 1 - _area(mine, others)), above), folder)
    seeks: dict[str, tuple[Seek, ...]] = {}
    for style in told["places"]:
        portraits = [(name, each) for name, each in good if is_portrait_of(each, style)]
        pictures = through([cut_square(folder / name) for name, _ in portraits])
        frames = [_squared(each["frame"]) for _, each in portraits]
        seen = [(_pixels(picture), frame) for picture, frame in zip(pictures, frames, strict=True)]
        seeks[style] = tuple(
            _calibrated(seek, seen, [(_pixels(picture), _frame(style, "portrait")) for picture in bare[style]])
            for seek in _sought(told, style)
        )
    return Truth(told, seeks, None, folder)


def is_portrait_of(each: Mapping[str, Any], style: str) -> bool:
    return bool(each["seen"]["style"] == style and each["seen"]["shot"] == "portrait")


def _sought(told: Mapping[str, Any], style: str) -> list[Seek]:
    palettes = world()["palettes"]
    sought = [
        Seek(f"trait {number}", tuple(place["box"]), _rgb(place["colour"]))
        for number, place in enumerate(told["places"][style], 1)
    ]
    identity = told["identity"]
    if "skin" in identity:
        sought.append(_of_palette("skin", _SKIN[style], palettes["skin"], identity["skin"]))
    own_hair = told["trait"] in ("pink-green-hair", "blue-orange-hair", "goggles", "box-hat", "cone-hat")
    if "hair colour" in identity and not own_hair and identity["hair"] != "bald":
        sought.append(_of_palette("hair colour", _HAIR[style], palettes["hair colour"], identity["hair colour"]))
    return sought


def _of_palette(what: str, box: Box, palette: Mapping[str, str], value: str) -> Seek:
    return Seek(what, box, _rgb(palette[value]), tuple(_rgb(hex) for name, hex in palette.items() if name != value))


def _rgb(text: str) -> Colour:
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def cut_square(path: Path) -> Image.Image:
    """The picture upright, cut to the square at its bottom and in its middle that the figure's own frame is."""
    with Image.open(path) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    side = min(picture.size)
    left, top = (picture.width - side) // 2, picture.height - side
    return picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def _squared(frame: Sequence[float]) -> Box:
    x, y, width, height = frame
    side = min(width, height)
    return (x + (width - side) / 2, y + height - side, side, side)


def _frame(style: str, shot: str) -> Box:
    cx, cy, zoom = world()["styles"][style]["frames"][shot]
    return (cx - 0.5 / zoom, cy - 0.5 / zoom, 1 / zoom, 1 / zoom)


def _pixels(picture: Image.Image) -> Pixels:
    if picture.size != (SIDE, SIDE):
        picture = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.asarray(picture.convert("RGB"), np.float32)


def _distance(pixels: Pixels, colour: Colour) -> Pixels:
    squares: Pixels = np.square(pixels - np.array(colour, np.float32)).sum(-1)
    return squares


def _share(pixels: Pixels, frame: Box, seek: Seek) -> float:
    """The largest share of the box that has the colour, wherever in reach the box lies."""
    distance = _distance(pixels, seek.colour)
    near = (distance < NEAR**2).astype(np.float64)
    for rival in seek.rivals:
        near[_distance(pixels, rival) < distance] = 0
    whole = np.pad(near.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    x, y, width, _ = frame
    left, top, right, bottom = (
        (edge - start) / width * SIDE for edge, start in zip(seek.box, (x, y, x, y), strict=True)
    )
    best = 0.0
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            shift_x, shift_y = dx * REACH * SIDE / width, dy * REACH * SIDE / width
            west, east = (int(np.clip(round(edge + shift_x), 0, SIDE)) for edge in (left, right))
            north, south = (int(np.clip(round(edge + shift_y), 0, SIDE)) for edge in (top, bottom))
            if east > west and south > north:
                count = whole[south, east] - whole[north, east] - whole[south, west] + whole[north, west]
                best = max(best, float(count) / ((east - west) * (south - north)))
    return best


def _calibrated(seek: Seek, mine: Sequence[tuple[Pixels, Box]], others: Sequence[tuple[Pixels, Box]]) -> Seek:
    own = [_share(pixels, frame, seek) for pixels, frame in mine]
    bare = [_share(pixels, frame, seek) for pixels, frame in others]
    usual = float(np.median(own))
    # NOTE: four tenths of what the set's pictures have, or more where the base's have some of it too.
    least = max(0.4 * usual, min(0.6 * usual, float(np.quantile(bare, 0.95))))
    return replace(seek, least=least, separation=_area(own, bare))


def _area(mine: Sequence[float], others: Sequence[float]) -> float:
    """P(one of mine > one of the others), ties count half."""
    a, b = np.array(mine)[:, None], np.array(others)[None]
    return float(((a > b) + 0.5 * (a == b)).mean())


def look_of(name: str, picture: Image.Image) -> float:
    """How much a picture has of the look of one of the four styles."""
    pixels = _pixels(picture)
    return {"hatch": _hatched, "handheld": _green, "mosaic": _tiled, "neon": _glowing}[name](pixels)


def _near(pixels: Pixels, colours: Sequence[Colour], reach: float) -> float:
    distance = np.stack([np.square(pixels - np.array(c, np.float32)).sum(-1) for c in colours]).min(0)
    return float((distance < reach**2).mean())


def _hatched(pixels: Pixels) -> float:
    """Share of cream, ink and what lies between them."""
    between = [(250 - 18 * n, 238 - 21 * n, 210 - 12 * n) for n in range(11)]
    return _near(pixels, between, 40)


def _green(pixels: Pixels) -> float:
    """Share of the old handheld's greens and what lies between them."""
    ends = ((15, 30, 20), (48, 98, 48), (139, 172, 15), (214, 226, 120))
    colours = [
        tuple(int(a + (b - a) * n / 4) for a, b in zip(one, two, strict=True))
        for one, two in itertools.pairwise(ends)
        for n in range(5)
    ]
    return _near(pixels, colours, 40)  # type: ignore[arg-type]


def _tiled(pixels: Pixels) -> float:
    """How much darker the lines of the best grid of 8 pixels are than what lies between, both ways."""
    grey = pixels.mean(-1)
    found = []
    for axis in (0, 1):
        lines = grey.mean(1 - axis)
        dark = [(lines[phase::8].mean(), np.delete(lines, np.s_[phase::8]).mean()) for phase in range(8)]
        found.append(max(float(rest - line) for line, rest in dark))
    return min(found)


def _glowing(pixels: Pixels) -> float:
    """Share of night blue, glow and what lies between them."""
    colours = [(12 + 8 * n, 14 + 24 * n, 52 + 18 * n) for n in range(11)]
    return _near(pixels, colours, 45)
