"""What the A1111 web UI accepts and answers, it is accepted and answered here (rows C5 and C6 of the faults).

Sources: AUTOMATIC1111/stable-diffusion-webui 1.10: modules/api/api.py, modules/api/models.py, modules/processing.py,
modules/infotext_utils.py, modules/images.py, modules/scripts.py, modules/progress.py, modules/ui_extra_networks.py.
"""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageChops
from PIL.PngImagePlugin import PngInfo

from lorasmith.bases.hashing import hash_base
from lorasmith.server.settings import Limits
from lorasmith.server.texts import find_half
from lorasmith.server.uvicorn_server import UvicornServer
from lorasmith.server.webui.infotexts import read_parameters
from tests.server.running import Plain, plain_settings, running, wait_for

BODY = {"prompt": "red", "sampler_name": "Euler", "steps": 2, "width": 64, "height": 64, "seed": 5}
HALF = "\ud83d"


def as_base64(image: Image.Image, format: str = "PNG", **options: Any) -> str:
    held = io.BytesIO()
    image.save(held, format, **options)
    return base64.b64encode(held.getvalue()).decode("ascii")


@pytest.fixture(scope="module")
def served(
    tiny_base_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[httpx.Client, UvicornServer, Path]]:
    folder = tmp_path_factory.mktemp("answers")
    adapters = folder / "adapters"
    (adapters / "inner").mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(adapters / "inner" / "zbk.preview.png")
    (folder / "secret.png").write_bytes((adapters / "inner" / "zbk.preview.png").read_bytes())
    settings = plain_settings(folder, adapters=(adapters,), bases=(str(tiny_base_folder),))
    with running(settings, Plain()) as (client, server):
        yield client, server, tiny_base_folder


@pytest.fixture
def client(served: tuple[httpx.Client, UvicornServer, Path]) -> httpx.Client:
    return served[0]


def txt2img(client: httpx.Client, status: int = 200, **changes: Any) -> Any:
    answer = client.post("/sdapi/v1/txt2img", json={**BODY, **changes})
    assert answer.status_code == status, answer.text
    return answer.json()


def info_of(answer: Any) -> dict[str, Any]:
    info: dict[str, Any] = json.loads(answer["info"])
    return info


# png-info


def test_sizes_are_split_and_what_is_not_said_has_its_default() -> None:
    """infotext_utils.parse_generation_parameters."""
    found = read_parameters(
        "a (cat)\r\nNegative prompt: dog\r\nSteps: 2, Sampler: Euler a, CFG scale: 7, Size: 512x768"
    )
    assert found == {
        "Prompt": "a (cat)",
        "Negative prompt": "dog",
        "Steps": "2",
        "Sampler": "Euler a",
        "CFG scale": "7",
        "Size-1": "512",
        "Size-2": "768",
        "Clip skip": "1",
        "Hires resize-1": 0,
        "Hires resize-2": 0,
        "Hires sampler": "Use same sampler",
        "Hires schedule type": "Use same scheduler",
        "Hires checkpoint": "Use same checkpoint",
        "Hires prompt": "",
        "Hires negative prompt": "",
        "Mask mode": "Inpaint masked",
        "Masked content": "original",
        "Inpaint area": "Whole picture",
        "Masked area padding": 32,
        "RNG": "GPU",
        "Schedule type": "Automatic",
        "Schedule max sigma": 0,
        "Schedule min sigma": 0,
        "Schedule rho": 0,
        "VAE Encoder": "Full",
        "VAE Decoder": "Full",
        "FP8 weight": "Disable",
        "Refiner switch by sampling steps": False,
        "Emphasis": "Original",
    }


def test_an_old_first_pass_is_restored() -> None:
    """infotext_utils.restore_old_hires_fix_params."""
    found = read_parameters("a\nSteps: 2, Sampler: Euler a, CFG scale: 7, Size: 1024x768, First pass size: 512x384")
    assert (found["Size-1"], found["Size-2"]) == (512, 384)
    assert (found["Hires resize-1"], found["Hires resize-2"]) == (1024, 768)


