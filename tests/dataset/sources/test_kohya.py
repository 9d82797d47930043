"""A dataset file of kohya's trainer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorasmith.errors import DatasetError
from tests.dataset.sources.pieces import Opened
from tests.images.drawings import save_drawings

CONFIG = """
[general]
caption_extension = ".txt"
[[datasets]]
resolution = 512
  [[datasets.subsets]]
  image_dir = "a"
  num_repeats = 5
  class_tokens = "zbk girl"
  caption_prefix = "photo, "
  [[datasets.subsets]]
  image_dir = "b"
  caption_extension = ".caption"
  [[datasets.subsets]]
  image_dir = "reg"
  is_reg = true
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    save_drawings(tmp_path / "a", 2, caption="smile")
    save_drawings(tmp_path / "a" / "deeper", 1, 8)
    save_drawings(tmp_path / "b", 1, 2)
    (tmp_path / "b" / "002.caption").write_text("sad")
    (tmp_path / "b" / "002.txt").write_text("not this one")
    save_drawings(tmp_path / "reg", 1)
    (tmp_path / "c.toml").write_text(CONFIG)
    return tmp_path / "c.toml"


def test_subsets_become_counted_folders(config: Path) -> None:
    opened = Opened(config)
    assert opened.kind == "kohya dataset file"
    texts = {place: data for place, data in opened.files.items() if place.endswith(".txt")}
    assert list(opened.files) == [
        *("5_zbk_girl/000.png", "5_zbk_girl/000.txt", "5_zbk_girl/001.png", "5_zbk_girl/001.txt"),
        *("1_b/002.png", "1_b/002.txt"),
    ]
    assert list(texts.values()) == [b"smile", b"smile", b"sad"]
    assert opened.left_out == {
        "a: caption_prefix": "not taken over; captions are taken as they are.",
        "reg": "regularisation images; not part of what is learnt.",
    }


def test_the_default_caption_extension_is_kohyas(config: Path) -> None:
    config.write_text(CONFIG.replace('caption_extension = ".txt"', ""))
    assert [place for place in Opened(config).files if place.endswith(".txt")] == ["1_b/002.txt"]


def test_json_and_captions_of_a_metadata_file(config: Path) -> None:
    folder = config.parent
    (folder / "meta.json").write_text(
        json.dumps({"/x/000.png": {"tags": "hat", "caption": "a hat"}, "001": {"tags": "b"}})
    )
    table = {
        "datasets": [{"subsets": [{"image_dir": str(folder / "a"), "metadata_file": "meta.json", "num_repeats": 2}]}]
    }
    (folder / "c.json").write_text(json.dumps(table))
    files = Opened(folder / "c.json").files
    assert files["2_a/000.txt"] == b"a hat, hat"
    assert files["2_a/001.txt"] == b"b"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[datasets]\n", "not valid TOML"),
        ("datasts = []", 'did you mean "datasets"'),
        ("datasets = 5", "not a list of tables"),
        ("[[datasets]]\nsubsets = [1]", "not a table"),
        ("[[datasets]]\n[[datasets.subsets]]\n", "image_dir = None"),
        ("[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'gone'\n", 'image_dir = "gone": no such folder'),
        ("[[datasets]]\n[[datasets.subsets]]\nimage_dir = '\\u0000'\n", "no such folder"),
        ("[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'a'\nnum_repeats = 'x'\n", "num_repeats = 'x'"),
        ("[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'a'\nnum_repeats = 0\n", "no images"),
        ("x = " + "[" * 3000, "not valid TOML"),
    ],
)
def test_wrong_files_are_named(config: Path, text: str, message: str) -> None:
    config.write_text(text)
    with pytest.raises(DatasetError) as caught:
        Opened(config)
    assert message in str(caught.value)
    assert "c.toml" in str(caught.value)
