"""The web UI's client runs its calls unchanged against a started server on a tiny base."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
import webuiapi
from PIL import Image

from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import load_base
from lorasmith.server.uvicorn_server import UvicornServer
from tests.adapters.drawing import trained_adapter
from tests.server.running import Plain, plain_settings, running, wait_for

TOKEN = "a-token-for-tests"
SMALL = {"steps": 2, "width": 64, "height": 64}


@pytest.fixture(scope="module")
def server(
    tiny_base_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[httpx.Client, UvicornServer]]:
    folder = tmp_path_factory.mktemp("served")
    adapters = folder / "adapters"
    adapters.mkdir()
    adapter = replace(trained_adapter(load_base(tiny_base_folder), rank=4, alpha=4.0), name="zbk")
    save_adapter(adapters / "zbk.safetensors", adapter, torch.float32)
    settings = plain_settings(folder, adapters=(adapters,), bases=(str(tiny_base_folder),), token=TOKEN)
    with running(settings) as (client, started):
        yield client, started


@pytest.fixture(scope="module")
def api(server: tuple[httpx.Client, UvicornServer]) -> Any:
    url = httpx.URL(server[1].address)
    return webuiapi.WebUIApi(host=url.host, port=url.port, username="anybody", password=TOKEN)


def test_txt2img_with_an_adapter(api: Any) -> None:
    bare = api.txt2img(prompt="red hat", seed=5, **SMALL)
    result = api.txt2img(
        prompt="red hat <lora:zbk:0.8>", negative_prompt="blue", seed=5, batch_size=2, n_iter=1, **SMALL
    )
    assert [image.size for image in result.images] == [(64, 64)] * 2
    assert result.info["all_seeds"] == [5, 6]
    assert result.info["infotexts"][0] == result.image.info["parameters"]
    assert result.image.info["parameters"].startswith("red hat <lora:zbk:0.8>\nNegative prompt: blue\nSteps: 2")
    assert "Lora hashes" in result.image.info["parameters"]
    assert result.parameters["prompt"] == "red hat <lora:zbk:0.8>"
    assert bare.image.tobytes() != result.image.tobytes()
    again = api.txt2img(prompt="red hat <lora:zbk:0.8>", negative_prompt="blue", seed=5, **SMALL)
    assert again.image.tobytes() == result.image.tobytes()


def test_img2img_and_mask(api: Any) -> None:
    image = Image.new("RGB", (64, 64), "white")
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (32, 0, 64, 64))
    plain = api.img2img(images=[image], prompt="red", seed=1, denoising_strength=0.6, **SMALL)
    masked = api.img2img(images=[image], mask_image=mask, mask_blur=0, prompt="red", seed=1, **SMALL)
    assert plain.image.size == masked.image.size == (64, 64)
    assert masked.image.getpixel((2, 30)) == (255, 255, 255)
    assert masked.parameters["init_images"] is None


def test_second_pass(api: Any) -> None:
    result = api.txt2img(
        prompt="red", seed=1, enable_hr=True, hr_scale=2, hr_second_pass_steps=1, denoising_strength=0.5, **SMALL
    )
    assert result.image.size == (128, 128)


def test_options_and_lists(api: Any) -> None:
    assert api.get_options()["sd_model_checkpoint"] == "tiny-sd1"
    assert api.set_options({"CLIP_stop_at_last_layers": 2, "never_heard_of": 1}) is None
    assert api.get_options()["CLIP_stop_at_last_layers"] == 2
    api.set_options({"CLIP_stop_at_last_layers": 1})
    api.util_set_model("tiny-sd1")
    assert api.util_get_current_model() == "tiny-sd1"
    assert api.util_get_model_names() == ["tiny-sd1"]
    assert "Euler a" in api.util_get_sampler_names()
    assert "automatic" in api.util_get_scheduler_names()
    (lora,) = api.get_loras()
    assert (lora["name"], lora["path"]) == ("zbk", "zbk.safetensors")
    assert api.get_upscalers()[0]["name"] == "None"
    assert {"name": "Latent"} in api.get_latent_upscale_modes()
    assert api.get_memory()["ram"]["total"] > 0
    assert api.get_embeddings() == {"loaded": {}, "skipped": {}}
    assert api.get_scripts() == {"txt2img": [], "img2img": []}
    for empty in (api.get_sd_vae, api.get_prompt_styles, api.get_hypernetworks, api.get_face_restorers):
        assert empty() == []
    assert api.get_realesrgan_models() == []
    assert api.refresh_checkpoints() is None
    assert api.get_cmd_flags()["api_auth"] is True


def test_progress_interrupt_and_skip_when_idle(api: Any) -> None:
    api.util_wait_for_ready(check_interval=0.05)
    progress = api.get_progress()
    assert (progress["progress"], progress["state"]["job_count"]) == (0, 0)
    assert api.interrupt() == {}
    assert api.skip() == {}


def test_png_info_and_extras(api: Any) -> None:
    drawn = api.txt2img(prompt="red hat", seed=5, **SMALL).image
    info = api.png_info(drawn)
    assert info.info.startswith("red hat\nSteps: 2")
    assert info.parameters["Seed"] == "5"
    assert info.parameters["Prompt"] == "red hat"
    larger = api.extra_single_image(drawn, upscaler_1="Lanczos", upscaling_resize=2)
    assert larger.image.size == (128, 128)
    both = api.extra_batch_images([drawn, drawn], upscaler_1="Nearest", upscaling_resize=1.5)
    assert [image.size for image in both.images] == [(96, 96)] * 2


@pytest.mark.parametrize(
    ("changes", "status", "names"),
    [
        ({"steps": 0}, 422, "steps"),
        ({"steps": "many"}, 422, "steps"),
        ({"cfg_scale": -1}, 422, "cfg_scale"),
        ({"width": 8192, "height": 8192}, 422, "width"),
        ({"sampler_name": "Euler b"}, 404, "Sampler not found"),
        ({"scheduler": "sideways"}, 422, "scheduler"),
        ({"script_name": "x/y/z plot"}, 422, "script_name"),
        ({"prompt": "a <lora:zbq:1>"}, 422, "Did you mean zbk"),
        ({"prompt": "a <lora:zbk:strong>"}, 422, "prompt"),
        ({"batch_size": 1000}, 422, "batch_size"),
        ({"override_settings": {"sd_model_checkpoint": "other"}}, 422, "sd_model_checkpoint"),
        ({"never_heard_of": 1}, 200, ""),
        ({"seed": None, "styles": None, "subseed": None}, 200, ""),
    ],
)
def test_wrong_and_unknown(
    server: tuple[httpx.Client, UvicornServer], changes: dict[str, Any], status: int, names: str
) -> None:
    answer = server[0].post("/sdapi/v1/txt2img", json={"prompt": "red", "sampler_name": "Euler", **SMALL, **changes})
    assert answer.status_code == status, answer.text
    assert names in answer.text


@pytest.mark.parametrize(
    "image", ["https://example.org/a.png", "data:image/png;base64,AAAA", "???", "file:///etc/passwd"]
)
def test_what_is_no_picture(server: tuple[httpx.Client, UvicornServer], image: str) -> None:
    for path, body in (("img2img", {"init_images": [image], **SMALL}), ("png-info", {"image": image})):
        answer = server[0].post(f"/sdapi/v1/{path}", json=body)
        assert answer.status_code == 422
        assert answer.json()["error"]["where"] in ("init_images", "image")


def test_a_client_that_leaves_and_one_that_interrupts(tmp_path: Path) -> None:
    loader = Plain(delay=0.05)
    loader.gate.clear()
    with running(plain_settings(tmp_path), loader) as (client, server):
        service = server.service
        body = {"prompt": "long", "sampler_name": "Euler", "steps": 200, "width": 64, "height": 64}
        leaver = HTTPConnection(client.base_url.host, client.base_url.port or 0)
        leaver.request("POST", "/sdapi/v1/txt2img", json.dumps(body), {"content-type": "application/json"})
        wait_for(lambda: bool(service.board.running) and loader.engine is not None)
        leaver.close()
        wait_for(lambda: not service.board.live and not service.board.running)
        assert loader.engine is not None
        loader.gate.set()
        wait_for(lambda: loader.engine is not None and loader.engine.active == 0)
        assert loader.engine.drawn == []

        answers: list[httpx.Response] = []
        thread = threading.Thread(target=lambda: answers.append(client.post("/sdapi/v1/txt2img", json=body)))
        thread.start()
        wait_for(lambda: client.get("/sdapi/v1/progress").json()["current_image"] is not None)
        assert 0 < client.get("/sdapi/v1/progress").json()["progress"] < 1
        client.post("/sdapi/v1/interrupt")
        thread.join(600)
        images = answers[0].json()["images"]
        assert answers[0].status_code == 200
        assert Image.open(io.BytesIO(base64.b64decode(images[0]))).size == (8, 8)
