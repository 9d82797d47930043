"""How many altered copies are found, and how many different pictures are called the same.

Half of the pictures are drawn heads on white, which hashes alone confuse, half are scenes. Each altered copy is put
beside its original; false pairs are counted among all pairs of different originals, by the way that grouping goes:
a near hash, then the second look. Beside it: what the hashes alone would have called the same.

Run: python -m benchmarks.recall [--quick]
"""

from __future__ import annotations

import argparse
import io
import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from benchmarks.drawings import drawn_head, scene
from benchmarks.timing import machine, ratio_line
from lorasmith.dataset.grouping import near_pairs
from lorasmith.dataset.likeness import Portrait, group_images
from lorasmith.images.fingerprints import HASH_DISTANCE, WHOLE, take_fingerprint
from lorasmith.images.looks import take_fine_look, take_inner_look, take_look

Alteration = Callable[[Image.Image], Image.Image]


def recompressed(image: Image.Image) -> Image.Image:
    store = io.BytesIO()
    image.save(store, "JPEG", quality=40)
    return Image.open(store).convert("RGB")


def padded(image: Image.Image, colour: str = "black") -> Image.Image:
    sheet = Image.new("RGB", (image.width * 5 // 4, image.height * 9 // 8), colour)
    sheet.paste(image, (image.width // 8, image.height // 16))
    return sheet


ALTERATIONS: Mapping[str, Alteration] = {
    "JPEG 40": recompressed,
    "half size": lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC),
    "grey": lambda image: ImageOps.grayscale(image).convert("RGB"),
    "overlay": lambda image: Image.blend(image, Image.new("RGB", image.size, (200, 90, 30)), 0.35),
    "blur, sigma 6": lambda image: image.filter(ImageFilter.GaussianBlur(6)),
    "mirrored": ImageOps.mirror,
    "padded": padded,
    "padded in white": lambda image: padded(image, "white"),
    "padded, JPEG 40": lambda image: recompressed(padded(image)),
}
KINDS = {"mirrored": "mirrored", **{name: "padded" for name in ALTERATIONS if name.startswith("padded")}}


def portrait(name: str, image: Image.Image) -> Portrait:
    look, made = take_look(image), take_fingerprint(image)
    inner, unframed = (take_inner_look(image, borders) if made.box != WHOLE else look for borders in (made.borders, 1))
    pixels = image.width * image.height
    return Portrait(
        name,
        name,
        pixels,
        size=0,
        lossless=False,
        captioned=False,
        fingerprint=made,
        look=lambda: look,
        inner_look=lambda: inner,
        unframed_look=lambda: unframed,
        fine_look=lambda: take_fine_look(image),
    )


def original(number: int) -> Image.Image:
    return drawn_head(number) if number % 2 else scene(number, (512, 384))


def found_copies(count: int) -> dict[str, int]:
    """How many of `count` copies of each alteration are in a group, of the right kind, with their original."""
    found = dict.fromkeys(ALTERATIONS, 0)
    for number in range(count):
        image = original(number)
        known = portrait("original", image)
        for name, alter in ALTERATIONS.items():
            groups = group_images([known, portrait("copy", alter(image))])
            found[name] += [group.kind for group in groups] == [KINDS.get(name, "near")]
    return found


def false_pairs(portraits: Sequence[Portrait]) -> list[tuple[int, int]]:
    """The numbers of the different pictures that the grouping calls the same."""
    groups = group_images(portraits)
    return [(int(group.images[0]), int(name)) for group in groups for name in group.images[1:]]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 originals of copies and 300 different pictures")
    quick = parser.parse_args(argv).quick
    altered, count = (20, 300) if quick else (100, 2900)
    print(machine())
    lines = []
    for name, found in found_copies(altered).items():
        print(f"{name:>14}: {found} of {altered}")
        goal = 0.9 if name.startswith("padded") else 0.99
        lines.append(ratio_line(f"recall, {name}", found / altered, at_least=goal))
    portraits = [portrait(str(number), original(number)) for number in range(count)]
    start = time.process_time()
    false = false_pairs(portraits)
    seconds = time.process_time() - start
    print(f"{count} different pictures, half of them drawings on white, grouped in {seconds:.1f} CPU s")
    drawn = [(one, other) for one, other in false if one % 2 and other % 2]
    for kind, part, wrong in (("pictures", portraits, false), ("drawings on white", portraits[1::2], drawn)):
        hashes = np.array([made.fingerprint.phash for made in part], np.uint64)
        pairs, confused = math.comb(len(part), 2), len(near_pairs(hashes, hashes, HASH_DISTANCE))
        print(f"{pairs:,} pairs of different {kind}: {len(wrong)} false; {confused:,} by the hash alone")
        lines.append(ratio_line(f"false pairs in a million, {kind}", len(wrong) / pairs * 1e6, at_most=1))
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
