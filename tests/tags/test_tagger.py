"""The taggers' contract: the input of both layouts, raw tags stored with scores, work that can be interrupted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lorasmith.tags.tagger as module
from lorasmith.dataset.decisions import Decision, record
from lorasmith.errors import BaseError, DatasetError
from lorasmith.events import Note, Progress, finish
from lorasmith.tags import tagging
from lorasmith.tags.categories import CHARACTER, GENERAL, QUALITY, RATING
from lorasmith.tags.pipeline import write_captions
from lorasmith.tags.raw import read_raw_tags
from lorasmith.tags.store import read_stored, read_vocabulary
from lorasmith.tags.tagger import Tagger, open_tagger, prepare
from lorasmith.tags.tagging import tag_images
from tests.dataset.projects import make_project, read
from tests.images.drawings import save_drawings
from tests.tags.models import CATEGORIES, MAPPING, NAMES, make_mapped_tagger, make_tagger


def test_input_is_a_white_square_in_bgr() -> None:
    wide = Image.new("RGB", (8, 4), (255, 0, 10))
    pixels = prepare(wide, 8)
    assert pixels.shape == (8, 8, 3)
    assert pixels.dtype == np.float32
    assert pixels[0, 0].tolist() == [255, 255, 255], "padded above"
    assert pixels[4, 4].tolist() == [10, 0, 255], "blue first, 0 to 255"
    assert prepare(wide, 4).shape == (4, 4, 3)


@pytest.mark.parametrize("batch", ["batch", 1, 4])
def test_scores_for_any_batch_of_the_graph(tmp_path: Path, batch: int | str) -> None:
    tagger = open_tagger(make_tagger(tmp_path / "colours", batch))
    pictures = [Image.new("RGB", (20, 20), (red, 0, 51)) for red in (0, 102, 255, 51, 204)]
    scores = tagger.scores(pictures)
    assert tagger.names == NAMES
    assert tagger.categories == CATEGORIES
    assert scores.shape == (5, 5)
    assert scores[:, 4] == pytest.approx([0, 0.4, 1, 0.2, 0.8], abs=1e-5)
    assert scores[:, 2] == pytest.approx([0.2] * 5, abs=1e-5)
    assert tagger.scores([]).shape == (0, 5)


@pytest.mark.parametrize("model", ["model_optimized.onnx", "model.onnx"])
def test_a_mapped_model_gets_channels_first_and_gives_logits(tmp_path: Path, model: str) -> None:
    tagger = open_tagger(make_mapped_tagger(tmp_path / "mapped", model=model))
    assert tagger.names == ("general", "mostly_blue", "somebody", "best quality")
    assert tagger.categories == (RATING, GENERAL, CHARACTER, QUALITY)
    scores = tagger.scores([Image.new("RGB", (20, 20), (0, 0, 255)), Image.new("RGB", (20, 20), (255, 0, 0))])
    assert scores[:, 1] == pytest.approx([1, 0], abs=1e-3), "blue is the first channel"
    assert scores[:, 2] == pytest.approx([0, 1], abs=1e-3)
    assert scores[:, (0, 3)] == pytest.approx(0.5), "a logit of 0"


def test_the_other_spelling_of_a_mapping(tmp_path: Path) -> None:
    kinds = {entry["tag"]: entry["category"] for entry in MAPPING.values()}
    mapping = {"idx_to_tag": {key: entry["tag"] for key, entry in MAPPING.items()}, "tag_to_category": kinds}
    tagger = open_tagger(make_mapped_tagger(tmp_path / "mapped", mapping))
    assert tagger.names == ("general", "mostly_blue", "somebody", "best quality")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ([], "not a tag list"),
        ({}, "an empty tag list"),
        ({"0": {"tag": "a", "category": "Colour"}}, "not a tag list"),
        ({"0": {"tag": 5, "category": "General"}}, "not a tag list"),
        ({"zero": {"tag": "a", "category": "General"}}, "not a tag list"),
        ({"-1": {"tag": "a", "category": "General"}}, "negative"),
        ({"1": {"tag": "a", "category": "General"}, "01": {"tag": "b", "category": "General"}}, "twice"),
        ({"7": {"tag": "a", "category": "General"}}, "1 tags for 5 scores"),
    ],
)
def test_a_wrong_mapping_is_named(tmp_path: Path, mapping: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        open_tagger(make_mapped_tagger(tmp_path / "mapped", mapping))


def test_a_mapping_nested_too_deeply(tmp_path: Path) -> None:
    folder = make_mapped_tagger(tmp_path / "mapped")
    (folder / "tag_mapping.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(DatasetError, match="not a tag list"):
        open_tagger(folder)


def test_every_image_is_tagged_and_only_once(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    images = project.root / "images"
    save_drawings(images, 1, caption="my own words")
    Image.new("RGB", (30, 20), (255, 30, 0)).save(images / "red.png")
    (images / "copy.png").write_bytes((images / "red.png").read_bytes())
    tagger = open_tagger(make_tagger(tmp_path / "colours"))
    dataset = read(project)
    assert finish(tag_images(project, dataset, tagger)) == 2, "a copy is the same picture"
    assert finish(tag_images(project, dataset, tagger)) == 0
    assert finish(tag_images(project, dataset, tagger, again=True)) == 2
    red = next(item for item in dataset.items if item.name == "red.png")
    (stored,) = read_stored(project)[red.facts.sha256]
    assert stored.tagger == tagger.identity
    assert stored.tagger.startswith("colours ")
    assert stored.tags[0].name == "mostly_red"
    assert stored.tags[0].score == pytest.approx(1.0, abs=0.01), "the padding is white"
    assert read_vocabulary(project) == dict(zip(NAMES, CATEGORIES, strict=True))
    captions = write_captions(project, dataset).captions
    assert captions["000.png"] == "zbk, my own words"
    assert captions["red.png"] == "zbk, mostly red, mostly green"


def test_of_a_cropped_image_the_part_is_tagged(tmp_path: Path) -> None:
    """What the trainer sees; the whole's tags serve until then, and the refusal sees both."""
    project = make_project(tmp_path / "project")
    file = project.root / "images" / "two.png"
    sheet = Image.new("RGB", (80, 40), (255, 20, 10))
    sheet.paste((10, 20, 255), (40, 0, 80, 40))
    sheet.save(file)
    tagger, whole = open_tagger(make_tagger(tmp_path / "colours")), read(project)
    finish(tag_images(project, whole, tagger))
    sha256 = whole.items[0].facts.sha256
    record(project, [Decision(sha256, "crop", (40, 0, 80, 40))])
    dataset = read(project)
    before = read_raw_tags(project, dataset)["two.png"]
    assert set(before.tags) == {"mostly_red", "mostly_blue", "mostly_green"}
    assert finish(tag_images(project, dataset, tagger)) == 1, "another part is another image"
    assert finish(tag_images(project, dataset, tagger)) == 0
    after = read_raw_tags(project, dataset)["two.png"]
    assert after.tags == ("mostly_blue",)
    assert "mostly_red" in after.ratings
    record(project, [Decision(sha256, "crop", None)])
    assert read_raw_tags(project, read(project))["two.png"].tags == before.tags


