"""Grouping: exact in the hashes, stars around the best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image, ImageOps

from lorasmith.dataset.evidence import Group
from lorasmith.dataset.likeness import Portrait, group_images, near_pairs
from lorasmith.images.fingerprints import Fingerprint, Look, hash_both_ways
from tests.images.drawings import draw


def portrait(name: str, image: Image.Image, *, sha256: str | None = None) -> Portrait:
    phash, mirrored = hash_both_ways(image.convert("L"))

    def give() -> Look:
        return np.asarray(image.resize((64, 64), Image.Resampling.BOX))

    pixels = image.width * image.height
    return Portrait(name, sha256 or name, pixels, 1000, False, False, Fingerprint(phash, mirrored, 0.01), give)


def test_pairs_against_the_obvious_loop() -> None:
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, 300, dtype=np.uint64)
    for place in range(0, 300, 10):  # planted neighbours, up to nine bits away
        hashes[place + 1] = hashes[place] ^ np.uint64(sum(1 << (7 * bit) for bit in range(place // 30)))
    values = [int(value) for value in hashes]
    expected = {(i, j) for i in range(300) for j in range(i + 1, 300) if (values[i] ^ values[j]).bit_count() <= 8}
    assert len(expected) >= 27
    assert set(near_pairs(hashes, hashes, 8)) == expected


def test_copies_are_grouped_by_what_they_are() -> None:
    image = draw(1)
    portraits = [
        portrait("b.png", image, sha256="one"),
        portrait("a.png", image, sha256="one"),
        portrait("small.png", image.resize((128, 128))),
        portrait("mirror.png", ImageOps.mirror(image)),
        portrait("other.png", draw(2)),
    ]
    assert set(group_images(portraits)) == {
        Group("same", ("a.png", "b.png")),
        Group("near", ("a.png", "small.png")),
        Group("mirrored", ("a.png", "mirror.png")),
    }


def test_the_best_has_most_pixels_then_least_blur_then_no_loss_then_size() -> None:
    image = draw(1)
    plain = portrait("m.png", image)
    better: list[Callable[[Portrait], Portrait]] = [
        lambda p: replace(p, name="z.png", sha256="z", pixels=p.pixels + 1, size=1),
        lambda p: replace(p, name="z.png", sha256="z", fingerprint=replace(p.fingerprint, blur=0.0), size=1),
        lambda p: replace(p, name="z.png", sha256="z", lossless=True, size=1),
        lambda p: replace(p, name="z.png", sha256="z", size=p.size + 1),
        lambda p: replace(p, name="z.png", captioned=True),
        lambda p: replace(p, name="a.png"),
    ]
    for make in better:
        winner = make(plain)
        (group,) = group_images([plain, winner])
        assert group.keep == winner.name


def test_different_drawings_are_no_group() -> None:
    assert group_images([portrait(str(seed), draw(seed)) for seed in range(60)]) == ()


def test_clones_of_a_lesser_copy_follow_it_into_the_group() -> None:
    image = draw(1)
    small = image.resize((128, 128))
    portraits = [portrait("big", image), portrait("s1", small, sha256="s"), portrait("s2", small, sha256="s")]
    assert group_images(portraits) == (Group("near", ("big", "s1", "s2")),)
