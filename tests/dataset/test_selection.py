"""Images by what a person types."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorasmith.dataset.decisions import Decision, record
from lorasmith.dataset.reading import Dataset
from lorasmith.dataset.selection import select_images
from lorasmith.errors import UsageError
from tests.dataset.projects import make_project, read
from tests.images.drawings import draw


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    project = make_project(tmp_path)
    for number, name in enumerate(("5_main/a.png", "5_main/b.png", "2_side/a.png", "2_side/[x].png", "2_side/c.d.png")):
        file = project.root / "images" / name
        file.parent.mkdir(exist_ok=True)
        draw(number, (40, 40)).save(file)
    rejected = next(item for item in read(project).items if item.name == "5_main/b.png")
    record(project, [Decision(rejected.facts.sha256, "reject")])
    return read(project)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (["5_main/a.png"], ["5_main/a.png"]),
        (["b.png"], ["5_main/b.png"]),
        (["b"], ["5_main/b.png"]),
        (["c.d"], ["2_side/c.d.png"]),
        (["images/2_side/a.png"], None),
        (["./5_main/a.png"], ["5_main/a.png"]),
        (["2_side/[x].png"], ["2_side/[x].png"]),
        (["2_side/*"], ["2_side/[x].png", "2_side/a.png", "2_side/c.d.png"]),
        (["a.*"], ["2_side/a.png", "5_main/a.png"]),
        (["b.png", "?.png"], ["5_main/b.png", "2_side/a.png", "5_main/a.png"]),
        ([], []),
    ],
)
def test_names_ends_and_patterns(dataset: Dataset, wanted: list[str], names: list[str] | None) -> None:
    if names is None:
        with pytest.raises(UsageError):
            select_images(dataset, wanted)
        return
    assert [item.name for item in select_images(dataset, wanted)] == names


def test_a_path_on_disk(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dataset.items[0].path
    assert select_images(dataset, [str(path)]) == (dataset.items[0],)
    monkeypatch.chdir(path.parent.parent.parent)
    assert select_images(dataset, [f"images/{dataset.items[0].name}"]) == (dataset.items[0],)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("a.png", r"the end of 2 images: 2_side/a.png, 5_main/a.png"),
        ("5_mian/a.png", "Did you mean 5_main/a.png"),
        ("c.e.png", "Did you mean 2_side/c.d.png"),
        ("2_side", r'That is a folder; its images are "2_side/\*"'),
        ("zzzzzz", "Names look like"),
        ("9_*", 'no image matches "9_'),
        ("\0", "no image"),
    ],
)
def test_what_names_no_image_says_what_would(dataset: Dataset, wanted: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        select_images(dataset, [wanted])
