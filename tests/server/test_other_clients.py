"""Two more clients of A1111's API from PyPI run unchanged against a started server (C6): aaa1111, sd-backend-client."""

from __future__ import annotations

import json
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from sd_backend_client.api.a1111_webservice import A1111Webservice
from sd_backend_client.api.webui.diffusion_request_body import DiffusionRequestBody

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base
from tests.adapters.drawing import trained_adapter
from tests.server.running import Plain, plain_settings, running

with warnings.catch_warnings():  # its type checker dislikes how its types are spelled
    warnings.simplefilter("ignore")
    from aaa1111 import AAA1111
    from aaa1111.types.toimg import IMG2IMG, TXT2IMG

RED = Image.new("RGB", (64, 64), (200, 0, 0))
SMALL: dict[str, Any] = {"steps": 2, "width": 64, "height": 64}


@pytest.fixture
def address(tmp_path: Path, tiny_base: Base) -> Generator[str]:
    folder = tmp_path
    made = Adapter("one", trained_adapter(tiny_base).layers, {"modelspec.trigger_phrase": "zbk"})
    save_adapter(folder / "adapters" / "one.safetensors", made, torch.float32)
    RED.save(folder / "adapters" / "one.png")
    with running(plain_settings(folder / "data", adapters=(folder / "adapters",)), Plain()) as (_, server):
        yield server.address


def test_aaa1111(address: str) -> None:
    """Its types are checked when an answer comes: an attribute of another type would raise.

    Its `png_info` knows no `parameters`, which A1111 gives since 1.6 (`modules/api/models.py`, PNGInfoResponse), and
    its `interrogate` sends no picture: with A1111 both fail, too.
    """
    client = AAA1111(base_url=address)
    drawn = client.txt2img(TXT2IMG(prompt="red", **SMALL))
    assert [each.size for each in drawn.images] == [(64, 64)]
    over = client.img2img(IMG2IMG(prompt="red", init_images=[RED], **SMALL))
    assert [each.size for each in over.images] == [(64, 64)]
    asked_larger = {"image": RED, "upscaling_resize": 2, "upscaler_1": "Lanczos"}
    assert client.extra_single_image(asked_larger).image.size == (128, 128)
    assert client.get_options()["sd_model_checkpoint"] == "doodle"
    client.set_options(sd_model_checkpoint="doodle")
    assert [each.name for each in client.loras()] == ["one"]
    assert {each.name for each in client.samplers()} > {"Euler a", "DPM++ 2S a", "Restart"}
    assert client.progress().progress == 0
    asked: tuple[str, ...] = (
        "cmd_flags",
        "embeddings",
        "face_restorers",
        "hypernetworks",
        "latent_upscale_modes",
        "lycos",
        "memory",
    )
    asked += ("prompt_styles", "realesrgan_models", "script_info", "scripts", "sd_models", "sd_vae", "upscalers")
    asked += ("refresh_checkpoints", "refresh_loras", "refresh_lycos", "unload_checkpoint", "reload_checkpoint")
    for name in (*asked, "interrupt", "skip"):
        getattr(client, name)()


def test_sd_backend_client(address: str) -> None:
    client = A1111Webservice(address)
    body = DiffusionRequestBody()
    body.prompt, body.steps, body.width, body.height = "red", 2, 64, 64
    drawn = client.txt2img(body)
    assert drawn["images"][0].size == (64, 64)
    assert drawn["info"].prompt == "red"
    assert client.submit_txt2img(body).wait().images[0].size == (64, 64)
    assert client.img2img(RED, Image.new("L", RED.size, 255), body)["images"][0].size == (64, 64)
    assert client.upscale(RED, 128, 128)["images"][0].size == (128, 128)
    able = client.get_capabilities()
    assert able.scheduler
    assert not able.controlnet
    assert [each.name for each in client.list_checkpoints()] == ["doodle"]
    assert [each.name for each in client.list_loras()] == ["one"]
    assert client.get_thumbnail("one").size == (64, 64)
    told = client.get(client.Endpoints.EXTRA_NW_DATA, url_params={"page": "lora", "item": "one"}).json()
    assert json.loads(told["metadata"])["modelspec.trigger_phrase"] == "zbk"
    assert client.get(client.Endpoints.EXTRA_NW_DATA, url_params={"page": "lora", "item": "none"}).json() == {}
    assert client.interrogate(RED)
    asked: tuple[str, ...] = (
        "get_config",
        "get_latent_upscale_modes",
        "get_samplers",
        "get_script_info",
        "get_scripts",
        "get_styles",
    )
    asked += ("get_upscalers", "get_vae", "list_schedulers", "list_samplers", "login_check", "progress_check")
    for name in (*asked, "refresh_checkpoints", "refresh_loras", "refresh_vae", "interrupt"):
        getattr(client, name)()
