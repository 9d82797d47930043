"""A folder that gallery-dl filled."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.dataset.sources.pieces import Opened
from tests.images.drawings import save_drawings

PAGE: dict[str, Any] = {
    "category": "examplebooru",
    "id": 77,
    "source": "https://example.org/art/77",
    "date": "2023-05-06 07:08:09",
    "license": "CC BY 4.0",
    "user": {"id": 5, "name": "anna"},
}


def fill(folder: Path, known: dict[str, Any], seed: int = 0) -> Path:
    (image,) = save_drawings(folder, 1, seed)
    about = image.with_name(f"{image.name}.json")
    about.write_text(json.dumps(known))
    os.utime(about, (1_700_000_000, 1_700_000_000))
    return image


def test_the_origin_of_every_picture(tmp_path: Path) -> None:
    fill(tmp_path / "examplebooru", PAGE)
    fill(tmp_path / "examplebooru", {"category": "other", "id": 5, "artist": ["b", "c"], "date": 1_600_000_000}, 1)
    save_drawings(tmp_path, 1, 2)
    (tmp_path / "info.json").write_text(json.dumps(PAGE))
    opened = Opened(tmp_path)
    assert opened.kind == "gallery-dl folder"
    first, second = (opened.origins[f"examplebooru/00{n}.png"] for n in (0, 1))
    assert (first.source, first.author, first.licence) == ("https://example.org/art/77", "anna", "CC BY 4.0")
    assert (first.published, first.retrieved) == ("2023-05-06", "2023-11-14")
    assert (second.source, second.author, second.licence) == ("other 5", "b, c", "")
    assert second.published == "2020-09-13"
    assert opened.origins["002.png"].source == f"{tmp_path.name}/002.png"
    assert opened.left_out == {}


def test_its_tag_files_become_captions(tmp_path: Path) -> None:
    image = fill(tmp_path, PAGE)
    image.with_name("000.png.txt").write_text("1girl\nred hair\n\n")
    opened = Opened(tmp_path)
    assert opened.files["000.txt"] == b"1girl, red hair"


@pytest.mark.parametrize(
    "known",
    [
        {"category": "x", "user": {"name": {"name": {"a": 1}}}, "date": "soon", "license": None, "source": ["a"]},
        {"category": "x", "user": [[["deep"]]], "date": 1e300, "license": True, "url": "ftp://x"},
        {"category": "x", "user": "a\x1b[31m\n", "date": -1e18},
    ],
)
def test_metadata_of_any_shape_does_no_harm(tmp_path: Path, known: dict[str, Any]) -> None:
    fill(tmp_path, known)
    origin = Opened(tmp_path).origins["000.png"]
    assert origin.published == ""
    assert origin.source.startswith("x")
    assert origin.author.isprintable()


@pytest.mark.parametrize("text", ["{", "[1]", '{"category": 5}', "[" * 100_000, '{"a": "b"}'])
def test_other_json_is_no_gallery(tmp_path: Path, text: str) -> None:
    fill(tmp_path, PAGE)
    (tmp_path / "000.png.json").write_text(text)
    opened = Opened(tmp_path)
    assert opened.kind == "folder"
    assert list(opened.left_out) == ["000.png.json"]
