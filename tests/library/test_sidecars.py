"""What other tools keep beside a file: read, and written so that what they know and we do not stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lorasmith.errors import StorageError
from lorasmith.library.sidecars.beside import (
    preview_name,
    read_sidecars,
    sidecar_names,
    write_a1111,
    write_civitai,
    write_lora_manager,
)
from lorasmith.library.sidecars.sidecar import SidecarFacts

VERSION: dict[str, Any] = {
    "id": 128713,
    "modelId": 4384,
    "name": "v2",
    "baseModel": "SDXL 1.0",
    "trainedWords": ["zbk girl", "zbk dress"],
    "description": "<p>Use at <b>0.7</b> &amp; below.</p><p>Enjoy</p>",
    "model": {"name": "Zebka", "type": "LORA", "nsfw": False, "poi": False, "tags": ["character"]},
    "files": [{"name": "zbk.safetensors", "hashes": {"SHA256": "AB" * 32, "AutoV3": "0123456789AB"}}],
    "air": "urn:air:sdxl:lora:civitai:4384@128713",
}
A1111 = {
    "description": "A girl",
    "sd version": "SDXL",
    "activation text": "zbk, red scarf",
    "preferred weight": 0.8,
    "negative text": "lowres",
    "notes": "mine",
    "extensions": {"lbw": "1,0,1"},
}
LORA_MANAGER = {
    "file_name": "zbk",
    "model_name": "Zebka in red",
    "file_path": "/x/zbk.safetensors",
    "sha256": "ab" * 32,
    "base_model": "Illustrious",
    "preview_nsfw_level": 8,
    "notes": "from the manager",
    "civitai": VERSION,
    "tags": ["character", "anime"],
    "modelDescription": "long",
    "favorite": True,
    "usage_tips": '{"strength": 0.6, "clip_skip": 2}',
    "hash_status": "completed",
    "db_checked": True,
}
STABILITY_MATRIX = {
    "ModelId": 4384,
    "ModelName": "Zebka",
    "ModelDescription": "<p>Hello</p>",
    "Nsfw": True,
    "Tags": ["character"],
    "VersionId": 128713,
    "VersionName": "v2",
    "AuthorUsername": "somebody",
    "BaseModel": "SDXL 1.0",
    "Hashes": {"SHA256": "AB" * 32, "BLAKE3": "CD" * 32},
    "TrainedWords": ["zbk girl"],
    "UserTitle": None,
}


def beside(folder: Path, **tables: Any) -> Path:
    file = folder / "zbk.v2.safetensors"
    for suffix, table in tables.items():
        (folder / f"zbk.v2.{suffix.replace('_', '.', 1).replace('_', '-')}").write_text(json.dumps(table), "utf-8")
    return file


def test_each_tool_is_read(tmp_path: Path) -> None:
    facts = read_sidecars(beside(tmp_path, json=A1111))
    assert (facts.triggers, facts.strength, facts.base) == (("zbk, red scarf",), 0.8, "SDXL")
    assert (facts.description, facts.notes, facts.negative) == ("A girl", "mine", "lowres")
    (tmp_path / "zbk.v2.json").unlink()

    facts = read_sidecars(beside(tmp_path, civitai_info=VERSION))
    assert facts.triggers == ("zbk girl", "zbk dress")
    assert facts.description == "Use at 0.7 & below.\nEnjoy"
    assert (facts.sha256, facts.autov3, facts.title) == ("ab" * 32, "0123456789ab", "Zebka")
    assert facts.hub is not None
    assert (facts.hub.source, facts.hub.model_id, facts.hub.version_id) == ("civitai", "4384", "128713")
    (tmp_path / "zbk.v2.civitai.info").unlink()

    facts = read_sidecars(beside(tmp_path, metadata_json=LORA_MANAGER))
    assert (facts.title, facts.base, facts.strength) == ("Zebka in red", "Illustrious", 0.6)
    assert (facts.favourite, facts.mature, facts.tags) == (True, True, ("character", "anime"))
    (tmp_path / "zbk.v2.metadata.json").unlink()

    (tmp_path / "zbk.v2.cm-info.json").write_text(json.dumps(STABILITY_MATRIX), "utf-8")
    facts = read_sidecars(tmp_path / "zbk.v2.safetensors")
    assert (facts.title, facts.triggers, facts.mature) == ("Zebka", ("zbk girl",), True)
    assert facts.hub is not None
    assert facts.hub.creator == "somebody"


def test_what_the_user_typed_goes_before_what_a_hub_says(tmp_path: Path) -> None:
    facts = read_sidecars(beside(tmp_path, json=A1111, civitai_info=VERSION, metadata_json=LORA_MANAGER))
    assert facts.notes == "mine"
    assert facts.strength == 0.8
    assert facts.triggers == ("zbk, red scarf", "zbk girl", "zbk dress")
    assert facts.title == "Zebka in red"


def test_unknown_keys_are_kept(tmp_path: Path) -> None:
    file = beside(tmp_path, json=A1111, metadata_json=LORA_MANAGER, civitai_info=VERSION | {"early": [1, None]})
    new = SidecarFacts(triggers=("zbk",), strength=0.5, notes="other")
    assert json.loads(write_a1111(file, new).read_text("utf-8")) == A1111 | {
        "activation text": "zbk",
        "preferred weight": 0.5,
        "notes": "other",
    }
    written = json.loads(write_lora_manager(file, new).read_text("utf-8"))
    assert json.loads(written.pop("usage_tips")) == {"strength": 0.5, "clip_skip": 2}
    assert written.pop("civitai") == VERSION | {"trainedWords": ["zbk"]}
    assert written == {key: value for key, value in LORA_MANAGER.items() if key not in ("usage_tips", "civitai")} | {
        "notes": "other",
    }
    assert list(written)[:4] == list(LORA_MANAGER)[:4]
    assert json.loads(write_civitai(file, {"id": 5}).read_text("utf-8")) == VERSION | {"early": [1, None], "id": 5}


@pytest.mark.parametrize("text", ["", "[1]", "{", "\x00", '{"a": ' * 5000, '{"activation text": [3], "notes": {}}'])
def test_nonsense_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "zbk.json").write_text(text, "utf-8")
    (tmp_path / "zbk.metadata.json").write_text(text, "utf-8")
    assert read_sidecars(tmp_path / "zbk.safetensors") == SidecarFacts()


def test_what_is_no_table_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "zbk.json").write_text("[1, 2]", "utf-8")
    with pytest.raises(StorageError, match="no JSON table"):
        write_a1111(tmp_path / "zbk.safetensors", SidecarFacts(notes="x"))
    assert (tmp_path / "zbk.json").read_text("utf-8") == "[1, 2]"


def test_names() -> None:
    there = {"a.json", "a.civitai.info", "a.preview.png", "a.png", "ab.json", "a.metadata.json"}
    assert sidecar_names("a", there) == ("a.json", "a.metadata.json", "a.civitai.info")
    assert preview_name("a", there) == "a.preview.png"
    assert preview_name("ab", there) is None