def test_png_info_tells_every_text_of_the_file(client: httpx.Client) -> None:
    """images.read_info_from_image: all of image.info but the format's own keys."""
    text = PngInfo()
    text.add_text("parameters", "a cat\nSteps: 2, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 8x8")
    text.add_text("Software", "somebody")
    text.add_text("workflow", '{"nodes": []}')
    picture = as_base64(Image.new("RGB", (8, 8)), pnginfo=text, dpi=(72, 72))
    answer = client.post("/sdapi/v1/png-info", json={"image": picture}).json()
    assert answer["info"].startswith("a cat\nSteps: 2")
    assert answer["items"]["Software"] == "somebody"
    assert answer["items"]["workflow"] == '{"nodes": []}'
    assert "dpi" not in answer["items"]
    assert (answer["parameters"]["Size-1"], answer["parameters"]["Size-2"]) == ("8", "8")
    bare = client.post("/sdapi/v1/png-info", json={"image": as_base64(Image.new("RGB", (8, 8)))}).json()
    assert (bare["info"], bare["parameters"]["Clip skip"]) == ("", "1")


# What is accepted


@pytest.mark.parametrize(
    "second",
    [
        {"hr_sampler_name": "Euler"},
        {"hr_sampler_name": "euler", "hr_scheduler": "Automatic"},
        {"hr_sampler_name": "Use same sampler", "hr_scheduler": "Use same scheduler"},
        {"hr_checkpoint_name": "tiny-sd1"},
        {"hr_checkpoint_name": "Use same checkpoint", "hr_sampler_name": None},
    ],
)
def test_a_second_pass_may_name_what_the_first_has(client: httpx.Client, second: dict[str, Any]) -> None:
    """processing.StableDiffusionProcessingTxt2Img.hr_sampler_name and the rest name the second pass's own."""
    assert info_of(txt2img(client, enable_hr=True, **second))["ignored"] == []


def test_a_second_pass_with_another_sampler_is_refused_by_name(client: httpx.Client) -> None:
    answer = txt2img(client, 422, enable_hr=True, hr_sampler_name="DPM++ 2M")
    assert answer["error"]["where"] == "hr_sampler_name"


@pytest.mark.parametrize("digits", [8, 10, 64])
def test_a_base_by_its_hash(served: tuple[httpx.Client, UvicornServer, Path], digits: int) -> None:
    """sd_models.CheckpointInfo.ids: the old hash of 8 digits' length, the short hash of 10, sha256."""
    digest = hash_base(served[2])[:digits]
    info = info_of(txt2img(served[0], override_settings={"sd_model_checkpoint": digest}))
    assert info["sd_model_name"] == "tiny-sd1"
    assert txt2img(served[0], 422, override_settings={"sd_model_checkpoint": "0" * digits})


@pytest.mark.parametrize("changes", [{"steps": 201}, {"eta": 1.5, "sampler_name": "Euler a"}, {"eta": 3}])
def test_numbers_that_are_accepted_there(client: httpx.Client, changes: dict[str, Any]) -> None:
    """models.py sets no bounds; k-diffusion's get_ancestral_step keeps any eta within the step."""
    txt2img(client, **changes)


@pytest.mark.parametrize("name", ["Seed", "Sampler", "seed", "Refiner"])
def test_always_on_scripts_that_are_always_there(client: httpx.Client, name: str) -> None:
    """scripts.setup_scrips: with is_ui false, Seed and Sampler (setup_for_ui_only) change nothing; they are taken."""
    info = info_of(txt2img(client, alwayson_scripts={name: {"args": [77, False, 3, 0.5, 0, 0]}}))
    assert info["seed"] == 5
    assert info["ignored"] == [f"alwayson_scripts.{name}"]
    assert info_of(txt2img(client, alwayson_scripts={name: {"args": []}}))["ignored"] == []
    assert "not found" in txt2img(client, 422, alwayson_scripts={"ADetailer": {"args": []}})["detail"]


