"""What that API answers: pictures as base64, and what it tells of them by its own names."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from lorasmith import __version__
from lorasmith.server.encoding import encode_anew, png_bytes
from lorasmith.server.jobs import Item, Job
from lorasmith.server.service import Service
from lorasmith.server.webui.bodies import Img2Img, Txt2Img
from lorasmith.server.webui.ignored import ignored_fields


def answer(body: Txt2Img | Img2Img, job: Job, service: Service) -> dict[str, Any]:
    shown = [item for item in job.items if item.result is not None or item.preview is not None]
    format = body.override_settings.samples_format or service.options.get("samples_format", "png")
    images = [base64.b64encode(_bytes(item, format)).decode("ascii") for item in shown] if body.send_images else []
    parameters = body.told()
    parameters["override_settings"] = body.override_settings.model_dump(exclude_none=True)
    if isinstance(body, Img2Img) and not body.include_init_images:
        parameters["init_images"] = parameters["mask"] = None
    return {
        "images": images,
        "parameters": parameters,
        "info": json.dumps(_info(body, job, service), ensure_ascii=False),
    }


def _bytes(item: Item, format: str) -> bytes:
    png = _png(item)
    return png if format == "png" else encode_anew(png, "WEBP" if format == "webp" else "JPEG")


def _png(item: Item) -> bytes:
    if item.result is not None and item.result.png is not None:
        return item.result.png
    assert item.preview is not None
    return png_bytes(item.preview)


def _info(body: Txt2Img | Img2Img, job: Job, service: Service) -> dict[str, Any]:
    """What that API tells of the pictures, by its own names."""
    specs = [item.spec for item in job.items]
    first = specs[0]
    shown = [item.result for item in job.items if item.result is not None]
    subseeds = [spec.variation.seed if spec.variation else spec.seed for spec in specs]
    drawn = shown[0].document.get("request", {}) if shown else {}
    return {
        "prompt": first.prompt,
        "all_prompts": [spec.prompt for spec in specs],
        "negative_prompt": first.negative,
        "all_negative_prompts": [spec.negative for spec in specs],
        "seed": first.seed,
        "all_seeds": [spec.seed for spec in specs],
        "subseed": subseeds[0],
        "all_subseeds": subseeds,
        "subseed_strength": body.subseed_strength,
        "seed_resize_from_w": 0,
        "seed_resize_from_h": 0,
        "width": drawn.get("width", first.width),
        "height": drawn.get("height", first.height),
        "sampler_name": first.sampler,
        "cfg_scale": first.cfg,
        "steps": first.steps,
        "batch_size": body.batch_size,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": first.base,
        "sd_model_hash": service.worker.hashes.get(job.items[0].base, "")[:10],
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "denoising_strength": body.denoising_strength if first.init or first.hires else None,
        "extra_generation_params": {"Schedule type": first.schedule},
        "index_of_first_image": 0,
        "infotexts": [result.infotext for result in shown],
        "styles": body.styles,
        "job_timestamp": time.strftime("%Y%m%d%H%M%S", time.localtime(job.created)),
        "clip_skip": first.clip_skip,
        "is_using_inpainting_conditioning": False,
        "warnings": [advice["message"] for advice in service.advise(specs)],
        "version": f"lorasmith {__version__}",
        "ignored": ignored_fields(body, isinstance(body, Img2Img) and bool(body.mask)),
    }


def png_base64(image: Any) -> str:
    """A picture as the base64 of a PNG."""
    return base64.b64encode(png_bytes(image)).decode("ascii")
