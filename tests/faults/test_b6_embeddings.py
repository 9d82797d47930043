"""B6: textual inversion files, and embeddings in adapters' files, are called by their name in a prompt on every face.

A1111, modules/textual_inversion/textual_inversion.py (`find_embedding_at_position`) and modules/sd_hijack_clip.py
(`tokenize_line`); ComfyUI, comfy/sd1_clip.py (`tokenize_with_weights`) for ``embedding:NAME``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import load_file, save_file

from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base
from lorasmith.cli.main import run
from lorasmith.exam.drawing import PipelineArtist, Row
from lorasmith.exam.settings import read_settings
from tests.adapters.drawing import trained_adapter
from tests.projects import build_project
from tests.server.running import finished, plain_settings, running

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


def test_a_kept_cell_of_another_embedding_is_drawn_anew(here: Path, tiny_base_folder: Path, capsys: Capture) -> None:
    words = ["grid", "adapters/zbk.safetensors", "--prompt", "red, qann", "--strengths", "1", "--steps", "1", "--json"]
    paths = []
    for seed in (1, 1, 5):
        save_file({"emb_params": vectors(3, 32, seed)}, here / "embeddings" / "Qann.safetensors")
        assert run([*words, "--base", str(tiny_base_folder), "--out", "grid"]) == 0
        paths.append([cell["path"] for cell in json.loads(capsys.readouterr().out)["cells"]])
    assert paths[0] == paths[1]
    assert not set(paths[1]) & set(paths[2])


def test_the_picture_tells_and_redo_checks(here: Path, tiny_base_folder: Path, capsys: Capture) -> None:
    """A1111, modules/sd_hijack_clip.py, `forward`: "TI hashes"; modules/hashes.py: of the whole file, 12 digits."""
    file = here / "embeddings" / "Qann.safetensors"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    assert generate(tiny_base_folder, "red, qann, inner <lora:zbk:1>", "--json") == 0
    path = json.loads(capsys.readouterr().out)["pictures"][0]["path"]
    redo = ["picture", "redo", path, "--base", str(tiny_base_folder), "--json"]
    assert run(["picture", "show", path, "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)["pictures"]
    assert f"TI hashes: Qann: {digest}, Version" in shown["infotext"].replace('"', "")
    told = {each["name"]: each["hash"] for each in shown["lorasmith"]["embeddings"]}
    assert told == {"Qann": digest, "Inner": None}
    assert run(["picture", "show", path]) == 0
    assert f"Qann {digest}" in capsys.readouterr().out
    assert run(redo) == 0
    assert json.loads(capsys.readouterr().out)["same"]
    before = file.read_bytes()
    save_file({"emb_params": vectors(3, 32, 7)}, file)
    assert run(redo) != 0
    assert 'was drawn with another embedding \\"Qann\\"' in capsys.readouterr().err
    file.unlink()
    assert run(redo) == 8
    assert 'embedding \\"Qann\\" is not there' in capsys.readouterr().err
    file.write_bytes(before)
    assert run(redo) == 0


def test_another_tool_s_hashes_are_checked(here: Path, tiny_base_folder: Path, capsys: Capture) -> None:
    digest = hashlib.sha256((here / "embeddings" / "Qann.safetensors").read_bytes()).hexdigest()

    def redo(entry: str) -> int:
        text = PngInfo()
        text.add_text(
            "parameters", f"red, qann\nSteps: 1, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 64x64, {entry}"
        )
        Image.new("RGB", (64, 64)).save(here / "theirs.png", pnginfo=text)
        capsys.readouterr()
        return run(["picture", "redo", "theirs.png", "--base", str(tiny_base_folder), "--json"])

    assert redo(f'TI hashes: "Qann: {digest[:12]}"') == 0
    assert redo('Hashes: "{\\"embed:Qann\\": \\"' + digest[:10] + '\\"}"') == 0
    assert redo('TI hashes: "Qann: 0123456789ab"') != 0
    assert "another embedding" in capsys.readouterr().err
    assert redo('TI hashes: "Bob: 0123456789ab"') == 8
    assert redo("Version: v1.10.1") == 0
    assert "lists no such one" in capsys.readouterr().err


def test_the_web_ui_s_api_lists_and_draws(here: Path, tiny_base_folder: Path) -> None:
    """A1111, modules/api/api.py, `get_embeddings`, `refresh_embeddings`."""
    save_file({"emb_params": vectors(3, 32, 1)}, here / "embeddings" / "old.safetensors", {"step": "40"})
    settings = plain_settings(here / "data", adapters=(here / "adapters",), bases=(str(tiny_base_folder),))
    with running(settings) as (client, _):
        assert client.get("/sdapi/v1/embeddings").json() == {
            "loaded": {
                "old": {"step": 40, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": 32, "vectors": 3},
                "Qann": {"step": None, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": 32, "vectors": 3},
            },
            "skipped": {
                "wide": {"step": None, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": 768, "vectors": 1}
            },
        }
        (here / "embeddings" / "old.safetensors").unlink()
        assert client.post("/sdapi/v1/refresh-embeddings").status_code == 200
        assert set(client.get("/sdapi/v1/embeddings").json()["loaded"]) == {"Qann"}
        ask = {"steps": 1, "seed": 1, "cfg_scale": 1}
        plain, acting = (
            client.post("/sdapi/v1/txt2img", json={**ask, "prompt": f"red, {name}"}).json() for name in ("zann", "qann")
        )
        assert plain["images"] != acting["images"]
        assert "TI hashes: Qann: " in json.loads(acting["info"])["infotexts"][0].replace('"', "")
        for prompt, said in (
            ("wide", "does not fit this base"),
            ("embedding:bob", 'embedding \\"bob\\" is unknown'),
        ):
            for route, negative in (("/sdapi/v1/txt2img", "negative_prompt"), ("/api/v1/jobs", "negative")):
                for texts in ({"prompt": prompt}, {"prompt": "red", negative: prompt}):
                    answer = client.post(route, json={"steps": 1, **texts})
                    assert (answer.status_code, said in answer.text) == (422, True), answer.text
                    assert str(here) not in answer.text
        job = client.post("/api/v1/jobs", json={"prompt": "embedding:inner <lora:zbk:1>", "steps": 1})
        assert job.status_code == 202
        (drawn_one,) = finished(client, job.json()["id"])["pictures"]
        assert drawn_one["state"] == "done"


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
