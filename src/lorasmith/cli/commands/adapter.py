"""`lorasmith adapter`: what adapter files are, and whether they are what they say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorasmith.cli.rendering import print_json, say

if TYPE_CHECKING:
    from lorasmith.adapters.description import Description

app = typer.Typer(help="Show and verify adapter files.", no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Adapter files (.safetensors).")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def show(files: Files, as_json: AsJson = False) -> None:
    """Show what adapter files are: trigger, base family, rank, layers, hashes, commonest tags.

    Example: lorasmith adapter show my-lora.safetensors
    """
    from lorasmith.adapters.description import describe

    descriptions = [describe(file) for file in files]
    if as_json:
        print_json({"adapters": [description.as_json() for description in descriptions]})
        return
    for description in descriptions:
        _show(description)


@app.command()
def verify(files: Files, as_json: AsJson = False) -> None:
    """Verify that adapter files are whole, finite and truthful; exit status 1 when one is not.

    Example: lorasmith adapter verify adapters/*.safetensors --json
    """
    verdicts = [_verify(file) for file in files]
    if as_json:
        print_json({"adapters": verdicts})
    else:
        for verdict in verdicts:
            say(f"{verdict['path']}: {'in order' if verdict['ok'] else 'not in order'}")
            for problem in verdict["problems"]:
                say(f"  {problem}")
    if not all(verdict["ok"] for verdict in verdicts):
        raise typer.Exit(1)


def _verify(file: Path) -> dict[str, Any]:
    from lorasmith.adapters.description import describe, problems_of
    from lorasmith.errors import AdapterError

    try:
        problems = problems_of(describe(file))
    except AdapterError as fault:
        problems = [str(fault).removeprefix(f"{file}: ")]
    return {"path": str(file), "ok": not problems, "problems": problems}


def _show(description: Description) -> None:
    facts = description.as_json()
    hashes = {True: "correct", False: "WRONG (see: lorasmith adapter verify)", None: "none recorded"}
    layers = facts["layers"]
    alpha = "" if facts["alpha"] is None else f", alpha {facts['alpha']:g}"
    say(str(facts["path"]), style="bold")
    for word, value in (
        ("name", facts["name"]),
        ("trigger", facts["trigger"] or "none recorded"),
        ("base", " ".join(filter(None, (facts["family"] or "unknown family", facts["base"])))),
        ("kind", f"{', '.join(facts['algorithms'])}, rank {facts['rank']}{alpha}"),
        ("layers", f"{layers['unet']} in the denoiser, {layers['text_encoder']} in the text encoders"),
        ("size", f"{facts['bytes']:,} bytes, {facts['keys']} keys, {facts['dtype']}"),
        ("hashes", f"{hashes[facts['hashes']['ok']]} ({facts['hashes']['sshs_model_hash'][:12]})"),
        ("tags", ", ".join(f"{tag} ({count})" for tag, count in facts["tags"]) or "none recorded"),
    ):
        say(f"  {word:<8} {value}")
