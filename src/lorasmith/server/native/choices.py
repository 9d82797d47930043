"""What the server is and has: its state, adapters, bases, and what pictures can be asked for with."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from lorasmith import __version__
from lorasmith.adapters.recommendation import Recommendation
from lorasmith.diffusion.samplers import SAMPLERS
from lorasmith.diffusion.sigmas import SCHEDULE_NAMES
from lorasmith.generation.defaults import default_of, unset_of
from lorasmith.generation.spec import PARAMETERS, UPSCALERS
from lorasmith.server.dependencies import TheService
from lorasmith.server.native import schemas

router = APIRouter()


@router.get("/status", response_model=schemas.StatusAnswer, tags=["server"])
def get_status(service: TheService) -> dict[str, Any]:
    """The server at a glance: queue, base, limits."""
    return {"version": __version__, **service.status()}


@router.get("/adapters", response_model=schemas.AdaptersAnswer, tags=["choices"])
def get_adapters(service: TheService) -> dict[str, Any]:
    """The adapters that prompts can call. New files are seen at once."""
    return {
        "adapters": [
            {
                "name": entry.name,
                "alias": entry.alias,
                "file": entry.file,
                "bytes": entry.bytes,
                "trigger": entry.trigger,
                "rank": entry.rank,
                "base": entry.metadata.get("ss_sd_model_name", ""),
                "problem": entry.problem,
                "strength": recommended.strength if (recommended := Recommendation.read(entry.metadata)) else None,
            }
            for entry in service.catalogue.entries()
        ]
    }


@router.get("/bases", response_model=schemas.BasesAnswer, tags=["choices"])
def get_bases(service: TheService) -> dict[str, Any]:
    """The bases that can be drawn with."""
    default = service.default_base().name
    return {
        "bases": [
            {
                "name": entry.name,
                "is_loaded": entry.name == service.worker.base,
                "is_default": entry.name == default,
                "hash": service.worker.hashes.get(entry.name),
            }
            for entry in service.bases
        ]
    }


@router.get("/choices", response_model=schemas.ChoicesAnswer, tags=["choices"])
def get_choices() -> dict[str, list[str]]:
    """The samplers, noise schedules and upscalers that requests can name."""
    return {"samplers": list(SAMPLERS), "schedules": list(SCHEDULE_NAMES), "upscalers": list(UPSCALERS)}


@router.get("/form", response_model=schemas.FormAnswer, tags=["choices"])
def get_form() -> dict[str, Any]:
    """The fields of a picture with their ranges and defaults, for whoever shows a form."""
    return {
        "fields": [
            {
                "name": known.name,
                "kind": known.kind,
                "label": known.label,
                "help": known.help,
                "default": default_of(known.name, "native"),
                "unset": unset_of(known.name, "native"),
                "least": known.least,
                "most": known.most,
                "step": known.step,
                "choices": list(known.choices),
            }
            for known in PARAMETERS.values()
        ]
    }
