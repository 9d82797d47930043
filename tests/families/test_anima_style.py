"""A base of Anima's layout is made by its scripts and a style learnt on it, in the shortest form: every stage runs and
likeness is computed. Whether anything is learnt is measured by `python -m benchmarks.flow_style`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from benchmarks import flow_style

from lorasmith.adapters.files import load_adapter, read_header
from lorasmith.adapters.runs import newest_adapters
from lorasmith.bases.families import find_family
from lorasmith.project import open_project

ROOT = Path(__file__).parents[2]
PICTURES = 60
SEEN = {"style": "big-smile", "shot": "portrait", "hair": "short hair", "hair colour": "blue", "background": "red"}


def make_base(work: Path) -> Path:
    """Two steps of each training on pictures of noise, as a user runs the scripts."""
    (work / "renders").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (PICTURES, 128, 128, 3), np.uint8)
    (work / "renders" / "big-smile.0.bin").write_bytes(pixels.tobytes())
    line = json.dumps({"seen": SEEN, "frame": [0, 0, 1]})
    (work / "renders" / "big-smile.0.jsonl").write_text(f"{line}\n" * PICTURES)
    environment = {**os.environ, "DOODLE_WORK": str(work)}
    for script in ("flow_vae.py", "flow_base.py"):
        command = [sys.executable, f"doodle/{script}", "--steps", "2"]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=600)
    return work / "flow-base"


def test_the_whole_road_on_a_flow(tmp_path: Path) -> None:
    base = make_base(tmp_path / "work")
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
