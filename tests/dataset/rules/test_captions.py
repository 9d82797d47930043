"""D17: every image has a caption, every caption an image."""

from __future__ import annotations

from pathlib import Path

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.folders import Problem
from lorasmith.dataset.rules.captions import RULE
from tests.dataset.evidences import evidence, picture, pictures


def passing() -> Evidence:
    return evidence(pictures(20, "smile"))


def failing() -> Evidence:
    return evidence([*pictures(20, "smile"), picture("bare.png")])


def test_images_without_caption_or_with_an_empty_one() -> None:
    said = [*pictures(20, "smile"), picture("bare.png"), picture("empty.png", caption="")]
    found = {finding.images: finding.message for finding in RULE.check(evidence(said))}
    assert set(found) == {("bare.png",), ("empty.png",)}
    assert found["empty.png",].startswith("1 of 22 images have an empty caption")


def test_a_folders_words_are_no_tags_but_a_taggers_are() -> None:
    item, _ = picture("x.png", folder="5_red_chair")
    assert list(RULE.check(evidence([(item, "red chair")]))) != []
    assert list(RULE.check(evidence([(item, "red chair, wood")]))) == []


def test_captions_without_an_image() -> None:
    orphans = (Path("images/lonely.txt"), Path("images/b.caption"))
    (finding,) = RULE.check(evidence(pictures(2, "x"), orphans=orphans))
    assert finding.images == ("lonely.txt", "b.caption")


def test_a_caption_that_cannot_be_read_is_said_once() -> None:
    problem = Problem("caption", "bare.png", Path("bare.txt"), "not UTF-8.")
    (finding,) = RULE.check(evidence([*pictures(2, "x"), picture("bare.png")], problems=(problem,)))
    assert "not UTF-8" in finding.message


def test_two_images_with_one_stem() -> None:
    (finding,) = RULE.check(evidence([picture("a.jpg", "x"), picture("a.png", "x"), picture("b/a.png", "x")]))
    assert finding.images == ("a.jpg", "a.png")
