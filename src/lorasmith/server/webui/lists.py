"""Options and lists of that API: what can be chosen here, and empty lists of what there is not."""

from __future__ import annotations

import os
from typing import Any

from fastapi import APIRouter

from lorasmith.diffusion.samplers import SAMPLERS
from lorasmith.diffusion.sigmas import SCHEDULE_NAMES
from lorasmith.generation.spec import LATENT_UPSCALERS
from lorasmith.server.dependencies import TheService
from lorasmith.server.metrics import resident_bytes
from lorasmith.server.webui.bodies import Options
from lorasmith.server.webui.specs import SAMPLER_ALIASES, set_options

router = APIRouter()
PIXEL_UPSCALERS = ("None", "Lanczos", "Nearest")


@router.get("/options")
def get_options(service: TheService) -> dict[str, Any]:
    """The options that mean something here."""
    base = service.default_base()
    return {
        "sd_model_checkpoint": base.name,
        "sd_checkpoint_hash": service.worker.hashes.get(base.name, ""),
        "CLIP_stop_at_last_layers": service.options.get("CLIP_stop_at_last_layers", 1),
        "emphasis": service.options.get("emphasis", "Original"),
        "samples_format": service.options.get("samples_format", "png"),
        "sd_vae": "Automatic",
        "enable_pnginfo": True,
    }


@router.post("/options")
def post_options(body: Options, service: TheService) -> None:
    """Set options; they outlive the server."""
    set_options(service, body)


@router.get("/sd-models")
def get_models(service: TheService) -> list[dict[str, Any]]:
    """The bases. Hashes are known once a base was loaded."""
    return [
        {
            "title": entry.name,
            "model_name": entry.name,
            "hash": service.worker.hashes.get(entry.name, "")[:10] or None,
            "sha256": service.worker.hashes.get(entry.name),
            "filename": entry.name,
            "config": None,
        }
        for entry in service.bases
    ]


@router.get("/loras")
def get_loras(service: TheService) -> list[dict[str, Any]]:
    """The adapters. Paths are below the server's own folders."""
    return [
        {"name": entry.name, "alias": entry.alias, "path": entry.file, "metadata": dict(entry.metadata)}
        for entry in service.catalogue.entries()
        if entry.problem is None
    ]


@router.post("/unload-checkpoint")
def unload_checkpoint(service: TheService) -> dict[str, Any]:
    """Let the base go; the next picture loads what it needs."""
    service.worker.unload()
    return {}


@router.post("/reload-checkpoint")
def reload_checkpoint() -> dict[str, Any]:
    """Nothing to do: the next picture loads the base."""
    return {}


@router.get("/lycos")
def get_lycos(service: TheService) -> list[dict[str, Any]]:
    """The adapters once more, without an alias (a1111-sd-webui-lycoris, `lycoris_ext.py`, `get_lycos`)."""
    return [{key: value for key, value in each.items() if key != "alias"} for each in get_loras(service)]


@router.post("/refresh-lycos", name="refresh_lycos")
@router.post("/refresh-loras")
def refresh_loras(service: TheService) -> None:
    """Look at the folders; they are looked at whenever it matters anyway."""
    service.catalogue.entries()


@router.get("/samplers")
def get_samplers() -> list[dict[str, Any]]:
    """The samplers by their names in that API."""
    aliases: dict[str, list[str]] = {}
    for alias, name in SAMPLER_ALIASES.items():
        aliases.setdefault(name, []).append(alias)
    return [{"name": name, "aliases": aliases.get(name, []), "options": {}} for name in SAMPLERS]


@router.get("/schedulers")
def get_schedulers() -> list[dict[str, Any]]:
    """How noise levels may fall."""
    return [
        {
            "name": name.lower().replace(" ", "_"),
            "label": name,
            "aliases": None,
            "default_rho": -1,
            "need_inner_model": False,
        }
        for name in SCHEDULE_NAMES
    ]


@router.get("/upscalers")
def get_upscalers() -> list[dict[str, Any]]:
    """The upscalers of pixels."""
    return [
        {"name": name, "model_name": None, "model_path": None, "model_url": None, "scale": 4}
        for name in PIXEL_UPSCALERS
    ]


@router.get("/latent-upscale-modes")
def get_latent_upscale_modes() -> list[dict[str, str]]:
    """The upscalers of latents, for the second pass."""
    return [{"name": name} for name in LATENT_UPSCALERS]


@router.get("/scripts")
def get_scripts() -> dict[str, list[str]]:
    """No scripts."""
    return {"txt2img": [], "img2img": []}


@router.get("/embeddings")
def get_embeddings(service: TheService) -> dict[str, dict[str, Any]]:
    """The embeddings: those that fit the base at hand, and the others."""
    widths = service.default_base().facts.text_widths
    found: dict[str, dict[str, Any]] = {"loaded": {}, "skipped": {}}
    for entry in service.embeddings.entries():
        header = entry.header
        if header is None:  # a pickle is not read
            continue
        fits = widths is None or header.widths == widths
        found["loaded" if fits else "skipped"][entry.name] = {
            "step": header.step,
            "sd_checkpoint": header.checkpoint,
            "sd_checkpoint_name": header.checkpoint_name,
            "shape": sum(header.widths),
            "vectors": header.vectors,
        }
    return found


@router.post("/refresh-embeddings")
def refresh_embeddings(service: TheService) -> None:
    """Look at the folders; they are looked at whenever it matters anyway."""
    service.embeddings.entries()


@router.get("/cmd-flags")
def get_flags(service: TheService) -> dict[str, Any]:
    """How the server was started, as far as that is the client's business."""
    return {"api": True, "api_auth": service.settings.token is not None, "nowebui": False, "listen": False}


@router.get("/memory")
def get_memory() -> dict[str, Any]:
    """Memory in bytes."""
    total = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    used = resident_bytes()
    return {"ram": {"free": total - used, "used": used, "total": total}, "cuda": {"error": "not told"}}


def _empty() -> list[dict[str, Any]]:
    """There are none."""
    return []


for _name in (
    *("sd-vae", "prompt-styles", "hypernetworks", "face-restorers", "realesrgan-models", "script-info", "sd-modules"),
    *("artists", "artist-categories", "extensions"),
):
    router.add_api_route(
        f"/{_name}", _empty, methods=["GET"], name=f"list_{_name}", response_model=list[dict[str, Any]]
    )


@router.post("/refresh-checkpoints")
def refresh_checkpoints() -> None:
    """The bases are those that the server was started with."""


@router.post("/refresh-vae")
def refresh_vae() -> None:
    """Bases bring their own."""
