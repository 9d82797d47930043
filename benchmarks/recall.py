"""How many altered copies are found, and how many different pictures are called the same.

Half of the pictures are drawn heads on white, which hashes alone confuse, half are scenes. Each altered copy is put
beside its original; false pairs are counted among all pairs of different originals, by the way that grouping goes:
a near hash, then the second look. Beside it: what the hashes alone would have called the same.

Run: python -m benchmarks.recall [--quick]
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Mapping, Sequence

from PIL import Image, ImageFilter, ImageOps

from benchmarks.drawings import drawn_head, scene
from benchmarks.timing import machine, ratio_line
from lorasmith.dataset.likeness import Portrait, group_images
from lorasmith.images.fingerprints import take_fingerprint
from lorasmith.images.looks import take_inner_look, take_look

Alteration = Callable[[Image.Image], Image.Image]


def recompressed(image: Image.Image) -> Image.Image:
    store = io.BytesIO()
    image.save(store, "JPEG", quality=40)
    return Image.open(store).convert("RGB")


def padded(image: Image.Image) -> Image.Image:
    sheet = Image.new("RGB", (image.width * 5 // 4, image.height * 9 // 8), "black")
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
}
KINDS = {"mirrored": "mirrored", "padded": "padded"}


def portrait(name: str, image: Image.Image) -> Portrait:
    look, made = take_look(image), take_fingerprint(image)
    inner = take_inner_look(image) if made.box != (0, 0, 1, 1) else look
    return Portrait(name, name, image.width * image.height, 0, False, False, made, lambda: look, lambda: inner)


def original(number: int) -> Image.Image:
    return drawn_head(number) if number % 2 else scene(number, (512, 384))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer pictures")
    quick = parser.parse_args(argv).quick
    altered, count = (10, 60) if quick else (200, 3000)
    print(machine())
    lines = []
    for name, alter in ALTERATIONS.items():
        found = 0
        for number in range(altered):
            image = original(number)
            groups = group_images([portrait("original", image), portrait("copy", alter(image))])
            found += any(group.kind == KINDS.get(name, "near") for group in groups)
        print(f"{name:>14}: {found} of {altered}")
        lines.append(ratio_line(f"recall, {name}", found / altered, at_least=0.9 if name == "padded" else 0.99))
    portraits = [portrait(str(number), original(number)) for number in range(count)]
    groups = group_images(portraits)
    pairs = count * (count - 1) // 2
    false = sum(len(group.images) - 1 for group in groups)
    prints = [made.fingerprint.phash for made in portraits]
    confused = sum((one ^ other).bit_count() <= 8 for place, one in enumerate(prints) for other in prints[:place])
    print(f"{pairs:,} different pairs: {false} false; {confused} by the hash alone")
    print(*lines, sep="\n")
    print(ratio_line("false pairs in a million", false / pairs * 1e6, at_most=1))


if __name__ == "__main__":
    main()
