"""B6: textual inversion files, and embeddings in adapters' files, are called by their name in a prompt on every face.

A1111, modules/textual_inversion/textual_inversion.py (`find_embedding_at_position`) and modules/sd_hijack_clip.py
(`tokenize_line`); ComfyUI, comfy/sd1_clip.py (`tokenize_with_weights`) for ``embedding:NAME``.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageChops
from safetensors.torch import load_file, save_file

from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base
from lorasmith.cli.main import run
from lorasmith.exam.drawing import PipelineArtist, Row
from lorasmith.exam.settings import read_settings
from tests.adapters.drawing import trained_adapter
from tests.projects import build_project

Capture = pytest.CaptureFixture[str]


def vectors(rows: int, width: int, seed: int) -> torch.Tensor:
    return 3 * torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def here(tmp_path: Path, tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An adapter that brings an embedding, one in a file of its own, and one for another base."""
    monkeypatch.chdir(tmp_path)
    adapter = save_adapter(tmp_path / "adapters" / "zbk.safetensors", trained_adapter(tiny_base), torch.float32)
    tensors = load_file(adapter)
    save_file(tensors | {"bundle_emb.Inner.emb_params": vectors(2, 32, 2)}, adapter)
    (tmp_path / "embeddings").mkdir()
    save_file({"emb_params": vectors(3, 32, 1)}, tmp_path / "embeddings" / "Qann.safetensors")
    save_file({"emb_params": vectors(1, 768, 3)}, tmp_path / "embeddings" / "wide.safetensors")
    return tmp_path


def generate(base: Path, prompt: str, *more: str) -> int:
    return run(["generate", prompt, "--base", str(base), "--seed", "1", "--steps", "2", "--out", "out", *more])


def drawn(base: Path, prompt: str, capsys: Capture, *more: str) -> Image.Image:
    assert generate(base, prompt, "--json", *more) == 0
    (picture,) = json.loads(capsys.readouterr().out)["pictures"]
    return Image.open(picture["path"]).convert("RGB")


def alike(one: Image.Image, other: Image.Image) -> bool:
    return ImageChops.difference(one, other).getbbox() is None


def test_a_name_in_a_prompt_acts(here: Path, tiny_base_folder: Path, capsys: Capture) -> None:
    without = drawn(tiny_base_folder, "red, zann", capsys)
    plain, small, marked = (
        drawn(tiny_base_folder, f"red, {name}", capsys) for name in ("Qann", "qANN", "embedding:qann")
    )
    assert alike(plain, small)
    assert alike(plain, marked)
    assert not alike(plain, without)
    (here / "embeddings" / "Qann.safetensors").rename(here / "adapters" / "Qann.safetensors")
    assert alike(plain, drawn(tiny_base_folder, "red, qann", capsys))
    (here / "adapters" / "Qann.safetensors").rename(here / "gone.safetensors")
    assert not alike(plain, drawn(tiny_base_folder, "red, qann", capsys))


def test_a_name_in_the_negative_prompt_acts(here: Path, tiny_base_folder: Path, capsys: Capture) -> None:
    without, acting = (drawn(tiny_base_folder, "red", capsys, "--negative", text) for text in ("blue", "blue, qann"))
    assert not alike(without, acting)
    assert here.is_dir()


def test_an_adapter_s_own_embedding_acts_with_it(here: Path, tiny_base_folder: Path, capsys: Capture) -> None:
    off, on = (drawn(tiny_base_folder, f"red, {name} <lora:zbk:0>", capsys) for name in ("outer", "inner"))
    assert not alike(off, on)
    alone = drawn(tiny_base_folder, "red, inner", capsys)
    (here / "adapters" / "zbk.safetensors").unlink()
    assert alike(alone, drawn(tiny_base_folder, "red, inner", capsys)), "its adapter is not called"


def test_another_width_is_an_error_that_says_so(here: Path, tiny_base_folder: Path, capsys: Capture) -> None:
    assert generate(tiny_base_folder, "red, wide") == 8
    said = " ".join(capsys.readouterr().err.split())
    assert 'embedding "wide" does not fit this base' in said
    assert "have 768 numbers" in said
    assert "take 32" in said
    assert not (here / "out").exists()


def test_tokens_are_counted_with_its_vectors(here: Path, tiny_base_folder: Path, capsys: Capture) -> None:
    for prompt, count in (("red qann", [4]), ("red " * 73 + "qann", [73, 3]), ("red inner <lora:zbk:1>", [3])):
        assert run(["prompt", "explain", prompt, "--base", str(tiny_base_folder), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["chunks"] == count
    assert here.is_dir()


def test_a_grid_draws_with_it(here: Path, tiny_base_folder: Path, capsys: Capture) -> None:
    words = ["grid", "adapters/zbk.safetensors", "--prompt", "red, qann, inner", "--strengths", "1", "--steps", "2"]
    pages = []
    for name in ("first", "second"):
        assert run([*words, "--base", str(tiny_base_folder), "--out", name, "--json"]) == 0
        cells = json.loads(capsys.readouterr().out)["cells"]
        assert cells
        assert not any(cell.get("error") for cell in cells)
        pages.append([Image.open(cell["path"]).convert("RGB") for cell in cells])
        (here / "embeddings").rename(here / f"gone-{name}") if name == "first" else None
    assert not any(alike(one, other) for one, other in zip(*pages, strict=True))


def test_the_exam_draws_with_it(here: Path, tiny_base: Base) -> None:
    project = build_project(here / "p")
    adapter = here / "p" / "runs" / "1" / "zbk.safetensors"
    adapter.parent.mkdir(parents=True)
    (here / "adapters" / "zbk.safetensors").rename(adapter)
    (here / "embeddings").rename(project.root / "embeddings")
    settings = read_settings(project, {"steps": 2, "sampler": "Euler a"})

    def picture() -> Image.Image:
        (drawn,) = PipelineArtist(tiny_base, [adapter], settings).draw([Row("red, qann", 1, None)])
        return drawn

    acting = picture()
    (project.root / "embeddings").rename(here / "gone")
    assert not alike(acting, picture())
