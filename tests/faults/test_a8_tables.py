"""A8: dataset files and tables as the other tools read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorasmith.dataset.create import create_project
from lorasmith.dataset.sources import open_source
from lorasmith.events import finish
from lorasmith.project import SubjectKind
from lorasmith.recipe.recipe import read_recipe
from tests.dataset.sources.pieces import Opened
from tests.faults.make_dataset import made, make_dotless_extension, put


def test_an_extension_without_its_dot_gets_one(tmp_path: Path) -> None:
    """sd-scripts, library/train_util.py, DreamBoothSubset.__init__: "." + caption_extension."""
    folder = made(make_dotless_extension, tmp_path / "F")
    assert Opened(folder / "k.toml").files["1_a/0.txt"] == b"1girl"


def subset(folder: Path, lines: str, more: str = "") -> Path:
    put(folder / "a/0.png", 6, "1girl")
    put(folder / "b/0.png", 7, "1girl")
    file = folder / "k.toml"
    file.write_text(
        f'[general]\ncaption_extension=".txt"\n{lines}\n[[datasets]]\nresolution = 512\n'
        f'[[datasets.subsets]]\nimage_dir="a"\n{more}\n[[datasets.subsets]]\nimage_dir="b"\n'
    )
    return file


def test_what_changes_training_is_taken_over(tmp_path: Path) -> None:
    """sd-scripts, library/config_util.py, ConfigSanitizer.SUBSET_ASCENDABLE_SCHEMA, DO_SUBSET_ASCENDABLE_SCHEMA."""
    file = subset(
        tmp_path / "F",
        "caption_dropout_rate = 0.1\nflip_aug = true\nshuffle_caption = true\nkeep_tokens = 2\n"
        'keep_tokens_separator = "|||"\ncaption_tag_dropout_rate = 0.2\ncaption_dropout_every_n_epochs = 3\n'
        "color_aug = false",
    )
    work = create_project(tmp_path / "p", subject=SubjectKind.CHARACTER, name=None, trigger="zbk", sources=[file])
    recipe = read_recipe(finish(work).project)
    caption = recipe.caption
    assert (caption.dropout, caption.tag_dropout, caption.dropout_every) == (0.1, 0.2, 3)
    assert (caption.shuffle, caption.keep_tokens, caption.keep_separator) == (True, 2, "|||")
    assert recipe.flip
    assert not recipe.augment.colour


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("face_crop_aug_range = [1.0, 2.0]", "a: face_crop_aug_range"),
        ("token_warmup_step = 0.5", "a: token_warmup_step"),
        ('secondary_separator = ";;;"', "a: secondary_separator"),
        ("enable_wildcard = true", "a: enable_wildcard"),
        ('caption_suffix = "x"', "a: caption_suffix"),
        ("flip_augg = true", "a: flip_augg"),
    ],
)
def test_every_other_key_is_named(tmp_path: Path, line: str, named: str) -> None:
    assert named in Opened(subset(tmp_path / "F", line)).left_out


def test_what_differs_between_subsets_is_named(tmp_path: Path) -> None:
    offer = open_source(subset(tmp_path / "F", "", "flip_aug = true"))
    assert offer.settings == {}
    assert "flip_aug" in Opened(tmp_path / "F/k.toml").left_out


def test_what_the_recipe_has_itself_is_said(tmp_path: Path) -> None:
    assert open_source(subset(tmp_path / "F", "")).said == ("Left to [recipe], which has its own: resolution.",)


def test_class_images_of_a_dataset_file(tmp_path: Path) -> None:
    file = subset(tmp_path / "F", "", "")
    file.write_text(file.read_text() + 'is_reg = true\nclass_tokens = "girl"\n')
    work = create_project(tmp_path / "p", subject=SubjectKind.CHARACTER, name=None, trigger="zbk", sources=[file])
    created = finish(work)
    assert (created.ingested.images, created.ingested.class_images) == (1, 1)
    assert read_recipe(created.project).preserve.kind == "images"
    assert (tmp_path / "p/reg/1_girl/0.png").is_file()


def test_an_empty_text_beside_a_full_caption(tmp_path: Path) -> None:
    put(tmp_path / "t/train/0.png", 1)
    row = {"file_name": "train\\0.png", "text": "", "caption": "a red hat"}
    (tmp_path / "t/metadata.jsonl").write_text(json.dumps(row))
    opened = Opened(tmp_path / "t")
    assert opened.files["train/0.txt"] == b"a red hat"
    assert opened.left_out == {}
