"""Fingerprints of JPEG files of about a megapixel, with decoding: ours beside imagehash and pdqhash.

Ours is all that inspection wants of a picture (two hashes, borders and their hash, sharpness, exposure). imagehash
hashes the full decoding; pdqhash a copy of 256 pixels, which is decoded at a reduced scale as ours is.
The limits beside them: nothing but reading the JPEG in grey, at a quarter, which is the scale that sharpness and
borders need, and at an eighth, which is hardly more than unpacking its bits.

Run: python -m benchmarks.fingerprints [--quick]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.drawings import scene
from benchmarks.timing import machine, ratio_line
from lorasmith.images.fingerprints import fingerprint

SIZES = ((1024, 1024), (1152, 896), (896, 1152), (1216, 832))


def peers() -> dict[str, Callable[[Path], object]]:
    """imagehash and pdqhash (the extra bench), those that are installed; the others are named."""
    found: dict[str, Callable[[Path], object]] = {}
    try:
        import imagehash
    except ImportError:
        print('imagehash is not here: pip install -c constraints.txt -e ".[bench]"')
    else:

        def full(file: Path) -> None:
            with Image.open(file) as image:
                imagehash.phash(image)

        found["imagehash"] = full
    try:
        import pdqhash
    except ImportError:
        print('pdqhash is not here: pip install -c constraints.txt -e ".[bench]"')
    else:

        def small(file: Path) -> None:
            with Image.open(file) as image:
                image.draft("RGB", (256, 256))
                pdqhash.compute(np.asarray(image.convert("RGB").resize((256, 256))))

        found["pdqhash"] = small
    return found


def decode(file: Path, parts: int) -> None:
    """Nothing but reading the JPEG, in grey, at one part of its size in so many."""
    with Image.open(file) as image:
        image.draft("L", (image.width // parts, image.height // parts))
        image.load()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="48 files")
    quick = parser.parse_args(argv).quick
    different, count = (12, 48) if quick else (100, 2000)
    others = peers()
    sides: dict[str, Callable[[Path], object]] = {
        "ours": fingerprint,
        **others,
        "decode 1/4": lambda file: decode(file, 4),
        "decode 1/8": lambda file: decode(file, 8),
    }
    seconds = dict.fromkeys(sides, 0.0)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for seed in range(different):
            files.append(Path(folder) / f"{seed}.jpg")
            scene(seed, SIZES[seed % len(SIZES)]).save(files[-1], quality=88)
        size = sum(file.stat().st_size for file in files) / len(files)
        for file in files[: len(SIZES)]:  # a first call loads decoders
            for call in sides.values():
                call(file)
        peaks = []
        for place in range(count):
            file = files[place % different]
            for name, call in sides.items():
                start = time.process_time()
                call(file)
                seconds[name] += time.process_time() - start
            if place in (count // 10, count - 1):
                peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(f"{count} files, {size / 1000:.0f} kB each ({different} different ones)")
    for name, value in seconds.items():
        print(f"{name:>10}: {count / value:.0f} images a CPU second")
    for name in ("decode 1/4", "decode 1/8"):
        limits = ", ".join(f"{seconds[other] / seconds[name]:.2f} for {other}" for other in others)
        print(
            f"with nothing but {name} the ratios would be {limits}; it is {seconds[name] / seconds['ours']:.0%} of ours"
        )
    print(f"memory: {peaks[0]:.0f} MB after a tenth, {peaks[-1]:.0f} MB at the end")
    for name, how in (("imagehash", "imagehash.phash on full decodes"), ("pdqhash", "pdqhash on 256-pixel copies")):
        if name in others:
            print(ratio_line(f"{how} / ours", seconds[name] / seconds["ours"], at_least=3))
    print(ratio_line("memory at the end / after a tenth", peaks[-1] / peaks[0], at_most=1.05))


if __name__ == "__main__":
    main()