def test_a_mask_of_another_size(client: httpx.Client) -> None:
    """processing.StableDiffusionProcessingImg2Img.init: picture and mask are brought to the size each by itself."""
    mask = Image.new("L", (32, 16), 0)
    mask.paste(255, (16, 0, 32, 16))
    body = {**BODY, "init_images": [as_base64(Image.new("RGB", (64, 64), "white"))], "mask": as_base64(mask)}
    answer = client.post("/sdapi/v1/img2img", json={**body, "mask_blur": 100})
    assert answer.status_code == 200, answer.text
    answer = client.post("/sdapi/v1/img2img", json={**body, "mask_blur_x": 0, "mask_blur_y": 8})
    assert answer.status_code == 200, answer.text
    assert info_of(answer.json())["ignored"] == []


def test_a_mask_is_blurred_each_way_by_its_own() -> None:
    """processing.py: mask_blur_x and mask_blur_y, and mask_blur for both where it is given."""
    from lorasmith.server.webui.bodies import Img2Img
    from lorasmith.server.webui.specs import _mask

    dot = Image.new("L", (64, 64), 0)
    dot.paste(255, (28, 28, 36, 36))
    image = as_base64(dot)

    def blurred(**blur: Any) -> Image.Image:
        return _mask(Img2Img(mask=image, **blur), 10_000)

    across = blurred(mask_blur_x=4, mask_blur_y=0)
    assert across.getpixel((25, 32)) != 0
    assert across.getpixel((32, 25)) == 0
    both = blurred(mask_blur=4, mask_blur_x=0, mask_blur_y=0)
    assert ImageChops.difference(both, blurred()).getbbox() is None


def test_lines_end_as_in_the_text(client: httpx.Client) -> None:
    """gradio and the A1111 text know line feeds alone."""
    info = info_of(txt2img(client, prompt="one\r\ntwo\rthree", negative_prompt="a\r\nb"))
    assert info["prompt"] == "one\ntwo\nthree"
    assert info["all_negative_prompts"] == ["a\nb"]
    assert "\r" not in info["infotexts"][0]


# Half characters


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/sdapi/v1/txt2img", {"prompt": HALF}, "prompt"),
        ("/sdapi/v1/txt2img", {"prompt": "a", "styles": ["x", HALF]}, "styles.1"),
        ("/sdapi/v1/txt2img", {"prompt": "a", "alwayson_scripts": {HALF: {}}}, "alwayson_scripts"),
        ("/sdapi/v1/txt2img", {"prompt": "a", "sampler_name": HALF}, "sampler_name"),
        ("/sdapi/v1/options", {"sd_model_checkpoint": HALF}, "sd_model_checkpoint"),
        ("/sdapi/v1/png-info", {"image": HALF}, "image"),
        ("/api/v1/jobs", {"pictures": [{"prompt": HALF}]}, "pictures.0.prompt"),
        ("/api/v1/jobs", {"pictures": [{"prompt": "a", "negative": HALF}]}, "pictures.0.negative"),
        ("/api/v1/prompts/expand", {"template": f"a{HALF}"}, "template"),
        ("/internal/progress", {"id_task": HALF}, "id_task"),
    ],
)
def test_half_a_character_is_named(client: httpx.Client, path: str, body: dict[str, Any], where: str) -> None:
    answer = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["where"] == where


