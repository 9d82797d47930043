"""What a picture costs on its way through `inspect` and `tag`, and what a hundred million would: processor time of one
core, bytes of the process that asks, comparisons of hashes. The figures of docs/scale.md.

Run: python -m benchmarks.scale [--quick]
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drawings import scene
from benchmarks.timing import machine, ratio_line
from lorasmith.dataset import grouping
from lorasmith.dataset.cropped_copies import open_keypoints
from lorasmith.dataset.facts import open_facts
from lorasmith.dataset.fingerprinting import open_fingerprints, take_signatures
from lorasmith.dataset.index import open_index
from lorasmith.dataset.reading import read_dataset
from lorasmith.events import finish
from lorasmith.images.fingerprints import HASH_DISTANCE, INNER_DISTANCE
from lorasmith.images.keypoints import can_see, place_both_ways, unpack
from lorasmith.project import open_project
from lorasmith.tags.tagger import open_tagger
from lorasmith.tags.tagging import TaggerHandle, open_look

MANY = 10**8
HOURS = 3600
SEARCHES = (("wholes", HASH_DISTANCE, True), ("mirrored", HASH_DISTANCE, False), ("brighter", INNER_DISTANCE, False))
"""What an inspection looks for: hashes near each other, near mirror images, and near brighter ones, these both ways
round."""


def cost_of(work: Callable[[Any], object], items: Sequence[Any]) -> float:
    """Seconds of one core for an item, the first one apart."""
    work(items[0])
    began = time.process_time()
    for item in items:
        work(item)
    return (time.process_time() - began) / len(items)


def measure_images(folder: Path, count: int) -> dict[str, float]:
    """Seconds an image, or a pair of them, by what is done."""
    files = [folder / f"{number}.jpg" for number in range(count)]
    for number, file in enumerate(files):
        scene(number, (1024, 1024)).save(file, quality=90)
    size = sum(file.stat().st_size for file in files) / count
    print(f"{count} JPEGs of 1024 x 1024, {size / 1000:.0f} kB each")
    places = [(file, None) for file in files]
    costs = {"facts": cost_of(open_facts(), places), "fingerprint": cost_of(open_fingerprints(), places)}
    if can_see():
        take = open_keypoints()
        costs["keypoints"] = cost_of(take, places)
        packed = [take(place) for place in places]
        print(f"keypoints kept: {sum(map(len, packed)) / count / 1000:.1f} kB an image")
        found = [unpack(each) for each in packed]
        costs["comparing a pair's keypoints"] = cost_of(lambda pair: place_both_ways(*pair), [*pairwise(found)])
    look = open_look(TaggerHandle(open_tagger("doodle")))
    batches = [places[start : start + 8] for start in range(0, count - 7, 8)]
    costs["the embedded tagger"] = cost_of(look, batches) / 8
    return costs


def measure_asking(folder: Path, count: int) -> float:
    """Bytes that the process that asks holds for an image, once it has all facts and fingerprints."""
    (folder / "images").mkdir()
    (folder / "lora.toml").write_text('[lora]\nname = "zbk"\nsubject = "character"\ntrigger = "zbk"\n', "utf-8")
    for number in range(2 * count):
        file = folder / "images" / f"{number:05}.jpg"
        scene(number % 40, (64, 64)).save(file, quality=90)
        file.with_suffix(".txt").write_text("zbk, smile, white background", "utf-8")

    def hold() -> int:
        dataset = finish(read_dataset(open_project(folder)))
        with open_index(folder / ".lorasmith") as index:
            signatures = finish(take_signatures(index, dataset))
            held, _ = tracemalloc.get_traced_memory()
        assert len(signatures) == len(dataset.items)
        return held

    hold()  # everything is in the index, and imported
    tracemalloc.start()
    whole = hold()
    for number in range(count, 2 * count):
        (folder / "images" / f"{number:05}.jpg").unlink()
    tracemalloc.stop()
    tracemalloc.start()
    half = hold()
    tracemalloc.stop()
    return (whole - half) / count


def comparisons(count: float, distance: int, itself: bool) -> float:
    """So many are expected where hashes are even: in each block, for each mask, a share 1 / 2^width of all pairs; half
    of them where a pair would show itself from both sides."""
    blocks = max(grouping._LEAST_BLOCKS, distance // (grouping._RADIUS + 1) + 1)
    total = 0.0
    for block in range(blocks):
        width = len(range(block, 64, blocks))
        masks = 1 + width + width * (width - 1) // 2
        total += ((masks - 1) / 2 + 1 if itself else masks) * count**2 / 2**width
    return total


def measure_pairs(count: int) -> tuple[float, float]:
    """Seconds of one core a comparison, and the comparisons that were made over those that are expected."""
    chance = np.random.default_rng(0)
    hashes, others = (chance.integers(0, 2**64, count, np.uint64) for _ in range(2))
    made = 0
    expand = grouping._expand

    def counted(*given: Any) -> Iterator[Any]:
        nonlocal made
        for one, other in expand(*given):
            made += len(one)
            yield one, other

    grouping._expand = counted
    began = time.process_time()
    try:
        for _, distance, itself in SEARCHES:
            grouping.near_pairs(hashes, hashes if itself else others, distance)
    finally:
        grouping._expand = expand
    seconds = time.process_time() - began
    expected = sum(comparisons(count, distance, itself) for _, distance, itself in SEARCHES)
    print(f"{count} even hashes: {made:.3g} comparisons and {3 * count:.3g} sorted in {seconds:.1f} s")
    return seconds / made, made / expected


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few images and hashes")
    quick = parser.parse_args(argv).quick
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        costs = measure_images(Path(folder), 16 if quick else 48)
    for what, seconds in costs.items():
        print(f"{what}: {seconds * 1000:.2f} ms of a core; of {MANY:.0e}: {seconds * MANY / HOURS:.0f} hours")
    with tempfile.TemporaryDirectory() as folder:
        held = measure_asking(Path(folder), 40 if quick else 400)
    print(f"the process that asks holds {held:.0f} bytes an image; of {MANY:.0e}: {held * MANY / 1e9:.0f} GB")
    each, share = measure_pairs(20_000 if quick else 200_000)
    total = sum(comparisons(MANY, distance, itself) for _, distance, itself in (*SEARCHES, SEARCHES[-1]))
    hours = total * each / HOURS
    print(f"pairs of {MANY:.0e}: {total:.2g} comparisons of {each * 1e9:.1f} ns: {hours:.0f} hours of a core")
    print(ratio_line("comparisons made / expected", share, at_most=1.1))
    print(ratio_line("kilobytes of the process that asks for an image", held / 1000, at_most=10))


if __name__ == "__main__":
    main()
