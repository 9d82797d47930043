"""`lorasmith picture`: what a picture says of itself, and drawing it again from that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorasmith.cli.program import program, typed
from lorasmith.cli.rendering import give_text, print_json, say, show
from lorasmith.cli.skipping import SkipUnknown

if TYPE_CHECKING:
    from lorasmith.generation.foreign.reading import Reading
    from lorasmith.generation.pictures import PictureFile

app = typer.Typer(help="Read a picture's recipe, and draw it again from it.")
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
_HIDDEN = ("prompt", "negative")
_OVER = "it was drawn over another picture, which its text does not hold: --init FILE"


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
    skip_unknown: SkipUnknown = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the new one goes; none is ever overwritten.")] = Path(
        "pictures"
    ),
    yes: Annotated[
        bool, typer.Option("--yes", help="Draw it also where another tool's text says what cannot be done here.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Draw a picture again from its own file, and say whether it is the same to the bit.

    Of another tool's picture it lists what cannot be done here, and asks for --yes; a hash that names another base or
    adapter is an error.

    Example: lorasmith picture redo pictures/picture-0001.png --adapters adapters
    """
    from lorasmith.cli.commands.generate import find_shelf
    from lorasmith.face.drawing import save_free
    from lorasmith.face.redoing import compare_pictures, redo_picture
    from lorasmith.generation.pictures import read_picture

    recorded = read_picture(file)
    work = redo_picture(
        recorded, find_shelf(adapters), base=base, init=init, mask=mask, yes=yes, skip_unknown=skip_unknown
    )
    picture = show(work, as_json)
    path = save_free(picture, out)
    verdict = compare_pictures(recorded, picture)
    if as_json:
        off = {} if verdict.difference is None else {"difference": verdict.difference}
        print_json({"path": path, "of": file, "same": verdict.same, **off, "message": verdict.message})
        return
    say(f"{path}  {verdict.message}", style="green" if verdict.same else "yellow")


def _document(each: PictureFile) -> dict[str, Any]:
    return {
        "path": each.path,
        "request": None if each.spec is None else each.spec.as_json(),
        "infotext": each.infotext,
        "lorasmith": each.document,
        "reading": None if each.reading is None else each.reading.as_json(),
    }


def _show(each: PictureFile) -> None:
    say(str(each.path), style="bold")
    if each.spec is None:
        say("It says nothing of how it was drawn.")
        return
    if each.reading is not None:
        _show_reading(each.reading, each.path)
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
        rows += [
            ("embedding", f"{used.get('name')} {used.get('hash') or 'in an adapter'}")
            for used in document.get("embeddings") or []
        ]
        if document.get("origin"):
            rows.append(("template", document["origin"].get("template")))
    for key, value in rows:
        text = ", ".join(f"{k} {v}" for k, v in value.items() if v is not None) if isinstance(value, dict) else value
        say(f"  {key.replace('_', ' '):<10} {text}")
    say(f"Draw it again with: {program()} picture redo {typed(each.path)}", style="dim")


def _show_reading(reading: Reading, path: Path) -> None:
    """What another tool wrote, as it is written, and what of it cannot be done here."""
    give_text(reading.prompt)
    if reading.negative:
        give_text(f"not: {reading.negative}")
    for key, value in reading.entries.items():
        give_text(f"  {key}: {value}")
    say(f"by {reading.tool}", style="dim")
    undone = [*reading.undone, *([_OVER] if reading.strength is not None else [])]
    if undone:
        say("Drawing it here would leave out, or do otherwise:", style="yellow")
        for line in undone:
            say(f"  - {line}")
    say(f"Draw it again with: lorasmith picture redo {path}{' --yes' if undone else ''}", style="dim")


def _spell(used: dict[str, Any]) -> str:
    digest = used.get("hash")
    return f"{used.get('name')} at {used.get('unet')}{'' if digest is None else ' ' + digest[:12]}"
