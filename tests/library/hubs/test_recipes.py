"""A recipe out of the header of an adapter on a hub, of which nothing else is fetched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lorasmith.cli.main import run
from lorasmith.events import finish
from lorasmith.library.hubs.fetching import fetch_start, open_hub
from lorasmith.library.hubs.references import read_reference
from tests.library.hubs.mock import Hubs, adapter_bytes
from tests.projects import build_project

FACTS = {"ss_unet_lr": "0.0003", "ss_text_encoder_lr": "0.0", "ss_network_alpha": "2.0", "ss_max_train_steps": "77"}
BIG = 4 << 20


def add(hubs: Hubs, facts: dict[str, str], **more: Any) -> bytes:
    data = adapter_bytes(1, pad=BIG, metadata=facts)
    hubs.add_model(12, "Teal hair", hubs.version(34, data, "teal.safetensors"), **more)
    return data


@pytest.mark.parametrize("reference", ["civitai:12@34", "hf:maker/teal", "https://civitai.com/models/12"])
def test_settings_are_taken_over(
    hubs: Hubs, tmp_path: Path, capsys: pytest.CaptureFixture[str], reference: str
) -> None:
    hubs.add_repository("maker/teal", {"teal.safetensors": add(hubs, FACTS)})
    project = build_project(tmp_path)
    assert run(["recipe", "import", reference, "--into", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["recipe"]["lr"] == {"unet": 0.0003, "text_encoder": 0.0}
    assert (document["recipe"]["alpha"], document["recipe"]["target_steps"]) == (2.0, 77)
    assert "target_steps = 77" in project.file.read_text("utf-8")


def test_the_header_alone_is_fetched(hubs: Hubs, tmp_path: Path) -> None:
    data = add(hubs, FACTS)
    hubs.slow = 0.05  # seconds between two pieces of 64 kB: the whole file would take three
    reference = read_reference("civitai:12")
    with open_hub(reference) as hub:
        start = finish(fetch_start(hub, reference, tmp_path))
    length = 8 + int.from_bytes(data[:8], "little")
    assert start.stat().st_size == len(data)
    assert start.read_bytes() == data[:length] + bytes(len(data) - length)
    assert start.stat().st_blocks * 512 < BIG / 4, "no room for what was not fetched"


@pytest.mark.parametrize(
    ("facts", "words", "message"),
    [
        ({}, ["civitai:12"], "civitai:12, teal.safetensors: its header tells no recipe"),
        (FACTS, ["civitai:99"], "civitai:99"),
        (FACTS, ["civitai:x"], "models and versions have numbers there"),
        (FACTS, ["nothing.json"], "nothing.json: cannot be read"),
        (FACTS, ["hf:maker"], "a repository there is OWNER/NAME"),
    ],
)
def test_what_is_no_recipe_is_told(
    hubs: Hubs, capsys: pytest.CaptureFixture[str], facts: dict[str, str], words: list[str], message: str
) -> None:
    add(hubs, facts)
    assert run(["recipe", "import", *words]) != 0
    assert message in " ".join(capsys.readouterr().err.split())


def test_mature_ones_are_asked_for(hubs: Hubs, capsys: pytest.CaptureFixture[str]) -> None:
    add(hubs, FACTS, nsfw=True)
    assert run(["recipe", "import", "civitai:12"]) != 0
    assert "the hub calls it mature" in capsys.readouterr().err
    assert run(["recipe", "import", "civitai:12", "--mature"]) == 0
