"""The family that chooses the preset, told without opening weights."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from huggingface_hub import constants

from lorasmith.bases.detection import family_of, locate_base


def checkpoint(path: Path, key: str) -> Path:
    text = json.dumps({key: {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0\0")
    return path


def folder(path: Path, width: int, second: bool = False) -> Path:
    (path / "unet").mkdir(parents=True)
    (path / "unet" / "config.json").write_text(json.dumps({"cross_attention_dim": width}))
    if second:
        (path / "text_encoder_2").mkdir()
    return path


@pytest.mark.parametrize(
    ("key", "family"),
    [
        ("cond_stage_model.transformer.text_model.x", "sd1"),
        ("cond_stage_model.model.ln_final.weight", "sd2"),
        ("conditioner.embedders.1.model.ln_final.weight", "sdxl"),
        ("something.else", "sd1"),
    ],
)
def test_of_a_checkpoint(key: str, family: str, tmp_path: Path) -> None:
    assert family_of(str(checkpoint(tmp_path / "m.safetensors", key))).name == family


def test_of_folders_and_of_what_is_broken(tmp_path: Path) -> None:
    assert family_of(str(folder(tmp_path / "one", 768))).name == "sd1"
    assert family_of(str(folder(tmp_path / "two", 1024))).name == "sd2"
    assert family_of(str(folder(tmp_path / "xl", 80, second=True))).name == "sdxl"
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    bad, absent = (family_of(str(tmp_path / name)) for name in ("bad.safetensors", "none"))
    assert bad.name == absent.name == "sd1"
    assert family_of("doodle").name == "doodle"


def test_of_a_base_in_the_hub_s_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert family_of("owner/model").name == "sd1"
    root = tmp_path / "models--owner--model"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text("0" * 40)
    folder(root / "snapshots" / ("0" * 40), 1024)
    assert family_of("owner/model").name == "sd2"


def test_a_path_is_looked_for_beside_the_project(tmp_path: Path) -> None:
    here = checkpoint(tmp_path / "m.safetensors", "x")
    assert locate_base("m.safetensors", tmp_path) == str(here.resolve())
    assert locate_base("owner/model", tmp_path) == "owner/model"
    assert locate_base("doodle", tmp_path) == "doodle"
