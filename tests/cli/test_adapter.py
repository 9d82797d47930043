"""`lorasmith adapter show|verify|convert|resize|merge`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import safetensors.torch

from lorasmith.adapters.files import read_header, save_adapter
from lorasmith.adapters.header import build_header, modelspec, network_facts
from lorasmith.bases.base import Base
from lorasmith.cli.main import run
from tests.adapters.drawing import trained_adapter


@pytest.fixture
def file(tmp_path: Path, tiny_base: Base) -> Path:
    adapter = trained_adapter(tiny_base, rank=4, alpha=2.0)
    facts = {
        "ss_output_name": "zbk-lora",
        "ss_tag_frequency": {"1_zbk": {"zbk": 5, "red hair": 2}, "2_more": {"red hair": 6}},
        **network_facts(adapter, tiny_base),
    }
    spec = modelspec(tiny_base, title="Zbk", when=datetime(2026, 1, 1), trigger="zbk")
    return save_adapter(tmp_path / "zbk.safetensors", replace(adapter, metadata=build_header(facts) | spec))


def rewritten(file: Path, name: str, **metadata: str) -> Path:
    """The same tensors under other metadata, by the library's writer."""
    path = file.with_name(f"{name}.safetensors")
    safetensors.torch.save_file(safetensors.torch.load_file(file), path, {**read_header(file).metadata, **metadata})
    return path


def test_show_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["adapter", "show", str(file), "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)["adapters"]
    assert shown["path"] == str(file)
    assert (shown["name"], shown["title"], shown["trigger"]) == ("zbk-lora", "Zbk", "zbk")
    assert (shown["family"], shown["base"]) == ("sd1", "tiny-sd1")
    assert (shown["algorithms"], shown["rank"], shown["alpha"]) == (["lora"], 4, 2.0)
    assert shown["layers"] == {"unet": 48, "text_encoder": 18}
    assert (shown["keys"], shown["dtype"], shown["bytes"]) == (3 * 66, "float16", file.stat().st_size)
    assert shown["hashes"]["ok"] is True
    assert shown["tags"] == [["red hair", 8], ["zbk", 5]]


def test_show_for_a_person(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["adapter", "show", str(file)]) == 0
    out = capsys.readouterr().out
    for part in ("zbk-lora", "sd1 tiny-sd1", "rank 4, alpha 2", "48 in the denoiser", "correct", "red hair (8)"):
        assert part in out


def test_show_of_a_bare_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = file.with_name("bare.safetensors")
    safetensors.torch.save_file(safetensors.torch.load_file(file), bare)
    assert run(["adapter", "show", str(bare), "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)["adapters"]
    assert (shown["name"], shown["family"], shown["hashes"]["ok"], shown["tags"]) == ("bare", None, None, [])


def test_verify_tells_the_truthful_from_the_others(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = file.with_name("short.safetensors")
    short.write_bytes(file.read_bytes()[:-10])
    files = [
        file,
        rewritten(file, "liar", sshs_model_hash="0" * 64),
        rewritten(file, "rank", ss_network_dim="32"),
        short,
        file.with_name("missing.safetensors"),
    ]
    assert run(["adapter", "verify", *map(str, files), "--json"]) == 1
    verdicts = json.loads(capsys.readouterr().out)["adapters"]
    assert [verdict["ok"] for verdict in verdicts] == [True, False, False, False, False]
    problems = [" ".join(verdict["problems"]) for verdict in verdicts]
    for text, part in zip(problems, ("", "sshs_model_hash", "rank 32", "cut short", "no such file"), strict=True):
        assert part in text
    assert run(["adapter", "verify", str(file)]) == 0
    assert "in order" in capsys.readouterr().out


def test_a_missing_file_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["adapter", "show", str(tmp_path / "none.safetensors")]) == 7
    assert "no such file" in capsys.readouterr().err


def test_resize_and_merge(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small, both = tmp_path / "small.safetensors", tmp_path / "both.safetensors"
    assert run(["adapter", "resize", str(file), "--rank", "2", "--out", str(small), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["path"], told["rank"]) == (str(small), 2)
    assert 0.05 < told["error"] < 0.9
    assert told["bytes"] == small.stat().st_size < file.stat().st_size
    assert run(["adapter", "merge", f"{file}:0.5", f"{small}:-1", "--out", str(both), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    # The small one lies within the large one's space.
    assert told["rank"] >= 4
    assert told["error"] < 1e-3
    assert run(["adapter", "verify", str(small), str(both)]) == 0
    capsys.readouterr()
    assert run(["adapter", "resize", str(file), "--out", str(small)]) == 2
    assert "--rank" in capsys.readouterr().err
    assert run(["adapter", "convert", str(file), "--out", str(file)]) == 2
    assert "another --out" in capsys.readouterr().err
