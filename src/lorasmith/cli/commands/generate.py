"""`lorasmith generate`: pictures from a prompt."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Annotated

import typer

from lorasmith.cli.rendering import print_json, say, show
from lorasmith.errors import UsageError

GREATEST_RANDOM_SEED = 2**32
_SIZE = re.compile(r"(\d+)\s*[xX×]\s*(\d+)")


def command(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What to draw; <lora:NAME:0.8> calls an adapter.")],
    base: Annotated[str, typer.Option(help='"doodle", or a diffusers folder.')] = "doodle",
    seed: Annotated[
        int | None, typer.Option(help="Of the first picture; the next ones count on. Random if none.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Sampling steps.")] = 20,
    cfg: Annotated[float | None, typer.Option(help="Guidance; the base's own if none.")] = None,
    sampler: Annotated[str, typer.Option(help="DDIM, Euler a, Euler, DPM++ 2M, DPM++ 2M Karras.")] = "DDIM",
    size: Annotated[str | None, typer.Option(metavar="WxH", help="In pixels; the base's own if none.")] = None,
    n: Annotated[int, typer.Option("--n", help="How many pictures.")] = 1,
    negative: Annotated[str, typer.Option(help="What to guide away from.")] = "",
    clip_skip: Annotated[int, typer.Option(help="2 takes the text encoder's last but one layer.")] = 1,
    adapters: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Where adapters are (a folder or a file); ./adapters if none."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where pictures go; none is ever overwritten.")] = Path(
        "pictures"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Draw pictures from a prompt; <lora:NAME:0.8> works.

    Example: lorasmith generate "zbk, smile, blue background <lora:zbk:0.8>" --adapters adapters --n 4
    """
    if n < 1:
        raise UsageError(f"--n {n}: at least one picture.")
    width, height = read_size(size)
    folders = find_shelf(adapters)
    from lorasmith.adapters.shelf import AdapterShelf
    from lorasmith.bases.base import load_base
    from lorasmith.generation.pictures import claim_free_path, save_picture
    from lorasmith.generation.request import Request
    from lorasmith.generation.studio import Studio

    first = secrets.randbelow(GREATEST_RANDOM_SEED) if seed is None else seed
    requests = [
        Request(prompt, negative, first + index, steps, cfg, sampler, width, height, clip_skip) for index in range(n)
    ]
    studio = Studio(load_base(base), AdapterShelf(folders))
    drawn = []
    for start in range(0, n, studio.batch_size):  # saved batch by batch: stopping keeps what is finished
        for picture in show(studio.draw(requests[start : start + studio.batch_size]), as_json):
            path = claim_free_path(out, "picture")
            try:
                save_picture(picture, path)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
            drawn.append({"path": path, "seed": picture.request.seed, "prompt": picture.request.prompt})
    if as_json:
        print_json({"pictures": drawn})
        return
    for each in drawn:
        say(f"{each['path']}  seed {each['seed']}")


def read_size(text: str | None) -> tuple[int | None, int | None]:
    """``512x768`` as (width, height); (None, None) for the base's own. Raises UsageError."""
    if text is None:
        return None, None
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f'--size "{text}" is not understood.', hint="Write WIDTHxHEIGHT, for example 512x768.")
    return int(match[1]), int(match[2])


def find_shelf(folders: list[Path] | None) -> list[Path]:
    """The folders given, each of which must exist; else ./adapters if there is one. Raises UsageError."""
    if not folders:
        default = Path("adapters")
        return [default] if default.is_dir() else []
    for folder in folders:
        if not folder.exists():
            raise UsageError("no such file or folder.", where=folder)
    return folders
