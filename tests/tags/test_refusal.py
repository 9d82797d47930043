"""The refusal: combinations are refused in any spelling, each alone and harmless phrases are not."""

from __future__ import annotations

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
