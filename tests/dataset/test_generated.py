"""What pictures say of how they were drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL.PngImagePlugin import PngInfo

from lorasmith.dataset.generated import GenerationFacts, list_pictures, parse_drawing, read_drawing
from lorasmith.errors import DatasetError
from tests.images.drawings import draw

TEXT = (
    "zbk, (smile:1.1)\nin the rain <lora:zbk:0.8> <lora:rain>\nNegative prompt: blurry\nlow quality\n"
    'Steps: 12, Sampler: Euler a, CFG scale: 5, Seed: 77, Size: 64x64, Lora hashes: "zbk: abc, rain: def", Model: x'
)


def test_prompt_adapters_and_fields() -> None:
    drawing = parse_drawing(TEXT)
    assert drawing.prompt == "zbk, (smile:1.1)\nin the rain <lora:zbk:0.8> <lora:rain>"
    assert drawing.negative == "blurry\nlow quality"
    assert drawing.adapters == {"zbk": "0.8", "rain": "1"}
    assert drawing.seed == 77
    assert drawing.fields["Lora hashes"] == "zbk: abc, rain: def"
    assert drawing.fields["Sampler"] == "Euler a"


def test_a_prompt_alone() -> None:
    assert parse_drawing("a cat, Mood: good") == GenerationFacts("a cat, Mood: good")
    assert parse_drawing("a\nNegative prompt: b") == GenerationFacts("a", "b")
    assert parse_drawing("a").seed == 0


def test_text_in_a_png(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", TEXT)
    draw(1, (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    draw(1, (8, 8)).save(tmp_path / "b.png")
    (tmp_path / "c.png").write_text("no picture")
    assert read_drawing(tmp_path / "a.png") == parse_drawing(TEXT)
    assert read_drawing(tmp_path / "b.png") is None
    assert read_drawing(tmp_path / "c.png") is None


def test_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "empty").mkdir()
    for name in ("kept/b.png", "kept/a.png", "c.png"):
        draw(1, (8, 8)).save(tmp_path / name)
    (tmp_path / "kept" / "notes.md").write_text("x")
    listed = list_pictures([tmp_path / "c.png", tmp_path / "kept", tmp_path / "kept" / "a.png"])
    assert [path.name for path in listed] == ["c.png", "a.png", "b.png"]
    for wrong, message in (("empty", "no pictures"), ("none.png", "no such"), ("kept/notes.md", "not a picture")):
        with pytest.raises(DatasetError, match=message):
            list_pictures([tmp_path / wrong])
