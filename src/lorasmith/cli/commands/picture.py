"""`lorasmith picture`: what a picture says of itself, and drawing it again from that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorasmith.cli.program import program, typed
from lorasmith.cli.rendering import give_text, print_json, say, show
from lorasmith.errors import BaseError, ImageError

if TYPE_CHECKING:
    from lorasmith.bases.base import Base
    from lorasmith.generation.pictures import Picture, PictureFile

app = typer.Typer(help="Read a picture's recipe, and draw it again from it.")
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
_HIDDEN = ("prompt", "negative")


@app.command("show")
def show_picture(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="PNG, JPEG or WebP, by any tool.")],
    as_json: AsJson = False,
) -> None:
    """Show what pictures say of themselves: prompt, settings, base, adapters.

    Example: lorasmith picture show pictures/picture-0001.png
    """
    from lorasmith.generation.pictures import read_picture

    found = [read_picture(file) for file in files]
    if as_json:
        print_json({"pictures": [_document(each) for each in found]})
        return
    for number, each in enumerate(found):
        if number:
            say("")
        _show(each)


@app.command("redo")
def redo(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A picture that tells how it was drawn.")],
    base: Annotated[str | None, typer.Option(help='The base it was drawn on; needed unless that is "doodle".')] = None,
    adapters: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Where its adapters are (a folder or a file); ./adapters if none."),
    ] = None,
    init: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the picture is now that it was drawn over.")
    ] = None,
    mask: Annotated[Path | None, typer.Option(metavar="FILE", help="Where its mask is now.")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the new one goes; none is ever overwritten.")] = Path(
        "pictures"
    ),
    as_json: AsJson = False,
) -> None:
    """Draw a picture again from its own file, and say whether it is the same to the bit.

    Example: lorasmith picture redo pictures/picture-0001.png --adapters adapters
    """
    from lorasmith.cli.commands.generate import find_shelf
    from lorasmith.face.drawing import save_free
    from lorasmith.generation.pictures import Drawing, read_picture

    recorded = read_picture(file)
    spec = recorded.restore(init, mask)
    shelf = find_shelf(adapters)
    import torch

    from lorasmith.adapters.cache import AdapterCache
    from lorasmith.generation.pipeline import Pipeline

    loaded = _load_base(recorded, base)
    pipeline = Pipeline(loaded, AdapterCache(shelf))
    drawing = recorded.drawing or Drawing()
    if drawing.threads:
        torch.set_num_threads(drawing.threads)
    picture = show(pipeline.redraw(spec, drawing), as_json)
    _check_adapters(recorded, picture)
    path = save_free(replace(picture, origin=(recorded.document or {}).get("origin")), out)
    verdict = _compare(recorded, picture)
    if as_json:
        print_json({"path": path, "of": file, **verdict})
        return
    say(f"{path}  {verdict['message']}", style="green" if verdict["same"] else "yellow")


def _load_base(picture: PictureFile, wanted: str | None) -> Base:
    from lorasmith.bases.base import open_base
    from lorasmith.project import EMBEDDED

    recorded = (picture.document or {}).get("base") or {}
    name = wanted or (EMBEDDED if recorded.get("name") == EMBEDDED else None)
    if name is None:
        raise BaseError(
            f'it was drawn on "{recorded.get("name", "a base that it does not name")}".',
            where=picture.path,
            hint="Say with --base where that is.",
        )
    drawn = picture.drawing
    base = open_base(name, drawn.precision if drawn else "auto", weights=drawn.weights if drawn else "full")
    if recorded.get("hash") not in (None, base.content_hash):
        raise BaseError(
            f"it was drawn on other weights: {recorded['hash'][:10]}, this base has {base.content_hash[:10]}.",
            where=picture.path,
            hint="Give the base it was drawn on with --base.",
        )
    return base


def _check_adapters(before: PictureFile, picture: Picture) -> None:
    recorded = {each.get("name"): each.get("hash") for each in (before.document or {}).get("adapters") or []}
    for used in picture.networks:
        expected = recorded.get(used.network.name)
        if expected is not None and used.hash is not None and expected != used.hash:
            raise ImageError(
                f'was drawn with another adapter "{used.network.name}": {expected[:12]}, this one is {used.hash[:12]}.',
                where=before.path,
                hint="Say with --adapters where the right one is.",
            )


def _compare(file: PictureFile, picture: Picture) -> dict[str, Any]:
    """Whether the new picture is the recorded one, and if not how far it is off."""
    from lorasmith.generation.spec import hash_pixels

    if file.pixels is not None and file.pixels == hash_pixels(picture.image):
        return {"same": True, "message": "the same to the bit"}
    from PIL import Image, ImageChops

    with Image.open(file.path) as opened:
        before = opened.convert("RGB")
    if before.size != picture.image.size:
        return {"same": False, "message": f"another size: {before.width}x{before.height} before"}
    ranges: Any = ImageChops.difference(before, picture.image).getextrema()
    most = max(high for _, high in ranges)
    if file.pixels is None:
        message = f"drawn from another tool's text; the largest difference is {most} of 255"
    elif file.drawing is None:
        message = f"the largest difference is {most} of 255: it shared its passes with pictures of other adapters"
    else:
        message = f"the largest difference is {most} of 255: another machine or another release of torch"
    return {"same": False, "difference": most, "message": message}


def _document(each: PictureFile) -> dict[str, Any]:
    return {
        "path": each.path,
        "request": None if each.spec is None else each.spec.as_json(),
        "infotext": each.infotext,
        "lorasmith": each.document,
    }


def _show(each: PictureFile) -> None:
    say(str(each.path), style="bold")
    if each.spec is None:
        say("It says nothing of how it was drawn.")
        return
    values = each.spec.as_json()
    document = each.document or {}
    values["init"] = (document.get("request") or {}).get("init") or values["init"]
    give_text(values["prompt"])
    if values["negative"]:
        give_text(f"not: {values['negative']}")
    rows = [(key, value) for key, value in values.items() if key not in _HIDDEN and value not in (None, False, "")]
    if document:
        rows.append(
            ("base", f"{document['base']['name']} {document['base']['hash'][:10]}" if "base" in document else "")
        )
        rows += [("adapter", _spell(used)) for used in document.get("adapters") or []]
        if document.get("origin"):
            rows.append(("template", document["origin"].get("template")))
    for key, value in rows:
        text = ", ".join(f"{k} {v}" for k, v in value.items() if v is not None) if isinstance(value, dict) else value
        say(f"  {key.replace('_', ' '):<10} {text}")
    say(f"Draw it again with: {program()} picture redo {typed(each.path)}", style="dim")


def _spell(used: dict[str, Any]) -> str:
    digest = used.get("hash")
    return f"{used.get('name')} at {used.get('unet')}{'' if digest is None else ' ' + digest[:12]}"
