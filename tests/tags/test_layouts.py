"""A layout is one entry: what it says is enough for a tagger of it to be opened, fetched and run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lorasmith.errors import DatasetError
from lorasmith.tags.categories import GENERAL
from lorasmith.tags.hub import fetch_tagger
from lorasmith.tags.layouts import LAYOUTS, by_precedence, find_layout
from lorasmith.tags.layouts.layout import Array, Layout, Row
from lorasmith.tags.tagger import open_tagger
from tests.hub import hub_snapshot
from tests.tags.models import make_mapped_tagger, make_tagger


def _read(file: Path) -> list[Row]:
    return [(column, name, GENERAL) for column, name in json.loads(file.read_text())]


def _half(batch: Array) -> Array:
    return np.asarray(batch / 2, np.float32)


def _flip(scores: Array) -> Array:
    return np.asarray(1 - scores, np.float32)


TOY = Layout(
    name="toy",
    models=("toy.onnx",),
    tags="toy.json",
    read=_read,
    form="(batch, height, width, 3)",
    channels=3,
    to_input=_half,
    to_scores=_flip,
    whole=False,
)


@pytest.fixture
def toy() -> Iterator[Layout]:
    LAYOUTS.register(TOY)
    yield TOY
    LAYOUTS.remove(TOY)


def _make_toy(folder: Path) -> Path:
    make_tagger(folder)
    (folder / "selected_tags.csv").unlink()
    (folder / "model.onnx").rename(folder / "toy.onnx")
    (folder / "toy.json").write_text(json.dumps([[4, "red"], [2, "blue"]]))
    return folder


def test_a_layout_of_ones_own_is_registered_by_one_line(tmp_path: Path, hub_cache: Path, toy: Layout) -> None:
    folder = _make_toy(tmp_path / "toy")
    assert find_layout(folder) is toy
    tagger = open_tagger(folder)
    assert (tagger.names, tagger.categories) == (("red", "blue"), (GENERAL, GENERAL))
    scores = tagger.scores([Image.new("RGB", (8, 8), (255, 0, 102))])
    assert scores == pytest.approx(np.array([[0.5, 0.8]]), abs=1e-5)
    snapshot = _make_toy(hub_snapshot(hub_cache, "owner/toy"))
    assert fetch_tagger("owner/toy") == snapshot
    with pytest.raises(DatasetError, match=r"toy\.onnx and toy\.json"):
        open_tagger(tmp_path / "nothing")


def test_a_folder_with_both_lists_is_of_the_usual_layout(tmp_path: Path) -> None:
    folder = make_mapped_tagger(make_tagger(tmp_path / "both"))
    assert find_layout(folder).name == "wd14"
    (folder / "selected_tags.csv").unlink()
    assert find_layout(folder).name == "mapped"
    assert [layout.name for layout in by_precedence()] == ["pixai", "camie", "wd14", "joytag", "mapped"]


def test_what_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no model\.onnx in this folder"):
        find_layout(tmp_path)
    folder = make_tagger(tmp_path / "half")
    (folder / "model.onnx").unlink()
    with pytest.raises(DatasetError, match=r"no model\.onnx in this folder"):
        find_layout(folder)
