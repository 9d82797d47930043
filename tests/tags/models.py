"""Tiny taggers of the true layouts, made at test time: their scores are the picture's mean colours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NAMES = ("general", "explicit", "mostly_blue", "mostly_green", "mostly_red")
CATEGORIES = (9, 9, 0, 0, 0)


def make_tagger(
    folder: Path, batch: int | str = "batch", side: int = 16, factor: float = 1 / 255, outputs: int = 5
) -> Path:
    """WD14's layout. The last three of five scores are the picture's mean blue, green and red, times `factor`."""
    weights = np.zeros((3, outputs), np.float32)
    weights[(0, 1, 2), (2, 3, 4)] = factor
    write_model(folder / "model.onnx", [batch, side, side, 3], [1, 2], {"scores": weights})
    rows = [f"{n},{name},{kind},1" for n, (name, kind) in enumerate(zip(NAMES, CATEGORIES, strict=True))]
    (folder / "selected_tags.csv").write_text("tag_id,name,category,count\n" + "\n".join(rows) + "\n")
    return folder


MAPPING = {
    "0": {"tag": "general", "category": "Rating"},
    "2": {"tag": "mostly_blue", "category": "General"},
    "3": {"tag": "somebody", "category": "Character"},
    "4": {"tag": "best quality", "category": "Quality"},
}


def make_mapped_tagger(folder: Path, mapping: Any = MAPPING, model: str = "model_optimized.onnx") -> Path:
    """The layout with a tag_mapping.json. Of five logits the third is the mean blue, the fourth the mean red,
    both in -1..1, times ten; all others are 0."""
    weights = np.zeros((3, 5), np.float32)
    weights[0, 2] = weights[2, 3] = 10
    write_model(folder / model, ["batch", 3, 16, 16], [2, 3], {"scores": weights})
    (folder / "tag_mapping.json").write_text(json.dumps(mapping), "utf-8")
    return folder


def write_model(file: Path, shape: list[int | str], axes: list[int], outputs: Mapping[str, Any]) -> None:
    """A model whose outputs are the mean over `axes` times the weights of each name."""
    onnx: Any = pytest.importorskip("onnx")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    mean = helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=axes, keepdims=0)
    graph = helper.make_graph(
        [mean, *(helper.make_node("MatMul", ["mean", f"{name} weights"], [name]) for name in outputs)],
        "tagger",
        [helper.make_tensor_value_info("pixels", floats, shape)],
        [
            helper.make_tensor_value_info(name, floats, [shape[0], weights.shape[1]])
            for name, weights in outputs.items()
        ],
        [onnx.numpy_helper.from_array(weights, f"{name} weights") for name, weights in outputs.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(model.SerializeToString())
