"""The tagger's contract: WD14's input and files, raw tags stored with scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lorasmith.errors import DatasetError
from lorasmith.events import finish
from lorasmith.tags.pipeline import write_captions
from lorasmith.tags.store import read_stored
from lorasmith.tags.tagger import open_tagger, prepare, tag_images
from tests.dataset.projects import make_project, read
from tests.images.drawings import save_drawings

NAMES = ("general", "explicit", "mostly_blue", "mostly_green", "mostly_red")
CATEGORIES = (9, 9, 0, 0, 0)


def make_tagger(folder: Path, batch: int | str = "batch", side: int = 16) -> Path:
    """A tagger whose last three scores are the picture's mean blue, green and red, divided by 255."""
    onnx: Any = pytest.importorskip("onnx")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    weights = np.zeros((3, 5), np.float32)
    weights[(0, 1, 2), (2, 3, 4)] = 1 / 255
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2], keepdims=0),
            helper.make_node("MatMul", ["mean", "weights"], ["scores"]),
        ],
        "tagger",
        [helper.make_tensor_value_info("pixels", floats, [batch, side, side, 3])],
        [helper.make_tensor_value_info("scores", floats, [batch, 5])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    rows = [f"{n},{name},{kind},1" for n, (name, kind) in enumerate(zip(NAMES, CATEGORIES, strict=True))]
    (folder / "selected_tags.csv").write_text("tag_id,name,category,count\n" + "\n".join(rows) + "\n")
    return folder


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
    assert scores.shape == (5, 5)
    assert scores[:, 4] == pytest.approx([0, 0.4, 1, 0.2, 0.8], abs=1e-5)
    assert scores[:, 2] == pytest.approx([0.2] * 5, abs=1e-5)
    assert tagger.scores([]).shape == (0, 5)


def test_only_images_without_caption_are_tagged_and_only_once(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    images = project.root / "images"
    save_drawings(images, 1, caption="my own words")
    Image.new("RGB", (30, 20), (255, 30, 0)).save(images / "red.png")
    tagger = open_tagger(make_tagger(tmp_path / "colours"))
    dataset = read(project)
    assert finish(tag_images(project, dataset, tagger)) == 1
    assert finish(tag_images(project, dataset, tagger)) == 0
    red = next(item for item in dataset.items if item.name == "red.png")
    (stored,) = read_stored(project).values()
    assert stored.sha256 == red.facts.sha256
    assert stored.tagger == tagger.identity
    assert stored.tagger.startswith("colours ")
    assert stored.tags[0].name == "mostly_red"
    assert stored.tags[0].score == pytest.approx(1.0, abs=0.01), "the padding is white"
    assert write_captions(project, dataset).captions == {
        "000.png": "zbk, my own words",
        "red.png": "zbk, mostly red, mostly green",
    }


def test_what_is_no_tagger_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no model\.onnx"):
        open_tagger(tmp_path)
    folder = make_tagger(tmp_path / "colours")
    tags = folder / "selected_tags.csv"
    whole = tags.read_text()
    tags.write_text(whole + "9,one_too_many,0,1\n")
    with pytest.raises(DatasetError, match="6 tags for 5 scores"):
        open_tagger(folder)
    tags.write_text("some,other,table\n1,2,3\n")
    with pytest.raises(DatasetError, match="not a tag list"):
        open_tagger(folder)
    tags.write_text(whole)
    (folder / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(DatasetError, match="cannot be loaded"):
        open_tagger(folder)