def test_what_was_done_is_kept_when_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tagging, "_BATCH", 2)
    project = make_project(tmp_path / "project")
    save_drawings(project.root / "images", 5)
    tagger = open_tagger(make_tagger(tmp_path / "colours"))
    dataset = read(project)
    work = tag_images(project, dataset, tagger)
    event = next(work)
    assert isinstance(event, Progress)
    assert (event.done, event.total) == (2, 5)
    assert event.eta is not None
    with pytest.raises(KeyboardInterrupt):
        work.throw(KeyboardInterrupt())
    assert len(read_stored(project)) == 2
    assert finish(tag_images(project, dataset, tagger)) == 3


class _Session:
    """A model that gives what it is told to give."""

    def __init__(self, given: Any) -> None:
        self._given = given

    def run(self, names: object, feed: dict[str, Any]) -> list[Any]:
        del names
        (batch,) = feed.values()
        return [self._given(batch)]


def tagger_that_gives(folder: Path, given: Any) -> Tagger:
    tagger = open_tagger(make_tagger(folder))
    tagger._session = _Session(given)
    return tagger


def test_an_image_without_numbers_is_named_and_passed_over(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    save_drawings(project.root / "images", 3)
    dataset = read(project)

    def second_is_nan(batch: Any) -> Any:
        scores = np.full((len(batch), 5), 0.5, np.float32)
        scores[1, 3] = np.nan
        return scores

    seen: list[Any] = []
    tagger = tagger_that_gives(tmp_path / "colours", second_is_nan)
    assert finish(tag_images(project, dataset, tagger), seen.append) == 2
    (note,) = [event for event in seen if isinstance(event, Note)]
    assert note.message == "001.png: not tagged: the tagger gives no numbers for it."
    assert dataset.items[1].facts.sha256 not in read_stored(project)


def test_an_image_that_went_away_is_named_and_passed_over(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    files = save_drawings(project.root / "images", 2)
    dataset = read(project)
    files[0].unlink()
    seen: list[Any] = []
    assert finish(tag_images(project, dataset, open_tagger(make_tagger(tmp_path / "t"))), seen.append) == 1
    assert [event.message for event in seen if isinstance(event, Note)] == ["000.png: not tagged: no such file."]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda batch: np.zeros((len(batch), 4), np.float32), r"shape \(1, 4\) for 1 images and 5 tags"),
        (lambda batch: np.zeros((len(batch) + 1, 5), np.float32), r"shape \(2, 5\)"),
        (lambda batch: np.zeros(len(batch), np.float32), r"shape \(1,\)"),
        (lambda batch: np.full((len(batch), 5), -3, np.float32), r"outside of 0\.\.1"),
    ],
)
def test_scores_that_are_none_are_refused(tmp_path: Path, given: Any, message: str) -> None:
    tagger = tagger_that_gives(tmp_path / "colours", given)
    with pytest.raises(DatasetError, match=message):
        tagger.scores([Image.new("RGB", (8, 8))])


