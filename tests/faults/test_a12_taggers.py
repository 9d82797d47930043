"""A12: taggers of the layouts of JoyTag, PixAI and Camie v2."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lorasmith.errors import DatasetError
from lorasmith.tags.categories import CHARACTER, GENERAL, META, RATING
from lorasmith.tags.hub import fetch_tagger
from lorasmith.tags.layouts import find_layout
from lorasmith.tags.tagger import open_tagger
from tests.hub import hub_snapshot
from tests.tags.models import write_model

COLOUR = (200, 120, 40)
TINTED = Image.new("RGB", (16, 16), COLOUR)


def eyes(outputs: int = 3) -> np.ndarray:
    """Weights that give the input's mean of each channel."""
    return np.eye(3, outputs, dtype=np.float32)


def logistic(values: list[float]) -> list[float]:
    return [1 / (1 + float(np.exp(-value))) for value in values]


def make_joytag(folder: Path) -> Path:
    write_model(folder / "model.onnx", ["batch", 3, 16, 16], [2, 3], {"tags": eyes()})
    (folder / "top_tags.txt").write_text("red\ngreen\n\nblue\n")
    return folder


def test_joytag(tmp_path: Path) -> None:
    """fancyfeast/joytag, Models.py and README.md: white margins, CLIP's mean and deviation, a sigmoid, a tag a line."""
    tagger = open_tagger(make_joytag(tmp_path / "joytag"))
    assert (tagger.names, set(tagger.categories)) == (("red", "green", "blue"), {GENERAL})
    mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    expected = logistic([(c / 255 - m) / d for c, m, d in zip(COLOUR, mean, deviation, strict=True)])
    assert tagger.scores([TINTED])[0] == pytest.approx(expected, abs=1e-4)
    assert tagger.prepare(Image.new("RGB", (32, 16)))[0, 0].tolist() == [255, 255, 255]


PIXAI_LIST = (
    "id,tag_id,name,category,count,ips\n"
    '0,470575,1girl,0,10,[]\n1,13197,long_hair,0,8,[]\n2,1,somebody_(series),4,5,"[""series"", ""other""]"\n'
)


def make_pixai(folder: Path) -> Path:
    outputs = {"embedding": eyes(7), "logits": 9 * eyes(), "prediction": 0.5 * eyes()}
    write_model(folder / "model.onnx", ["batch", 3, 16, 16], [2, 3], outputs)
    (folder / "selected_tags.csv").write_text(PIXAI_LIST)
    return folder


def test_pixai(tmp_path: Path) -> None:
    """deepghs/imgutils, zoo (EndpointHandler): Resize((448, 448)) without margins, Normalize(0.5, 0.5), a head with a
    sigmoid; imgutils/tagging/pixai.py: the output is called by its name, the list has a column `ips`."""
    tagger = open_tagger(make_pixai(tmp_path / "pixai"))
    assert find_layout(tmp_path / "pixai").name == "pixai"
    assert (tagger.names[2], tagger.categories) == ("somebody_(series)", (GENERAL, GENERAL, CHARACTER))
    light = Image.new("RGB", (16, 16), (255, 204, 153))
    assert tagger.scores([light])[0] == pytest.approx([0.5, 0.3, 0.1], abs=1e-3)
    halves = Image.new("RGB", (32, 16), "white")
    halves.paste("black", (0, 0, 16, 16))
    prepared = tagger.prepare(halves)
    assert prepared[0, 0].tolist() == prepared[15, 0].tolist() == [0, 0, 0], "stretched"
    assert prepared[0, 15].tolist() == [255, 255, 255]


CAMIE = {
    "model_info": {"img_size": 16},
    "dataset_info": {
        "total_tags": 3,
        "tag_mapping": {
            "idx_to_tag": {"0": "1girl", "1": "rating_general", "2": "year_2020"},
            "tag_to_category": {"1girl": "general", "rating_general": "rating", "year_2020": "year"},
        },
    },
}


def make_camie(folder: Path) -> Path:
    outputs = {"initial": np.zeros((3, 3), np.float32), "refined": eyes(), "candidates": eyes(7)}
    write_model(folder / "camie-tagger-v2.onnx", ["batch", 3, 16, 16], [2, 3], outputs)
    (folder / "camie-tagger-v2-metadata.json").write_text(json.dumps(CAMIE))
    return folder


def test_camie(tmp_path: Path) -> None:
    """Camais03/camie-tagger-v2, onnx_inference.py, preprocess_image (ImageNet's mean and deviation, filled up with 124,
    116, 104); the refined logits are the second output."""
    tagger = open_tagger(make_camie(tmp_path / "camie"))
    assert (tagger.names, tagger.categories) == (("1girl", "rating_general", "year_2020"), (GENERAL, RATING, META))
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected = logistic([(c / 255 - m) / d for c, m, d in zip(COLOUR, mean, deviation, strict=True)])
    assert tagger.scores([TINTED])[0] == pytest.approx(expected, abs=1e-4)
    assert tagger.prepare(Image.new("RGB", (32, 16)))[0, 0].tolist() == [104, 116, 124]


@pytest.mark.parametrize("make", [make_joytag, make_pixai, make_camie])
def test_each_is_found_on_the_hub(hub_cache: Path, make: Callable[[Path], Path]) -> None:
    snapshot = make(hub_snapshot(hub_cache, "owner/other"))
    assert fetch_tagger("owner/other") == snapshot


@pytest.mark.parametrize(
    "text",
    ["[]", "{", '{"dataset_info": {"tag_mapping": {"idx_to_tag": {"x": "a"}, "tag_to_category": {}}}}',
     '{"dataset_info": {"tag_mapping": {"idx_to_tag": {"0": 1}, "tag_to_category": {}}}}',
     '{"dataset_info": {"tag_mapping": {"idx_to_tag": {"-1": "a"}, "tag_to_category": {}}}}',
     '{"dataset_info": {"tag_mapping": {"idx_to_tag": {"0": "a"}, "tag_to_category": {"a": "odd"}}}}'],
)  # fmt: skip
def test_what_is_no_tag_list_is_refused(tmp_path: Path, text: str) -> None:
    folder = make_camie(tmp_path / "camie")
    (folder / "camie-tagger-v2-metadata.json").write_text(text)
    with pytest.raises(DatasetError, match=r"camie-tagger-v2-metadata\.json"):
        open_tagger(folder)


def test_names_in_another_encoding_are_refused(tmp_path: Path) -> None:
    folder = make_joytag(tmp_path / "joytag")
    (folder / "top_tags.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(DatasetError, match=r"top_tags\.txt: not a tag list"):
        open_tagger(folder)
