"""`lorasmith picture`: shown, and drawn again to the bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base
from lorasmith.cli.main import run
from tests.adapters.drawing import trained_adapter

Capture = pytest.CaptureFixture[str]


def call(capsys: Capture, *words: object) -> dict[str, Any]:
    assert run([*map(str, words), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture
def place(tmp_path: Path, tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_adapter(tmp_path / "adapters" / "zbk.safetensors", trained_adapter(tiny_base), torch.float32)
    Image.effect_noise((80, 64), 90).convert("RGB").save(tmp_path / "start.png")
    return tmp_path


@pytest.mark.parametrize(
    "options",
    [
        ["--n", "3", "--sampler", "Euler a"],
        ["--init", "start.png", "--strength", "0.6"],
        ["--hires", "1.5", "--hires-steps", "1", "--variation", "7:0.2"],
        ["--format", "webp", "--tiling", "--schedule", "Karras", "--eta", "0.3"],
        ["--format", "jpg", "--preview", "1"],
        ["--n", "8", "--cfg", "1"],
    ],
)
def test_a_picture_redone_from_itself_is_the_same_to_the_bit(
    place: Path, tiny_base_folder: Path, capsys: Capture, options: list[str]
) -> None:
    words = ["generate", "red <lora:zbk:0.5>", "--base", str(tiny_base_folder), "--seed", "5", "--steps", "2"]
    drawn = call(capsys, *words, *options)["pictures"]
    last = drawn[-1]["path"]
    again = call(capsys, "picture", "redo", last, "--base", tiny_base_folder, "--out", "again")
    assert again["same"], again
    assert Path(again["path"]).parent.name == "again"
    with Image.open(again["path"]) as new, Image.open(last) as old:
        assert new.size == old.size
        assert last.endswith("jpg") or new.convert("RGB").tobytes() == old.convert("RGB").tobytes()
    assert not list((place / "pictures").glob("preview*"))


def test_templates_are_drawn_and_recorded(place: Path, tiny_base_folder: Path, capsys: Capture) -> None:
    (place / "cards").mkdir()
    (place / "cards" / "colour.txt").write_text("red\nblue\n")
    words = ["generate", "{__colour__|__colour__} hat", "--dynamic", "--wildcards", "cards", "--n", "4"]
    words += ["--base", str(tiny_base_folder), "--steps", "1", "--seed", "3", "--prompt-seed", "8"]
    drawn = call(capsys, *words)["pictures"]
    assert {each["prompt"] for each in drawn} <= {"red hat", "blue hat"}
    assert [each["seed"] for each in drawn] == [3, 4, 5, 6]
    (shown,) = call(capsys, "picture", "show", drawn[1]["path"])["pictures"]
    origin = shown["lorasmith"]["origin"]
    assert (origin["template"], origin["prompt_seed"], origin["turn"]) == (words[1], 9, 1)
    assert call(capsys, "picture", "redo", drawn[2]["path"], "--base", tiny_base_folder)["same"]


def test_it_is_shown_in_words(place: Path, tiny_base_folder: Path, capsys: Capture) -> None:
    words = ["generate", "red <lora:zbk:0.5>", "--base", str(tiny_base_folder), "--steps", "2", "--negative", "hat"]
    assert run([*words, "--init", "start.png"]) == 0
    assert "lorasmith picture redo" in capsys.readouterr().out
    assert run(["picture", "show", "pictures/picture-0001.png", str(place / "start.png")]) == 0
    told = capsys.readouterr().out
    for word in ("red <lora:zbk:0.5>", "not: hat", "steps", "zbk at 0.5", "strength 0.75", "nothing of how"):
        assert word in told


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["picture", "redo", "start.png"], 5, "tells no prompt"),
        (["picture", "redo", "pictures/picture-0001.png"], 6, "Say with --base"),
        (["picture", "redo", "gone.png"], 5, "cannot be read"),
        (["generate", "a", "--mask", "start.png"], 2, "--mask without --init"),
        (["generate", "a", "--variation", "x"], 2, "SEED:SHARE"),
        (["generate", "a", "--hires", "big"], 2, "Write a scale"),
        (["generate", "a", "--format", "gif"], 2, "png, jpg, webp"),
        (["generate", "a", "--wildcards", "cards"], 2, "Add --dynamic"),
    ],
)
def test_wrong_calls(
    place: Path, tiny_base_folder: Path, capsys: Capture, words: list[str], code: int, message: str
) -> None:
    if "pictures/picture-0001.png" in words:
        call(capsys, "generate", "red", "--base", tiny_base_folder, "--steps", "1")
    assert run([*words, "--json"]) == code
    told = json.loads(capsys.readouterr().err)["error"]
    assert message in f"{told['message']} {told['hint']}"
    assert place.exists()


def test_another_adapter_of_the_name_is_told(
    place: Path, tiny_base: Base, tiny_base_folder: Path, capsys: Capture
) -> None:
    (drawn,) = call(capsys, "generate", "red <lora:zbk>", "--base", tiny_base_folder, "--steps", "1")["pictures"]
    save_adapter(place / "adapters" / "zbk.safetensors", trained_adapter(tiny_base, seed=9), torch.float32)
    assert run(["picture", "redo", drawn["path"], "--base", str(tiny_base_folder), "--json"]) == 5
    assert "another adapter" in json.loads(capsys.readouterr().err)["error"]["message"]
