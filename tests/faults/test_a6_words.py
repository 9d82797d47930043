"""A6: nobody's own words are changed by a guess."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorasmith.dataset.reading import read_dataset
from lorasmith.events import finish
from lorasmith.tags.pipeline import write_captions
from lorasmith.tags.typos import find_suspects, find_typos
from tests.faults.make_dataset import made, make_endings, make_near_words
from tests.faults.projects import project_of


def captions_of(folder: Path, trigger: str) -> dict[str, str]:
    project = project_of(folder, trigger)
    return dict(write_captions(project, finish(read_dataset(project))).captions)


def test_a_word_that_looks_like_the_trigger_stays(tmp_path: Path) -> None:
    """`sky</w>` is a token of CLIP (openai/CLIP, simple_tokenizer.py, bpe_simple_vocab_16e6)."""
    captions = captions_of(made(make_near_words, tmp_path / "C"), "sks")
    assert captions["w0.png"] == "sks, sky, cloud"


@pytest.mark.parametrize(("trigger", "word"), [("zky", "sky"), ("cet", "cat"), ("hatz", "hats"), ("traen", "train")])
def test_a_word_of_the_tokenizer_is_no_typo(trigger: str, word: str) -> None:
    assert not find_typos(trigger, [{trigger}] * 5 + [{word}])


def test_what_stands_often_or_in_other_tags_is_only_told() -> None:
    often = [{"zbkq"}] * 5 + [{"zbkw"}] * 3
    assert not find_typos("zbkq", often)
    assert find_suspects("zbkq", often) == {"zbkw": 3}
    assert not find_typos("zbkq", [{"zbkq"}] * 5 + [{"zbkw"}, {"blue zbkw"}])
    assert find_typos("zbkq", [{"zbkq"}] * 5 + [{"zbkw"}]) == {"zbkw": 1}


def test_words_that_end_in_other_words_do_not_imply_them(tmp_path: Path) -> None:
    """Words that end alike imply nothing: a hot dog is no dog, a baseball bat is its own tag."""
    captions = captions_of(made(make_endings, tmp_path / "D"), "zbk")
    assert captions == {
        "0.png": "zbk, 1boy, hot dog, dog",
        "1.png": "zbk, mouse, computer mouse",
        "2.png": "zbk, bat, baseball bat",
    }


@pytest.mark.parametrize(
    "tags",
    ["star fish, fish", "sea horse, horse", "pine apple, apple", "fire fly, fly", "polar bear, bear", "cup cake, cake",
     "butter fly, fly", "toy car, car", "paper plane, plane", "traffic light, light", "teddy bear, bear"],
)  # fmt: skip
def test_no_common_ending_implies(tags: str, tmp_path: Path) -> None:
    folder = made(make_endings, tmp_path / "D")
    (folder / "0.txt").write_text(tags)
    assert captions_of(folder, "zbk")["0.png"] == f"zbk, {tags}"


def test_listed_implications_go(tmp_path: Path) -> None:
    folder = made(make_endings, tmp_path / "D")
    (folder / "0.txt").write_text("very long hair, long hair, witch hat, hat, red shirt, shirt, cat ears, animal ears")
    assert captions_of(folder, "zbk")["0.png"] == "zbk, very long hair, witch hat, red shirt, cat ears"
