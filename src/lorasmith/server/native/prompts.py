"""Prompts by our API: taken apart, and made of templates."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from lorasmith.prompts import parse
from lorasmith.server.native import schemas

router = APIRouter()


@router.post("/prompts/parse", response_model=schemas.ParseAnswer, tags=["prompts"])
def parse_prompt(body: schemas.ParseRequest) -> dict[str, Any]:
    """Take a prompt apart: adapters, parts, schedule, emphasis."""
    return parse(body.text, body.steps, body.compat, body.hires_steps).as_json()


@router.post("/prompts/expand", response_model=schemas.ExpandAnswer, tags=["prompts"])
def expand_prompt(body: schemas.ExpandRequest) -> dict[str, Any]:
    """Prompts out of a template: ``{a|b}``, ``{2$$a|b|c}``, ``${x={a|b}}`` and the like."""
    from lorasmith.prompts.dynamic import Seeds, count_prompts, expand, read_template

    template = read_template(body.template)
    seeds = Seeds(body.seed, body.prompt_seed)
    count = count_prompts(template)
    return {
        "prompts": [
            {"prompt": each.prompt, "seed": each.seed, "prompt_seed": each.prompt_seed, "turn": each.turn}
            for each in expand(template, body.n, seeds, body.mode)
        ],
        "count": count if count < 2**53 else None,
    }