def test_whole_characters_that_are_spelt_in_halves_pass(client: httpx.Client) -> None:
    answer = client.post(
        "/sdapi/v1/txt2img",
        content=json.dumps({**BODY, "prompt": "a 😀"}),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 200
    assert find_half({"a": ["b", {"c": "d\udc00"}]}) == "a.1.c"


# Fields that were ignored


@pytest.mark.parametrize(
    ("changes", "ignored"),
    [
        ({"restore_faces": True}, ["restore_faces"]),
        ({"refiner_checkpoint": "other", "refiner_switch_at": 0.8}, ["refiner_checkpoint"]),
        ({"styles": ["mine"]}, ["styles"]),
        ({"override_settings": {"eta_noise_seed_delta": 31337}}, ["override_settings.eta_noise_seed_delta"]),
        ({"seed_resize_from_h": 512, "s_churn": 2, "s_tmax": 9}, ["seed_resize_from_h", "s_churn", "s_tmax"]),
        ({"never_heard_of": 1}, ["never_heard_of"]),
        ({"never_heard_of": 0}, ["never_heard_of"]),
        (
            {"restore_faces": False, "refiner_checkpoint": "", "s_tmax": 0, "s_noise": 1.0, "script_args": [1]}
            | {"do_not_save_grid": True, "do_not_save_samples": True, "seed_resize_from_h": -1, "styles": []}
            | {"override_settings": {"sd_vae": "Automatic"}, "comments": None, "refiner_switch_at": None},
            [],
        ),
    ],
)
def test_what_is_not_done_is_named(client: httpx.Client, changes: dict[str, Any], ignored: list[str]) -> None:
    answer = txt2img(client, **changes)
    assert info_of(answer)["ignored"] == ignored
    assert "never_heard_of" not in answer["parameters"]


def test_extra_networks_can_be_disabled(client: httpx.Client) -> None:
    """processing.process_images_inner: nothing is activated, and the tags are no part of the text."""
    answer = txt2img(client, prompt="red <lora:nobody:1> hat", disable_extra_networks=True)
    assert info_of(answer)["prompt"] == "red  hat"
    txt2img(client, 422, prompt="red <lora:nobody:1> hat")


def test_an_infotext_fills_what_is_left_out(client: httpx.Client) -> None:
    """api.Api.apply_infotext: fields that are set go before; a base that is not there is passed over."""
    text = (
        "blue hat\nNegative prompt: dog\nSteps: 3, Sampler: DDIM, Schedule type: Karras, CFG scale: 4.5, Seed: 9,"
        " Size: 128x64, Model hash: 0123456789, Model: other, Clip skip: 2, Denoising strength: 0.4, Hires upscale: 2,"
        " Hires upscaler: Latent"
    )
    answer = client.post("/sdapi/v1/txt2img", json={"infotext": text, "steps": 2, "sampler_index": "Euler"})
    info = info_of(answer.json())
    assert (info["prompt"], info["negative_prompt"], info["seed"], info["cfg_scale"]) == ("blue hat", "dog", 9, 4.5)
    assert (info["steps"], info["sampler_name"]) == (2, "Euler")
    assert info["extra_generation_params"] == {"Schedule type": "Karras"}
    assert (info["clip_skip"], info["denoising_strength"]) == (2, 0.4)
    assert (info["width"], info["height"]) == (128, 64)
    start = as_base64(Image.new("RGB", (64, 64)))
    answer = client.post("/sdapi/v1/img2img", json={"infotext": text, "init_images": [start], "prompt": "mine"})
    assert info_of(answer.json())["prompt"] == "mine"
    assert info_of(answer.json())["denoising_strength"] == 0.4


def test_the_first_pass_of_old_requests(served: tuple[httpx.Client, UvicornServer, Path]) -> None:
    """processing.StableDiffusionProcessingTxt2Img.__post_init__: `width` is the finished one, firstphase the first."""
    from lorasmith.server.webui.bodies import Txt2Img
    from lorasmith.server.webui.specs import specs_of

    service = served[1].service
    body = {**BODY, "enable_hr": True, "width": 192, "height": 128, "firstphase_width": 96, "firstphase_height": 64}
    with service.inputs.request() as inputs:
        (spec,) = specs_of(service, inputs, Txt2Img(**body))
    assert (spec.width, spec.height) == (96, 64)
    assert spec.hires is not None
    assert (spec.hires.width, spec.hires.height) == (192, 128)


@pytest.mark.parametrize(("name", "format"), [("jpg", "JPEG"), ("WEBP", "WEBP"), ("png", "PNG")])
def test_the_format_of_the_answer(client: httpx.Client, name: str, format: str) -> None:
    """api.encode_pil_to_base64 with opts.samples_format; the text goes along."""
    answer = txt2img(client, override_settings={"samples_format": name})
    picture = answer["images"][0]
    assert Image.open(io.BytesIO(base64.b64decode(picture))).format == format
    told = client.post("/sdapi/v1/png-info", json={"image": picture}).json()
    assert told["info"] == info_of(answer)["infotexts"][0]
    txt2img(client, 422, override_settings={"samples_format": "bmp"})


# Routes


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("GET", "/sdapi/v1/extensions", []),
        ("POST", "/sdapi/v1/unload-checkpoint", {}),
        ("POST", "/sdapi/v1/reload-checkpoint", {}),
        ("GET", "/sdapi/v1/lycos", []),
        ("POST", "/sdapi/v1/refresh-lycos", None),
        ("GET", "/internal/ping", {}),
        ("GET", "/login_check", None),
    ],
)
def test_routes_that_clients_call(client: httpx.Client, method: str, path: str, answer: Any) -> None:
    got = client.request(method, path)
    assert (got.status_code, got.json()) == (200, answer)


