"""A10: the embedded tagger on pictures that are not square is as good as on square ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lorasmith.tags.tagger import open_tagger, prepare
from tests.faults.make_dataset import FRAMES, made, make_frames
from tests.tags.models import make_tagger


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    folder, tagger = made(make_frames, tmp_path_factory.mktemp("N")), open_tagger("doodle")
    pictures = [Image.open(folder / f"{name}.png") for name in FRAMES]
    scores = tagger.scores(pictures)
    return {name: dict(zip(tagger.names, row.tolist(), strict=True)) for name, row in zip(FRAMES, scores, strict=True)}


def likeliest(scores: dict[str, float], ending: str) -> str:
    return max((tag for tag in scores if tag.replace("_", " ").endswith(f" {ending}")), key=lambda tag: scores[tag])


@pytest.mark.parametrize("name", ["tall", "wide", "banner"])
def test_the_background_is_that_of_the_square(found: dict[str, dict[str, float]], name: str) -> None:
    """Of 72 framed pictures of the examples: with white margins 12, with the edge's colour 72 (styles: 41 and 50)."""
    assert likeliest(found[name], "background") == likeliest(found["square"], "background")


def test_other_taggers_keep_their_white_margin() -> None:
    """SmilingWolf/wd-tagger, app.py, prepare_image: pasted on a white square."""
    red = Image.new("RGB", (32, 16), "red")
    assert np.array_equal(prepare(red, 32)[0, 0], (255, 255, 255))
    assert np.array_equal(prepare(red, 32, "edge")[0, 0], (0, 0, 255))


def test_only_the_embedded_tagger_goes_on_at_the_edge(tmp_path: Path) -> None:
    red = Image.new("RGB", (32, 16), "red")
    assert np.array_equal(open_tagger("doodle").prepare(red)[0, 0], (0, 0, 255))
    assert np.array_equal(open_tagger(make_tagger(tmp_path / "t")).prepare(red)[0, 0], (255, 255, 255))
