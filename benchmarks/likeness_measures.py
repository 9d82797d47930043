"""Which measure of a second look tells altered copies from different pictures: the two distributions of each.

Copies: brightness, contrast, saturation, tint, JPEG, half size, of photographs (those that choosing was done on)
and of drawings. Different pictures, as alike as those of one subject are: pairs of each set whose hashes are near, and
persons that differ in the colour of one thing. Draws the plot of docs/likeness.md.

Run: python -m benchmarks.likeness_measures [--quick] [--plot FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from benchmarks.photographs import find_photographs
from benchmarks.recall import ALTERATIONS, flat_pictures, original
from benchmarks.timing import machine, ratio_line
from lorasmith.images.fingerprints import HASH_DISTANCE, take_fingerprint
from lorasmith.images.similarity import FINE_SIDE, THUMBNAIL_SIDE, measure_disagreement, take_fine_thumbnail
from lorasmith.images.tones import LUMA, likely_tones

Light = npt.NDArray[Any]
COPIES = tuple(
    name for name in ALTERATIONS if "padded" not in name and name not in ("mirrored", "signed", "blur, sigma 6")
)
"""Borders, mirroring, marks and blurs have looks of their own before any measure."""
TILE = FINE_SIDE // THUMBNAIL_SIDE


def small(fine: Light, side: int = THUMBNAIL_SIDE) -> Light:
    times = len(fine) // side
    means: Light = fine.reshape(side, times, side, times, -1).mean(axis=(1, 3))
    return means


def correlation(one: Light, other: Light) -> float:
    """1 - normalised cross-correlation."""
    x, y = one - one.mean(), other - other.mean()
    return 1 - float((x * y).sum() / max(float(np.sqrt((x * x).sum() * (y * y).sum())), 1e-6))


def largest_spot(one: Light, other: Light) -> float:
    """Spots of 8 x 8 pixels, gain and bias of the light removed: the largest difference in greys."""
    x, y = (small(each, 32) @ LUMA for each in (one, other))
    x, y = (x, y) if x.std() > y.std() else (y, x)
    gain = float(((x - x.mean()) * (y - y.mean())).mean()) / max(float(x.var()), 1e-6)
    return float(np.abs((x - x.mean()) - (y - y.mean()) / max(gain, 0.4)).max())


def worst_block(one: Light, other: Light) -> float:
    """1 - normalised cross-correlation, of the worst of 8 x 8 blocks that have any contrast."""
    x, y = (small(each) @ LUMA for each in (one, other))
    size, worst = THUMBNAIL_SIDE // 8, 0.0
    for row, column in np.ndindex(8, 8):
        part = slice(row * size, (row + 1) * size), slice(column * size, (column + 1) * size)
        if min(x[part].std(), y[part].std()) > 6:
            worst = max(worst, correlation(x[part], y[part]))
    return worst


def edges(one: Light, other: Light) -> float:
    """The structure without colours: the share of the stronger edges that point elsewhere."""
    angles, strengths = [], []
    for each in (one, other):
        down, across = np.gradient(small(each) @ LUMA)
        angles.append(np.arctan2(down, across))
        strengths.append(np.hypot(down, across))
    strong = (strengths[0] > np.quantile(strengths[0], 0.8)) | (strengths[1] > np.quantile(strengths[1], 0.8))
    turned = np.abs(np.angle(np.exp(1j * (angles[0] - angles[1]))))
    return float((turned[strong] > 0.5).mean())


def toned(one: Light, other: Light) -> float:
    """The largest difference, as a part of what copies may differ by there, that is left by the best change of tone,
    acted out with what it cuts off."""
    least = measure_disagreement(small(one), small(other))
    for source, wanted in ((one, small(other)), (other, small(one))):
        for tone in likely_tones(small(source, 32), small(wanted, 32)):
            if tone.is_usual:
                least = min(least, measure_disagreement(small(tone.of(source)), wanted))
    return least


MEASURES: Mapping[str, Callable[[Light, Light], float]] = {
    "largest spot, gain removed": largest_spot,
    "1 - correlation, whole": lambda one, other: correlation(small(one) @ LUMA, small(other) @ LUMA),
    "1 - correlation, worst block": worst_block,
    "edges that turned": edges,
    "left by the best tone": toned,
}


def fine(image: Image.Image) -> Light:
    return take_fine_thumbnail(image).astype(np.float32)


def copies(originals: Sequence[Image.Image]) -> list[tuple[Light, Light]]:
    return [(fine(image), fine(ALTERATIONS[name](image))) for image in originals for name in COPIES]


def different(sets: Sequence[Sequence[Image.Image]], most: int) -> list[tuple[Light, Light]]:
    found = []
    for pictures in sets:
        hashes = [take_fingerprint(image).phash for image in pictures]
        pairs = [pair for pair in combinations(range(len(pictures)), 2) if near(hashes[pair[0]], hashes[pair[1]])]
        found += [(fine(pictures[one]), fine(pictures[other])) for one, other in pairs[:most]]
    return found


def near(one: int, other: int) -> bool:
    return (one ^ other).bit_count() <= HASH_DISTANCE


def separated(same: Light, other: Light) -> tuple[float, float]:
    """(share of different pairs that lie above 99 % of the copies, AUC)."""
    above = float((other > np.quantile(same, 0.99)).mean())
    ordered = np.sort(other)
    places = np.searchsorted(ordered, same, side="left") + np.searchsorted(ordered, same, side="right")
    return above, 1 - float(places.mean()) / (2 * len(other))


def draw_plot(values: Mapping[str, tuple[Light, Light]], path: Path) -> None:
    """Both distributions of each measure as dots along its axis: copies above, different pictures below."""
    width, height, left, step = 960, 90, 240, 70
    sheet = Image.new("RGB", (width, height + step * len(values)), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text(
        (left, 12), "blue: altered copies   orange: different pictures with near hashes   (square root scale)", "black"
    )
    random = np.random.default_rng(0)
    for number, (name, (same, other)) in enumerate(values.items()):
        top, most = 40 + step * number, float(np.quantile(np.concatenate([same, other]), 0.995))
        pen.text((10, top + 14), name, "black")
        pen.text((10, top + 30), f"0 to {most:.3g}", "grey")
        for row, (points, colour) in enumerate(((same, "#2b6cb0"), (other, "#dd6b20"))):
            for value in points:
                x = left + (width - left - 20) * float(np.sqrt(min(value / most, 1.0)))
                y = top + 8 + 26 * row + float(random.uniform(0, 18))
                pen.ellipse((x - 1, y - 1, x + 1, y + 1), fill=colour)
        pen.line((left, top + 56, width - 20, top + 56), fill="lightgrey")
    sheet.save(path, optimize=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few pictures")
    parser.add_argument("--plot", type=Path, help="where the plot goes")
    given = parser.parse_args(argv)
    count = 6 if given.quick else 48
    photographs = [image for _, image in find_photographs("chosen")]
    drawings = [original(number) for number in range(40 if given.quick else 160)]
    print(machine())
    same = copies([*photographs[: count // 2], *drawings[: count // 2]])
    alike = [*(flat_pictures()[start : start + 10] for start in (0, 10)), drawings, photographs]
    other = different(alike, 20 if given.quick else 150)
    print(f"{len(same)} altered copies, {len(other)} pairs of different pictures with near hashes")
    values, lines = {}, []
    for name, measure in MEASURES.items():
        values[name] = tuple(np.array([measure(*pair) for pair in pairs]) for pairs in (same, other))
        above, area = separated(*values[name])
        most, least = np.quantile(values[name][0], 0.99), values[name][1].min()
        print(f"| {name} | {most:.3g} | {least:.3g} | {above:.3f} | {area:.4f} |")
        if measure is toned:
            lines.append(ratio_line("different pairs above 99 % of the copies, best tone", above, at_least=0.99))
    if given.plot is not None:
        draw_plot(values, given.plot)
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
