"""`lorasmith generate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base
from lorasmith.cli.main import run
from lorasmith.generation.pictures import read_picture
from tests.adapters.drawing import trained_adapter


def test_pictures_are_drawn_named_and_never_overwritten(
    tiny_base: Base, tiny_base_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf, out = tmp_path / "shelf", tmp_path / "out"
    save_adapter(shelf / "zbk.safetensors", trained_adapter(tiny_base), torch.float32)
    words = ["generate", "red <lora:zbk:0.5>", "--base", str(tiny_base_folder), "--seed", "7", "--steps", "2"]
    words += ["--n", "2", "--size", "64x72", "--sampler", "Euler a", "--adapters", str(shelf), "--out", str(out)]
    assert run([*words, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)["pictures"]
    assert [each["seed"] for each in first] == [7, 8]
    assert {each["prompt"] for each in first} == {"red <lora:zbk:0.5>"}
    request = read_picture(first[0]["path"]).spec
    assert request is not None
    assert (request.sampler, request.width, request.height) == ("Euler a", 64, 72)
    assert run(words) == 0
    assert "picture-0003.png" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == [f"picture-{n:04d}.png" for n in range(1, 5)]


def test_the_base_may_be_kept_in_a_byte_a_weight(
    tiny_base_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["generate", "red", "--base", str(tiny_base_folder), "--seed", "7", "--steps", "1", "--size", "64x64"]
    assert run([*words, "--weights", "int8", "--out", str(tmp_path), "--json"]) == 0
    picture = read_picture(json.loads(capsys.readouterr().out)["pictures"][0]["path"])
    assert picture.drawing is not None
    assert picture.drawing.weights == "int8"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--size", "big"], 2, "WIDTHxHEIGHT"),
        (["--n", "0"], 2, "at least one"),
        (["--weights", "int9"], 2, "Did you mean"),
        (["--adapters", "nowhere"], 2, "nowhere"),
        (["--size", "100x64"], 2, "not a multiple of 8"),
        (["--sampler", "Eulr"], 2, "Did you mean"),
        (["--steps", "0"], 2, "steps 0 is not between 1 and 1000"),
        ([], 8, "unknown"),
    ],
)
def test_wrong_calls_leave_nothing(
    tiny_base_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["generate", "a <lora:nobody:1>", "--base", str(tiny_base_folder), *words, "--json"]) == code
    told = json.loads(capsys.readouterr().err)["error"]
    assert message in f"{told['where']} {told['field']} {told['message']} {told['hint']}"
    assert list(tmp_path.iterdir()) == []
