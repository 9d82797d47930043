"""Which image is meant, when the names are another computer's."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from lorasmith.dataset.reading import Item
from lorasmith.images.opening import ImageFacts
from lorasmith.tags.matching import Matcher

NAMES = ("5_a/1.png", "2_b/1.png", "2_b/1.jpg", "2_b/two.words.webp", "Ünïcode.PNG", "5_a/deep/9.png", "x/deep/9.png")


def item(name: str) -> Item:
    path = Path("/home/me/images") / name
    facts = ImageFacts(path, 1, 1, "png", f"{NAMES.index(name):064x}")
    return Item(path, name, facts, None, "", 1)


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("5_a/1.png", ["5_a/1.png"]),
        ("/home/me/images/2_b/1.png", ["2_b/1.png"]),
        ("D:\\sets\\mine\\2_B\\1.PNG", ["2_b/1.png"]),
        ("./5_a/1", ["5_a/1.png"]),
        ("1.jpg", ["2_b/1.jpg"]),
        ("5_a/1.webp", ["5_a/1.png"]),
        ("1.png", ["5_a/1.png", "2_b/1.png"]),
        ("1", ["5_a/1.png", "2_b/1.png", "2_b/1.jpg"]),
        ("two.words", ["2_b/two.words.webp"]),
        ("two.words.png", ["2_b/two.words.webp"]),
        ("two", []),
        (unicodedata.normalize("NFD", "ünïcode.png"), ["Ünïcode.PNG"]),
        ("deep/9", ["5_a/deep/9.png", "x/deep/9.png"]),
        ("y/x/deep/9", ["x/deep/9.png"]),
        ("elsewhere/9.png", ["5_a/deep/9.png", "x/deep/9.png"]),
        (f"{2:064X}", ["2_b/1.jpg"]),
        ("f" * 64, []),
        ("nothing.png", []),
        ("", []),
        ("/", []),
    ],
)
def test_what_a_key_means(key: str, names: list[str]) -> None:
    found, _ = Matcher(map(item, NAMES)).find(key)
    assert [one.name for one in found] == names


def test_the_longer_the_common_path_the_better_it_fits() -> None:
    matcher = Matcher(map(item, NAMES))
    fits = [matcher.find(key)[1] for key in ("other/1.jpg", "2_b/1.jpg", "/home/me/images/2_b/1.jpg", f"{2:064x}")]
    assert fits == sorted(set(fits))
