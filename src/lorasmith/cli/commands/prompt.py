"""`lorasmith prompt`: what prompts say, without drawing them."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from lorasmith.cli.rendering import print_json, say
from lorasmith.errors import PromptError, UsageError

app = typer.Typer(help="Read and expand prompts without drawing them.", no_args_is_help=True)

DEFAULT_STEPS = 20


@app.command()
def parse(
    text: Annotated[str | None, typer.Argument(metavar="[PROMPT]", help="The prompt; or none with --jsonl.")] = None,
    steps: Annotated[int, typer.Option(help="Steps of the picture.")] = DEFAULT_STEPS,
    compat: Annotated[str | None, typer.Option(help='Dialect: "a1111" for that tool\'s quirks.')] = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help='Read {"text", "steps"} lines, write one each.')] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Take a prompt apart: adapters, parts, schedule, emphasis.

    Example: lorasmith prompt parse "a (red:1.2) hat <lora:zbk:0.8>"
    """
    if jsonl:
        for line in sys.stdin:
            if line.strip():
                print_json(_answer(line), indent=None)
        return
    if text is None:
        raise UsageError("no prompt given.", hint="Write it behind the command, or pipe lines in with --jsonl.")
    document = _parse({"text": text, "steps": steps, "compat": compat})
    if as_json:
        print_json(document)
        return
    _show(document)


def _answer(line: str) -> dict[str, Any]:
    """The answer to one line; what is wrong with it becomes {"error": ...}, so that lines stay aligned."""
    try:
        return _parse(json.loads(line))
    except PromptError as fault:
        return {"error": str(fault)}
    except (ValueError, RecursionError) as fault:
        return {"error": f"not a line of JSON: {fault}"}


def _parse(question: object) -> dict[str, Any]:
    from lorasmith.prompts import parse as parse_prompt
    from lorasmith.prompts.compatibility import read_compat

    if not isinstance(question, dict) or not isinstance(question.get("text"), str):
        raise PromptError('expected {"text": "...", "steps": n}.')
    hires = question.get("hires_steps")
    return parse_prompt(
        question["text"],
        _steps("steps", question.get("steps", DEFAULT_STEPS)),
        read_compat(question.get("compat")),
        # A1111's API says 0 for "no second pass".
        None if not hires else _steps("hires_steps", hires),
    ).as_json()


def _steps(word: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10_000:
        raise PromptError(f"{word} = {value!r} is not a whole number between 1 and 10000.")
    return value


def _show(document: dict[str, Any]) -> None:
    for network in document["networks"]:
        ranks = "" if network["dyn"] is None else f", first {network['dyn']} ranks"
        say(f"adapter    {network['name']}: text {network['te']:g}, denoiser {network['unet']:g}{ranks}")
    for text, weight in document["subprompts"]:
        say(f"part       {weight:g} x {text!r}")
    for end, text in document["schedule"]:
        say(f"to step {end:<3}{text!r}")
    for text, weight in document["attention"]:
        say("new chunk" if weight == -1 and text == "BREAK" else f"emphasis   {weight:.3g} x {text!r}")
