"""What triggers the user's other adapters have, whatever lies beside them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from lorasmith.tags.library import read_library


def write_adapter(file: Path, **metadata: str) -> Path:
    """A safetensors file without tensors."""
    head = json.dumps({"__metadata__": {key.replace("__", "."): value for key, value in metadata.items()}}).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(struct.pack("<Q", len(head)) + head)
    return file


def test_triggers_from_headers_and_notes(tmp_path: Path) -> None:
    write_adapter(tmp_path / "one.safetensors", modelspec__trigger_phrase="qwx, smile")
    write_adapter(tmp_path / "deep" / "two.safetensors").with_suffix(".json").write_text('{"activation text": "vbn"}')
    three = write_adapter(tmp_path / "three.safetensors")
    three.with_name("three.civitai.info").write_text('{"trainedWords": ["hjk, hat", "", 3, "Uio"]}')
    assert read_library([tmp_path]) == {"qwx": "one", "vbn": "two", "hjk": "three", "Uio": "three"}
    assert read_library([three]) == {"hjk": "three", "Uio": "three"}


def test_the_projects_own_adapter_and_what_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    for name in ("zbk", "zbk-000010", "Zbk-step50"):
        write_adapter(tmp_path / f"{name}.safetensors", modelspec__trigger_phrase="zbk")
    (tmp_path / "broken.safetensors").write_bytes(b"\xff" * 40)
    write_adapter(tmp_path / "odd.safetensors").with_suffix(".json").write_text("[" * 100_000)
    assert read_library([tmp_path], "zbk") == {}
    write_adapter(tmp_path / "zbkother.safetensors", modelspec__trigger_phrase="zbk")
    assert read_library([tmp_path], "zbk") == {"zbk": "zbkother"}