def test_a_model_that_fails_is_one_clear_error(tmp_path: Path) -> None:
    def fail(batch: Any) -> Any:
        raise RuntimeError(f"no memory for {len(batch)}\nand a long story")

    tagger = tagger_that_gives(tmp_path / "colours", fail)
    with pytest.raises(DatasetError, match=r"this tagger fails: no memory for 1$"):
        tagger.scores([Image.new("RGB", (8, 8))])


def test_what_is_no_tagger_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        open_tagger(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"no model\.onnx"):
        open_tagger(tmp_path)
    folder = make_tagger(tmp_path / "colours")
    tags = folder / "selected_tags.csv"
    whole = tags.read_text()
    tags.write_text(whole + "9,one_too_many,0,1\n")
    with pytest.raises(DatasetError, match="6 tags for 5 scores"):
        open_tagger(folder)
    tags.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    with pytest.raises(DatasetError, match="4 tags for 5 scores"):
        open_tagger(folder)
    for wrong in ("some,other,table\n1,2,3\n", "tag_id,name,category\n1,a\n", "tag_id,name,category\n1,a,b\n"):
        tags.write_text(wrong)
        with pytest.raises(DatasetError, match="not a tag list"):
            open_tagger(folder)
    tags.write_bytes(b"tag_id,name,category,count\n1,\xff,0,1\n")
    with pytest.raises(DatasetError, match="not a tag list"):
        open_tagger(folder)
    tags.write_text("tag_id,name,category,count\n")
    with pytest.raises(DatasetError, match="an empty tag list"):
        open_tagger(folder)
    with tags.open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(DatasetError, match="larger than 64 MB"):
        open_tagger(folder)
    tags.write_text(whole)
    (folder / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(DatasetError, match="cannot be loaded"):
        open_tagger(folder)


def test_a_model_with_other_channels_is_refused(tmp_path: Path) -> None:
    folder = make_mapped_tagger(tmp_path / "mixed", model="model.onnx")
    (folder / "tag_mapping.json").unlink()
    (folder / "selected_tags.csv").write_text("tag_id,name,category,count\n1,a,0,1\n")
    with pytest.raises(DatasetError, match=r"not \(batch, height, width, 3\)"):
        open_tagger(folder)


def test_the_embedded_tagger_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "files", lambda package: tmp_path / package)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BaseError, match="embedded tagger is missing"):
        open_tagger("doodle")
    make_tagger(tmp_path / "lorasmith" / "bases" / "doodle" / "tagger")
    assert open_tagger("doodle").identity.startswith("doodle ")
    make_tagger(tmp_path / "doodle", side=8)
    assert open_tagger("doodle").identity.startswith("doodle "), "what is shipped goes first"
    assert open_tagger("doodle").side != 8
    assert open_tagger("./doodle").side == 8, "a folder of that name is meant so"


def test_a_name_that_is_neither_folder_nor_hub_id(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        open_tagger(str(tmp_path / "no" / "such"))
    with pytest.raises(DatasetError, match="no such folder"):
        open_tagger("some name")


def test_a_hub_id_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_tagger(tmp_path / "snapshot")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "fetch_tagger", {"owner/tagger-v3": folder}.__getitem__)
    assert open_tagger("owner/tagger-v3").identity.startswith("owner/tagger-v3 ")


def test_a_vocabulary_with_odd_names(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    save_drawings(project.root / "images", 1)
    folder = make_tagger(tmp_path / "colours")
    odd = ["general", "a, b", 'say "hi"', "日本", "general"]
    rows = [
        f"{n},{json.dumps(name, ensure_ascii=False).replace(chr(92) + chr(34), chr(34) * 2)},0,1"
        for n, name in enumerate(odd)
    ]
    (folder / "selected_tags.csv").write_text("tag_id,name,category,count\n" + "\n".join(rows), "utf-8")
    tagger = open_tagger(folder)
    assert list(tagger.names) == odd
    assert finish(tag_images(project, read(project), tagger)) == 1
    assert set(read_vocabulary(project)) == set(odd)
