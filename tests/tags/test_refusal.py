"""The refusal: combinations are refused in any spelling, each alone and harmless phrases are not."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from lorasmith.errors import RefusedError
from lorasmith.tags.pipeline import write_captions
from lorasmith.tags.refusal import refuse
from tests.dataset.projects import make_project, read
from tests.images.drawings import save_drawings


@pytest.mark.parametrize(
    "text",
    [
        "child, nude",
        "NUDE, little_girl",
        "ｎｕｄｅ, child",
        "nu\u200bde, child",
        "núde, child",
        "nud\u0435, child",  # a Cyrillic letter
        "(nude:1.2), [schoolgirls]",
        "a sexy 15 year old",
        "sexy, 16-years-old",
        "twelve year old, topless",
        "sexy 17yo",
        "high-school student, lingerie",
        "lolicon",
        "rating:questionable, toddler",
    ],
)
def test_combinations_are_refused(text: str) -> None:
    with pytest.raises(RefusedError, match="the prompt: refused") as caught:
        refuse(text, "the prompt")
    assert caught.value.exit_code == 12


@pytest.mark.parametrize(
    "text",
    [
        "child, smile, playground",
        "nude, 1girl, adult",
        "baby blue background, nude",
        "minor key, naked eye",
        "25 year old, lingerie",
        "middlesex, kidney, teensy, sextant, child",
        "same sex couple with a child",
        "",
    ],
)
def test_all_else_is_not(text: str) -> None:
    refuse(text, "the prompt")


def test_several_texts_are_taken_together() -> None:
    refuse(["child", "smile"], "the prompt")
    with pytest.raises(RefusedError):
        refuse(["child", "smile", "nude"], "the prompt")


def test_a_dataset_is_refused_on_its_raw_tags_and_as_a_whole(tmp_path: Path) -> None:
    project = make_project(tmp_path, '[tags]\nundesired = "nude"\n')
    files = save_drawings(project.root / "images", 2, caption="smile")
    files[0].with_suffix(".txt").write_text("child, nude")
    with pytest.raises(RefusedError, match=r"000\.png"):
        write_captions(project, read(project))
    files[0].with_suffix(".txt").write_text("child")
    assert len(write_captions(project, read(project)).captions) == 2
    files[1].with_suffix(".txt").write_text("nude")
    with pytest.raises(RefusedError):
        write_captions(project, read(project))


def test_the_trigger_and_added_tags_are_looked_at_too(tmp_path: Path) -> None:
    project = make_project(tmp_path, '[tags]\nadd = "nude"\n')
    save_drawings(project.root / "images", 1, caption="child")
    with pytest.raises(RefusedError):
        write_captions(project, read(project))


def refused_words() -> tuple[str, str]:
    """One word of each list."""
    terms = tomllib.loads(files("lorasmith.tags").joinpath("refused.toml").read_text("utf-8"))
    return terms["minor"][0], terms["sexual"][0]


@pytest.mark.parametrize("table", ["add = {1}", "style = {1}", 'images."nothing.png" = {{ add = {1} }}', "core = {1}"])
def test_additions_are_refused_even_where_a_rule_drops_them_again(tmp_path: Path, table: str) -> None:
    one, other = refused_words()
    settings = table.format(None, f'"{other}"')
    project = make_project(tmp_path, f'[tags]\n{settings}\ndescribe = "nothing"\noff = "add, style, images, trigger"\n')
    save_drawings(project.root / "images", 1, caption=one)
    with pytest.raises(RefusedError):
        write_captions(project, read(project))


def test_labels_are_looked_at_like_tags(tmp_path: Path) -> None:
    one, other = refused_words()
    project = make_project(tmp_path)
    save_drawings(project.root / "images", 1, caption=one)
    dataset = read(project)
    labelled = replace(dataset, items=tuple(replace(item, facets=(other,)) for item in dataset.items))
    assert write_captions(project, dataset).captions
    with pytest.raises(RefusedError, match=r"000\.png"):
        write_captions(project, labelled)
