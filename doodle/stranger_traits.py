"""What strangers wear that neither the base nor its judge has a word for, drawn onto a figure in shares of the drawing.

Every trait says where its colours are, so that a picture can be checked without any judge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True)
class Anchors:
    """Where things are in a style's drawing: `eye` the one on the left, `wide` half of the head's width at the top."""

    eye: Point
    eye_size: float
    forehead: Point
    left_cheek: Point
    right_cheek: Point
    top: Point
    wide: float
    neck: Point


# fmt: off
ANCHORS = {
    "big-smile": Anchors(
        (0.60, 0.49), 0.07, (0.66, 0.36), (0.48, 0.62), (0.80, 0.60), (0.46, 0.20), 0.26, (0.58, 0.83),
    ),
    "micah": Anchors(
        (0.445, 0.41), 0.06, (0.53, 0.29), (0.41, 0.52), (0.66, 0.50), (0.48, 0.24), 0.22, (0.50, 0.80),
    ),
    "personas": Anchors(
        (0.40, 0.45), 0.065, (0.50, 0.34), (0.37, 0.56), (0.63, 0.56), (0.50, 0.32), 0.23, (0.50, 0.74),
    ),
    "adventurer": Anchors(
        (0.29, 0.55), 0.08, (0.40, 0.42), (0.26, 0.66), (0.60, 0.66), (0.42, 0.38), 0.28, (0.46, 0.83),
    ),
    "pixel-art": Anchors(
        (0.345, 0.41), 0.08, (0.50, 0.27), (0.30, 0.60), (0.70, 0.60), (0.50, 0.22), 0.28, (0.50, 0.78),
    ),
}
# fmt: on


@dataclass(frozen=True)
class Place:
    """A box [left, top, right, bottom] of the drawing in which a colour must be seen."""

    box: tuple[float, float, float, float]
    colour: str


@dataclass(frozen=True)
class Trait:
    """SVG before and behind the figure; `hair` runs from one colour to another along "x" or "y", at `split`."""

    words: str
    places: tuple[Place, ...]
    front: str = ""
    behind: str = ""
    hair: tuple[str, str, str] | None = None
    split: tuple[float, float] = (0.5, 0.5)


INK = "#332833"


def _around(point: Point, reach: float) -> tuple[float, float, float, float]:
    x, y = point
    return (round(x - reach, 4), round(y - reach, 4), round(x + reach, 4), round(y + reach, 4))


def _disc(point: Point, radius: float, fill: str, line: float = 0.0) -> str:
    stroke = f' stroke="{INK}" stroke-width="{line}"' if line else ""
    return f'<circle cx="{point[0]}" cy="{point[1]}" r="{radius}" fill="{fill}"{stroke}/>'


def _line(points: str, colour: str, width: float) -> str:
    return f'<path d="{points}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linecap="round"/>'


def _box(left: float, top: float, right: float, bottom: float, fill: str) -> str:
    return f'<rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" fill="{fill}"/>'


def _eyepatch(at: Anchors) -> Trait:
    (x, y), reach = at.eye, at.eye_size
    strap = _line(f"M{x - 0.17} {y - 0.02}L{x} {y}L{x + 0.36} {y - 0.15}", "#16161d", 0.018)
    return Trait("eyepatch", (Place(_around(at.eye, reach), "#16161d"),), strap + _disc(at.eye, reach, "#16161d"))


def _scar(at: Anchors) -> Trait:
    x, y = at.left_cheek
    cut = _line(f"M{x - 0.05} {y - 0.13}L{x + 0.05} {y + 0.11}", "#c2182b", 0.032)
    for step in (-0.06, 0.04):
        cut += _line(f"M{x - 0.055 + step * 0.4} {y + step + 0.012}l0.1 -0.03", "#c2182b", 0.018)
    return Trait("scar", (Place((x - 0.06, y - 0.12, x + 0.06, y + 0.10), "#c2182b"),), cut)


def _forehead_mark(at: Anchors) -> Trait:
    x, y = at.forehead
    shape = f"M{x} {y - 0.075}L{x + 0.055} {y}L{x} {y + 0.075}L{x - 0.055} {y}Z"
    front = f'<path d="{shape}" fill="#f5b800" stroke="{INK}" stroke-width="0.012"/>'
    return Trait("golden diamond on the forehead", (Place(_around(at.forehead, 0.05), "#f5b800"),), front)


def _hair(one: str, two: str, along: str, split: float, seen: float) -> Callable[[Anchors], Trait]:
    """`split`: where colours meet, in the coordinates of the part that has the hair; `seen`: in the drawing's."""

    def make(at: Anchors) -> Trait:
        (x, y), wide = at.top, at.wide + 0.08
        if along == "x":
            boxes = (x - wide, y - 0.2, seen, y + 0.12), (seen, y - 0.2, x + wide, y + 0.12)
        else:
            boxes = (x - wide, y - 0.15, x + wide, seen), (x - wide, seen, x + wide, seen + 0.35)
        places = (Place(boxes[0], one), Place(boxes[1], two))
        return Trait("two-coloured hair", places, hair=(one, two, along), split=(split, split))

    return make


def _headband(at: Anchors) -> Trait:
    (x, y), wide = at.forehead, at.wide
    front = _box(x - wide, y - 0.035, x + wide, y + 0.045, "#e01b24") + _disc((x, y + 0.005), 0.03, "#ffffff")
    return Trait("red headband", (Place((x - wide, y - 0.035, x + wide, y + 0.045), "#e01b24"),), front)


