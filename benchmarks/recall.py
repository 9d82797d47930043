"""How many altered copies are found, and how many different pictures are called the same.

Half of the drawings are heads on white, which hashes alone confuse, half are scenes; photographs are halves of desktop
backgrounds that nothing was chosen on (fetched as Debian packages, left out with a word where they cannot be had). Each
altered copy is put beside its original; false pairs are counted among all pairs of different originals, by the way that
grouping goes: a near hash, then the second look. Beside it: what the hashes alone would have called the same. Flat
drawings that differ in the colour of one thing alone are different pictures, too.

Run: python -m benchmarks.recall [--quick]
"""

from __future__ import annotations

import argparse
import io
import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from benchmarks.drawings import drawn_head, scene
from benchmarks.photographs import find_photographs
from benchmarks.timing import machine, ratio_line
from lorasmith.dataset.grouping import near_pairs
from lorasmith.dataset.likeness import Signature, group_images
from lorasmith.images.fingerprints import HASH_DISTANCE, WHOLE, take_fingerprint
from lorasmith.images.similarity import take_fine_thumbnail, take_inner_thumbnail, take_thumbnail

Alteration = Callable[[Image.Image], Image.Image]


def recompressed(image: Image.Image, quality: int = 40) -> Image.Image:
    store = io.BytesIO()
    image.save(store, "JPEG", quality=quality)
    return Image.open(store).convert("RGB")


