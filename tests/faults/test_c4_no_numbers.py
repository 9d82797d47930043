"""C4: numbers that are none are an error that names the picture and the cause, on every face.

A1111 stops there, too: `modules/devices.py`, `test_for_nans` raises NansException; without it the picture is black.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import lorasmith
from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base
from lorasmith.bases.text.emphasis import weigh_chunk
from lorasmith.cli.main import run
from lorasmith.errors import BaseError, PromptError
from lorasmith.events import finish
from lorasmith.exam.drawing import PipelineArtist, Row
from lorasmith.exam.settings import read_settings
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import Hires, InitImage, PictureSpec
from lorasmith.prompts import parse, parse_attention
from tests.adapters.drawing import trained_adapter
from tests.projects import build_project
from tests.server.running import finished, plain_settings, running

Capture = pytest.CaptureFixture[str]
NUMBERS = "came to numbers that are none (NaN)"
CAUSE = 'adapter "zbk" has strength 1e+18'
TOO_STRONG = "red <lora:zbk:1e18>"


@pytest.fixture
def folder(tmp_path: Path, tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_adapter(tmp_path / "adapters" / "zbk.safetensors", trained_adapter(tiny_base), torch.float32)
    return tmp_path / "adapters"


@pytest.mark.parametrize("tag", ["1e19", "1e39", "-1e300", "te=0:unet=1e300", "1:lbw=1,1e39" + ",0" * 15, "0@0,1e40@1"])
def test_strengths_beyond_float32_are_told_before_drawing(tag: str) -> None:
    with pytest.raises(PromptError, match="is too great"):
        parse(f"red <lora:zbk:{tag}>", 2)
    with pytest.raises(PromptError, match="is too great"):
        parse("<lora:x:9e17> <lora:x:9e17>", 2)


@pytest.mark.parametrize(
    "spec",
    [
        PictureSpec(TOO_STRONG, seed=9, steps=2),
        PictureSpec("red <lora:zbk:te=1e18:unet=0>", seed=9, steps=2),
        PictureSpec("red <lora:zbk:te=0:unet=-1e18>", seed=9, steps=2),
        PictureSpec("red <lora:zbk:te=0:unet=0@0,1e18@0.5>", seed=9, steps=4, sampler="Euler"),
        PictureSpec("red", seed=9, steps=2, hires=Hires(prompt=TOO_STRONG)),
        PictureSpec(TOO_STRONG, seed=9, steps=2, init=InitImage(image=Image.new("RGB", (64, 64)))),
    ],
    ids=["both", "text", "denoiser", "curve", "second pass", "over a picture"],
)
def test_the_picture_and_the_adapter_are_named(folder: Path, tiny_base: Base, spec: PictureSpec) -> None:
    with pytest.raises(PromptError) as told:
        finish(Pipeline(tiny_base, AdapterCache([folder])).draw([spec]))
    message = str(told.value)
    assert "the picture of seed 9" in message
    assert NUMBERS in message
    assert CAUSE in message


def test_the_base_is_whole_afterwards(folder: Path, tiny_base: Base) -> None:
    pipeline = Pipeline(tiny_base, AdapterCache([folder]))
    (before,) = finish(pipeline.draw([PictureSpec("red", steps=2)]))
    with pytest.raises(PromptError):
        finish(pipeline.draw([PictureSpec(TOO_STRONG, steps=2)] * 9))  # so many are drawn with merged weights
    (after,) = finish(pipeline.draw([PictureSpec("red", steps=2)]))
    assert before.image.tobytes() == after.image.tobytes()


def test_weights_and_guidance_are_causes_too(tiny_base: Base) -> None:
    spec = PictureSpec(f"red AND blue :{'9' * 38}", steps=4, sampler="Euler a")
    with pytest.raises(PromptError, match=r'"blue" has weight 1e\+30'):
        finish(Pipeline(tiny_base).draw([spec]))


def test_emphasis_on_vectors_without_a_mean_is_a_number() -> None:
    """A1111, `sd_emphasis.py`, `EmphasisOriginal` divides by the mean afterwards, which may be 0."""
    hidden = torch.tensor([[[1.0, -1.0], [2.0, -2.0]]])
    assert torch.equal(weigh_chunk(hidden, [1.0, 1.5], "original"), hidden * torch.tensor([1.0, 1.5])[None, :, None])
    shifted = hidden + 1
    theirs = shifted * torch.tensor([1.0, 1.5])[None, :, None]
    assert torch.equal(weigh_chunk(shifted, [1.0, 1.5], "original"), theirs * (shifted.mean() / theirs.mean()))


def test_a_broken_base_is_named(tiny_base: Base) -> None:
    bias = next(iter(tiny_base.denoiser.parameters()))
    kept = bias.data.clone()
    try:
        bias.data.fill_(torch.nan)
        with pytest.raises(BaseError, match="the base makes them by itself"):
            finish(Pipeline(tiny_base).draw([PictureSpec("red", steps=1)]))
    finally:
        bias.data.copy_(kept)
    bias = next(iter(tiny_base.vae.decoder.parameters()))
    kept = bias.data.clone()
    try:
        bias.data.fill_(torch.nan)
        with pytest.raises(BaseError, match="when it was decoded"):
            finish(Pipeline(tiny_base).draw([PictureSpec("red", steps=1)]))
    finally:
        bias.data.copy_(kept)


def test_every_face_tells_it(folder: Path, tiny_base_folder: Path, capsys: Capture) -> None:
    words = ["--base", str(tiny_base_folder), "--steps", "1", "--json"]
    assert run(["generate", TOO_STRONG, "--seed", "9", *words]) == 8
    message = json.loads(capsys.readouterr().err)["error"]["message"]
    assert "the picture of seed 9" in message
    assert CAUSE in message
    assert not list(Path("pictures").glob("*")), "nothing half made is left"
    assert run(["grid", str(folder / "zbk.safetensors"), "--prompt", "red", "--strengths", "1,1e18", *words]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [CAUSE in (cell.get("error") or "") for cell in cells] == [False, False, True]
    with pytest.raises(PromptError, match="numbers that are none"):
        lorasmith.draw(TOO_STRONG, base=tiny_base_folder, adapters=[folder], steps=1)


def test_the_exam_tells_it(folder: Path, tiny_base: Base) -> None:
    settings = read_settings(build_project(folder.parent / "project"), {"steps": 1})
    file = folder / "zbk.safetensors"
    with pytest.raises(PromptError, match="numbers that are none"):
        PipelineArtist(tiny_base, [file], settings).draw([Row("red", 1, file, 1e18)])


def test_the_server_tells_it_and_draws_the_others(folder: Path, tmp_path: Path, tiny_base_folder: Path) -> None:
    settings = plain_settings(tmp_path / "data", adapters=(folder,), bases=(str(tiny_base_folder),))
    with running(settings) as (client, _):
        pictures = [{"prompt": TOO_STRONG, "seed": 9}, {"prompt": "red <lora:zbk:1>"}, {"prompt": "red"}]
        job = client.post("/api/v1/batches", json={"shared": {"prompt": "", "steps": 3}, "pictures": pictures}).json()
        first, *others = finished(client, job["id"])["pictures"]
        assert first["state"] == "failed"
        assert "the picture of seed 9" in first["error"]["message"]
        assert CAUSE in first["error"]["message"]
        assert [each["state"] for each in others] == ["done", "done"]
        for each in others:
            image = Image.open(io.BytesIO(client.get(f"/api/v1/pictures/{each['picture']}/file").content))
            assert image.getbbox() is not None, "not black"
        answer = client.post("/sdapi/v1/txt2img", json={"prompt": TOO_STRONG, "steps": 1, "width": 64, "height": 64})
        assert answer.status_code == 422
        assert CAUSE in answer.json()["error"]["message"]


@pytest.mark.parametrize("nested", ["(a:{0})", "((a:{0}):{0})", "(" * 9000 + "a" + ")" * 9000])
def test_weights_without_end_are_numbers_or_text(nested: str) -> None:
    spans = parse_attention(nested.format("9" * 400))
    assert json.dumps([span.weight for span in spans], allow_nan=False)


def test_parts_without_end_are_text() -> None:
    prompt = parse(f"a AND b :{'9' * 400}", 2)
    assert [part.weight for part in prompt.subprompts] == [1.0, 1.0]
    assert json.dumps(prompt.as_json(), allow_nan=False)
