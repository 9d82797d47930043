"""Prompts by our API: taken apart, and made of templates."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from lorasmith.prompts import parse
from lorasmith.prompts.advice import advise
from lorasmith.server.dependencies import TheService
from lorasmith.server.native import schemas

router = APIRouter()


@router.post("/prompts/parse", response_model=schemas.ParseAnswer, tags=["prompts"])
def parse_prompt(body: schemas.ParseRequest, service: TheService) -> dict[str, Any]:
    """Take a prompt apart: adapters, parts, schedule, emphasis, and what is doubtful."""
    prompt = parse(body.text, body.steps, body.compat, body.hires_steps)
    advices = advise(body.text, body.steps, body.compat, service.admission)[1]
    return {**prompt.as_json(), "advice": [advice.as_json() for advice in advices]}


@router.post("/prompts/expand", response_model=schemas.ExpandAnswer, tags=["prompts"])
def expand_prompt(body: schemas.ExpandRequest, service: TheService) -> dict[str, Any]:
    """Prompts out of a template: ``{a|b}``, ``{2$$a|b|c}``, ``${x={a|b}}`` and the like; ``__name__`` is a line of the
    list of that name in the server's folder of wildcards."""
    from lorasmith.prompts.dynamic import Seeds, count_prompts, expand, read_template

    template = read_template(body.template, service.wildcards())
    seeds = Seeds(body.seed, body.prompt_seed)
    count = count_prompts(template)
    return {
        "prompts": [
            {"prompt": each.prompt, "seed": each.seed, "prompt_seed": each.prompt_seed, "turn": each.turn}
            for each in expand(template, body.n, seeds, body.mode)
        ],
        "count": count if count < 2**53 else None,
    }