def padded(image: Image.Image, colour: str = "black") -> Image.Image:
    sheet = Image.new("RGB", (image.width * 5 // 4, image.height * 9 // 8), colour)
    sheet.paste(image, (image.width // 8, image.height // 16))
    return sheet


def warm(image: Image.Image) -> Image.Image:
    toned = np.asarray(image).astype(np.float32) * np.array([1.15, 1.0, 0.85], np.float32)
    return Image.fromarray(toned.clip(0, 255).astype(np.uint8))


def signed(image: Image.Image) -> Image.Image:
    sheet, size = image.copy(), max(9, min(image.size) // 40)
    place = (image.width - 7 * size, image.height - 2 * size)
    ImageDraw.Draw(sheet).text(place, "somebody", fill=(160, 160, 160), font_size=size)
    return sheet


def brighter(times: float) -> Alteration:
    return lambda image: ImageEnhance.Brightness(image).enhance(times)


def contrasted(times: float) -> Alteration:
    return lambda image: ImageEnhance.Contrast(image).enhance(times)


def saturated(times: float) -> Alteration:
    return lambda image: ImageEnhance.Color(image).enhance(times)


ALTERATIONS: Mapping[str, Alteration] = {
    "JPEG 40": recompressed,
    "half size": lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC),
    "grey": lambda image: ImageOps.grayscale(image).convert("RGB"),
    "overlay": lambda image: Image.blend(image, Image.new("RGB", image.size, (200, 90, 30)), 0.35),
    "blur, sigma 6": lambda image: image.filter(ImageFilter.GaussianBlur(6)),
    "brightness x 1.2": brighter(1.2),
    "brightness x 1.5": brighter(1.5),
    "contrast x 1.25": contrasted(1.25),
    "saturation x 0.5": saturated(0.5),
    "saturation x 1.4": saturated(1.4),
    "saturation x 1.8": saturated(1.8),
    "warm tint, 15 %": warm,
    "JPEG 10": lambda image: recompressed(image, 10),
    "signed": signed,
    "mirrored": ImageOps.mirror,
    "padded": padded,
    "padded in white": lambda image: padded(image, "white"),
    "padded, JPEG 40": lambda image: recompressed(padded(image)),
}
HARD = frozenset(("brightness x 1.5", "saturation x 1.8", "JPEG 10", "signed"))
"""What changes a picture so much that hashes part; told with the goal of photographs, 0.95."""
KINDS = {"mirrored": "mirrored", **{name: "padded" for name in ALTERATIONS if name.startswith("padded")}}


def signature(name: str, image: Image.Image) -> Signature:
    thumbnail, made = take_thumbnail(image), take_fingerprint(image)
    inner, unframed = (
        take_inner_thumbnail(image, borders) if made.box != WHOLE else thumbnail for borders in (made.borders, 1)
    )
    pixels = image.width * image.height
    return Signature(
        name,
        name,
        pixels,
        size=0,
        lossless=False,
        captioned=False,
        fingerprint=made,
        thumbnail=lambda: thumbnail,
        inner_thumbnail=lambda: inner,
        unframed_thumbnail=lambda: unframed,
        fine_thumbnail=lambda: take_fine_thumbnail(image),
    )


def original(number: int) -> Image.Image:
    return drawn_head(number) if number % 2 else scene(number, (512, 384))


def found_copies(originals: Sequence[Image.Image]) -> dict[str, int]:
    """How many copies of each alteration are in a group, of the right kind, with their original."""
    found = dict.fromkeys(ALTERATIONS, 0)
    for image in originals:
        known = signature("original", image)
        for name, alter in ALTERATIONS.items():
            groups = group_images([known, signature("copy", alter(image))])
            found[name] += [group.kind for group in groups] == [KINDS.get(name, "near")]
    return found


def false_pairs(signatures: Sequence[Signature]) -> list[tuple[int, int]]:
    """The numbers of the different pictures that the grouping calls the same."""
    groups = group_images(signatures)
    return [(int(group.images[0]), int(name)) for group in groups for name in group.images[1:]]


def tell_copies(kind: str, originals: Sequence[Image.Image]) -> list[str]:
    """The copies found of each alteration, printed, and their ratio lines."""
    lines = []
    for name, found in found_copies(originals).items():
        print(f"{kind}, {name:>16}: {found} of {len(originals)}")
        goal = 0.9 if name.startswith("padded") else 0.95 if name in HARD or kind == "photographs" else 0.98
        lines.append(ratio_line(f"recall, {kind}, {name}", found / len(originals), at_least=goal))
    return lines


def flat_pictures() -> list[Image.Image]:
    """Persons on white that differ in the colour of their shirt, or of their hair, alone."""
    colours = ("red", "darkgreen", "white", "navy", "yellow", "black", "orange", "grey", "pink", "#3355aa")
    pictures = []
    for hair, shirt in [("brown", colour) for colour in colours] + [(colour, "red") for colour in colours]:
        image = Image.new("RGB", (512, 768), "white")
        pen = ImageDraw.Draw(image)
        pen.ellipse((156, 80, 356, 330), fill=hair)
        pen.ellipse((176, 120, 336, 320), fill="#ffe0c0", outline="black")
        pen.rectangle((150, 330, 362, 767), fill=shirt, outline="black")
        for x in (215, 280):
            pen.ellipse((x, 190, x + 22, 220), fill="blue")
        pictures.append(image)
    return pictures


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="12 originals of copies and 300 different pictures")
    quick = parser.parse_args(argv).quick
    altered, count = (12, 300) if quick else (100, 2900)
    print(machine())
    lines = tell_copies("drawings", [original(number) for number in range(altered)])
    photographs = [image for _, image in find_photographs("held_out")][: 12 if quick else None]
    if photographs:
        lines += tell_copies("photographs", photographs)
    sets = {
        "pictures": [original(number) for number in range(count)],
        "photographs": [cut for image in photographs for cut in (image, *halves(image))],
        "flat drawings": flat_pictures(),
    }
    for kind, images in sets.items():
        if not images:
            continue
        signatures = [signature(str(number), image) for number, image in enumerate(images)]
        start = time.process_time()
        false = false_pairs(signatures)
        seconds = time.process_time() - start
        print(f"{len(images)} different {kind}, grouped in {seconds:.1f} CPU s")
        drawn = [(one, other) for one, other in false if one % 2 and other % 2]
        parts = [(kind, signatures, false)]
        if kind == "pictures":
            parts.append(("drawings on white", signatures[1::2], drawn))
        for name, part, wrong in parts:
            hashes = np.array([made.fingerprint.phash for made in part], np.uint64)
            pairs, confused = math.comb(len(part), 2), len(near_pairs(hashes, hashes, HASH_DISTANCE))
            print(f"{pairs:,} pairs of different {name}: {len(wrong)} false; {confused:,} by the hash alone")
            most = 1 if kind == "pictures" else 0
            lines.append(ratio_line(f"false pairs in a million, {name}", len(wrong) / pairs * 1e6, at_most=most))
    print(*lines, sep="\n")


def halves(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """What is above, and what is below."""
    middle = image.height // 2
    return image.crop((0, 0, image.width, middle)), image.crop((0, middle, image.width, image.height))


if __name__ == "__main__":
    main()