def _cone_hat(at: Anchors) -> Trait:
    (x, y), wide = at.top, at.wide * 0.85
    shape = f"M{x - wide} {y}L{x} {y - 0.42}L{x + wide} {y}Z"
    front = f'<path d="{shape}" fill="#7a2fd0" stroke="{INK}" stroke-width="0.012"/>'
    front += _box(x - wide * 0.86, y - 0.075, x + wide * 0.86, y - 0.025, "#ffd93b")
    box = (x - wide * 0.7, y - 0.2, x + wide * 0.7, y)
    return Trait("purple cone hat", (Place(box, "#7a2fd0"), Place(box, "#ffd93b")), front)


def _box_hat(at: Anchors) -> Trait:
    (x, y), wide = at.top, at.wide * 0.95
    front = f'<g stroke="{INK}" stroke-width="0.012">' + _box(x - wide, y - 0.24, x + wide, y, "#1f9d3a")
    front += _box(x - wide, y - 0.07, x + wide, y, "#f7f7f7") + "</g>"
    return Trait("green box hat", (Place((x - wide * 0.9, y - 0.22, x + wide * 0.9, y - 0.08), "#1f9d3a"),), front)


def _face_paint(at: Anchors) -> Trait:
    front, places = "", []
    for x, y in (at.left_cheek, at.right_cheek):
        for down in (-0.03, 0.035):
            front += _line(f"M{x - 0.06} {y + down}L{x + 0.06} {y + down}", "#1450d8", 0.032)
        places.append(Place(_around((x, y), 0.06), "#1450d8"))
    return Trait("two blue stripes on each cheek", tuple(places), front)


def _cheek_discs(at: Anchors) -> Trait:
    front = "".join(_disc(point, 0.06, "#d81e3a") for point in (at.left_cheek, at.right_cheek))
    places = tuple(Place(_around(point, 0.045), "#d81e3a") for point in (at.left_cheek, at.right_cheek))
    return Trait("red discs on the cheeks", places, front)


def _goggles(at: Anchors) -> Trait:
    (x, y), apart = at.forehead, at.wide * 0.42
    front = _box(x - at.wide, y - 0.03, x + at.wide, y + 0.02, INK)
    places = []
    for side in (-apart, apart):
        front += _disc((x + side, y - 0.005), 0.072, "#17c3e6", 0.022)
        places.append(Place(_around((x + side, y - 0.005), 0.05), "#17c3e6"))
    hair = ("#9be01c", "#9be01c", "x")
    return Trait("goggles on lime hair", tuple(places), front, hair=hair)


def _antennae(at: Anchors) -> Trait:
    x, y = at.top
    front, places = "", []
    for side in (-0.13, 0.13):
        front += _line(f"M{x + side * 0.6} {y}L{x + side} {y - 0.1}", INK, 0.02)
        ball = (round(x + side, 3), round(y - 0.12, 3))
        front += _disc(ball, 0.062, "#ffd21f", 0.012)
        places.append(Place(_around(ball, 0.045), "#ffd21f"))
    return Trait("antennae", tuple(places), front)


def _halo(at: Anchors) -> Trait:
    (x, y), wide = at.top, at.wide * 0.8
    ring = f'<ellipse cx="{x}" cy="{y - 0.06}" rx="{wide}" ry="0.07" fill="none"'
    front = f'{ring} stroke="{INK}" stroke-width="0.062"/>{ring} stroke="#ffc400" stroke-width="0.045"/>'
    return Trait("halo", (Place((x - wide - 0.02, y - 0.15, x + wide + 0.02, y + 0.03), "#ffc400"),), front)


def _balloon(at: Anchors) -> Trait:
    x, y = at.top[0] + 0.29, at.top[1] + 0.02
    front = _line(f"M{x} {y}L{x + 0.03} 1.2", INK, 0.012) + _disc((x, y), 0.1, "#e3122d", 0.012)
    return Trait("red balloon", (Place(_around((x, y), 0.07), "#e3122d"),), front)


def _scarf(at: Anchors) -> Trait:
    (x, y), wide = at.neck, at.wide
    front = ""
    for number in range(6):
        left = x - wide + number * wide / 3
        front += _box(left, y - 0.055, left + wide / 3 + 0.002, y + 0.055, ("#1747c9", "#ffffff")[number % 2])
    box = (x - wide * 0.9, y - 0.05, x + wide * 0.9, y + 0.05)
    return Trait("striped scarf", (Place(box, "#1747c9"), Place(box, "#ffffff")), front)


def _dots(_: Anchors) -> Trait:
    spots = (
        _disc((round(-0.4 + 0.16 * i + 0.08 * (j % 2), 3), round(-0.4 + 0.13 * j, 3)), 0.038, "#151b54")
        for i in range(12)
        for j in range(14)
    )
    corners = ((0.06, 0.2, 0.3, 0.36), (0.72, 0.18, 0.92, 0.36))
    return Trait("dotted wall", tuple(Place(box, "#151b54") for box in corners), "", "".join(spots))


TRAITS: dict[str, Callable[[Anchors], Trait]] = {
    "eyepatch": _eyepatch,
    "scar": _scar,
    "forehead-mark": _forehead_mark,
    "pink-green-hair": _hair("#ff5fb0", "#1faa59", "x", 0.74, 0.44),
    "blue-orange-hair": _hair("#1f4fe0", "#ff8a1f", "y", 0.40, 0.40),
    "headband": _headband,
    "cone-hat": _cone_hat,
    "box-hat": _box_hat,
    "face-paint": _face_paint,
    "cheek-discs": _cheek_discs,
    "goggles": _goggles,
    "antennae": _antennae,
    "halo": _halo,
    "balloon": _balloon,
    "scarf": _scarf,
    "dots": _dots,
}


def trait_of(name: str, style: str) -> Trait:
    """A trait as this style's figures wear it."""
    return TRAITS[name](ANCHORS[style])