def test_a_checkpoint_is_unloaded_and_comes_back(served: tuple[httpx.Client, UvicornServer, Path]) -> None:
    client, server, _ = served
    txt2img(client)
    assert server.service.worker.base == "tiny-sd1"
    client.post("/sdapi/v1/unload-checkpoint")
    wait_for(lambda: server.service.worker.base is None)
    txt2img(client)
    assert server.service.worker.base == "tiny-sd1"


def test_a_token_is_asked_for_at_the_login_check(tmp_path: Path) -> None:
    with running(plain_settings(tmp_path, token="a-token-for-tests"), Plain()) as (client, _):
        assert client.get("/login_check").status_code == 200
        assert client.get("/login_check", headers={"authorization": ""}).status_code == 401


def test_the_progress_of_a_named_task(tmp_path: Path) -> None:
    """progress.progressapi: active, queued, completed; nothing of unknown names."""
    loader = Plain()
    with running(plain_settings(tmp_path, limits=Limits()), loader) as (client, _):

        def progress(name: str) -> dict[str, Any]:
            told: dict[str, Any] = client.post("/internal/progress", json={"id_task": name}).json()
            return told

        assert [progress("task(x)")[key] for key in ("active", "queued", "completed")] == [False] * 3
        loader.gate.clear()
        thread = threading.Thread(target=lambda: txt2img(client, force_task_id="task(x)"))
        thread.start()
        wait_for(lambda: bool(progress("task(x)")["active"]))
        assert progress("task(x)")["progress"] == 0
        loader.gate.set()
        thread.join(60)
        assert progress("task(x)")["completed"] is True


@pytest.mark.parametrize("name", ["inner/zbk.preview.png", "inner/zbk.safetensors", "inner/zbk"])
def test_a_thumbnail(client: httpx.Client, name: str) -> None:
    got = client.get("/sd_extra_networks/thumb", params={"filename": name})
    assert (got.status_code, got.headers["content-type"]) == (200, "image/png")


@pytest.mark.parametrize(
    "name", ["", "../secret.png", "inner/../../secret.png", "/etc/passwd", "inner/nobody.png", "\0", "inner"]
)
def test_no_other_file_is_a_thumbnail(client: httpx.Client, name: str) -> None:
    assert client.get("/sd_extra_networks/thumb", params={"filename": name}).status_code == 404
