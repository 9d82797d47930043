"""A base of Anima's layout is made by its scripts and a style learnt on it, in the shortest form: every stage runs and
likeness is computed. Whether anything is learnt is measured by `python -m benchmarks.flow_style`."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import flow_style

from lorasmith.adapters.files import load_adapter, read_header
from lorasmith.adapters.runs import newest_adapters
from lorasmith.bases.families import find_family
from lorasmith.project import open_project


def test_the_whole_road_on_a_flow(tmp_path: Path) -> None:
    base = flow_style.make_untrained_base(tmp_path / "work")
    flow_style.main(["--base", str(base), "--out", str(tmp_path / "out"), "--steps", "3", "--pictures", "8"])
    project = open_project(tmp_path / "out" / "project")
    (*_, adapter) = newest_adapters(project.runs)
    layers = load_adapter(adapter).layers
    assert len(layers) == 4 * 10
    assert layers.keys() <= find_family("anima").public_layers().keys()
    assert read_header(adapter).metadata["ss_base_model_version"] == "anima"
    (file,) = project.exams.glob("*/figures.json")
    document = json.loads(file.read_text("utf-8"))
    auc = document["likeness"]["auc"]
    assert auc["n"] >= 8
    assert 0 <= auc["low"] <= auc["value"] <= auc["high"] <= 1
    assert document["figures"]["hit_rate"]["n"] == 8
    told = json.loads((tmp_path / "out" / "figures.json").read_text("utf-8"))
    assert told["learnt"]["n"] == 8
    assert set(told["like"]) == {"base", "adapter"}
    assert (tmp_path / "out" / "sheet.png").is_file()
