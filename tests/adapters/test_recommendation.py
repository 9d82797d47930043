"""The strength that an exam recommends: in the file's header and beside it, tensors and times as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lorasmith.adapters.adapter import new_adapter
from lorasmith.adapters.container import read_header
from lorasmith.adapters.files import load_adapter, read_tensors, save_adapter
from lorasmith.adapters.header import check_hashes
from lorasmith.adapters.recommendation import Recommendation, write_recommendation
from lorasmith.bases.base import Base
from lorasmith.diffusion.noise import key_generator
from lorasmith.library.recommending import recommend
from tests.projects import build_project

DOCUMENT = {"chosen": "x", "strength": {"recommended": 0.9, "from": 0.6, "to": 1.2, "points": []}}


def make_file(base: Base, path: Path) -> Path:
    adapter = new_adapter(base, name="zbk", rank=2, alpha=2, text_encoder=False, generator=key_generator(1))
    metadata = {"modelspec.usage_hint": "zbk <lora:zbk:0.8>", "ss_output_name": "zbk"}
    return save_adapter(path, type(adapter)(adapter.name, adapter.layers, metadata))


def test_it_goes_into_the_header_and_changes_nothing_else(tiny_base: Base, tmp_path: Path) -> None:
    file = make_file(tiny_base, tmp_path / "zbk.safetensors")
    before, times = read_tensors(file), file.stat()
    recommended = Recommendation.of(DOCUMENT)
    assert recommended == Recommendation(0.9, 0.6, 1.2)
    assert str(recommended) == "0.9 (0.6 to 1.2)"
    assert write_recommendation(file, recommended)
    metadata = read_header(file).metadata
    assert metadata["lorasmith.strength"] == "0.9"
    assert Recommendation.read(metadata) == recommended
    assert metadata["modelspec.usage_hint"] == "zbk <lora:zbk:0.9>"
    assert metadata["ss_output_name"] == "zbk"
    after = read_tensors(file)
    assert before.keys() == after.keys()
    assert all(before[key].equal(after[key]) for key in before)
    assert file.stat().st_mtime_ns == times.st_mtime_ns
    assert check_hashes(after, load_adapter(file).metadata).ok is not False
    assert not write_recommendation(file, recommended)
    assert write_recommendation(file, Recommendation(0.7))
    assert Recommendation.read(read_header(file).metadata) == Recommendation(0.7), "an older window stays"


@pytest.mark.parametrize(
    "document", [{}, {"strength": None}, {"strength": {"recommended": None}}, {"strength": {"recommended": True}}]
)
def test_where_nothing_is_recommended_nothing_is_read(document: dict[str, Any]) -> None:
    assert Recommendation.of(document) is None


def test_a_header_with_another_word_there_recommends_nothing() -> None:
    assert Recommendation.read({}) is None
    assert Recommendation.read({"lorasmith.strength": "strong"}) is None


def test_the_sidecar_of_a1111_says_it_too(tiny_base: Base, tmp_path: Path) -> None:
    project = build_project(tmp_path / "p")
    run = project.runs / "one"
    run.mkdir(parents=True)
    file = make_file(tiny_base, run / "zbk.safetensors")
    (run / "zbk.json").write_text('{"notes": "mine"}')
    assert recommend(project, file, DOCUMENT) == "0.9 (0.6 to 1.2)"
    assert json.loads((run / "zbk.json").read_text()) == {
        "notes": "mine",
        "activation text": "zbk",
        "preferred weight": 0.9,
    }
    (run / "plan.json").write_text('{"steps": 3}')
    plan = make_file(tiny_base, run / "plan.safetensors")
    assert recommend(project, plan, DOCUMENT) is not None
    assert json.loads((run / "plan.json").read_text()) == {"steps": 3}, "that is no sidecar"


def test_a_file_of_the_users_own_stays_as_it_is(tiny_base: Base, tmp_path: Path) -> None:
    project = build_project(tmp_path / "p")
    own = make_file(tiny_base, tmp_path / "zbk.safetensors")
    before = own.read_bytes()
    assert recommend(project, own, DOCUMENT) is None
    assert own.read_bytes() == before
    assert not (tmp_path / "zbk.json").exists()
    assert recommend(project, own, DOCUMENT, within=tmp_path) is not None
    assert recommend(project, own, {}) is None
