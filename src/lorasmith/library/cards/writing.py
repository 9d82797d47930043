"""A card on the disk: `README.md`, `civitai.html`, `card.json`, the pictures, A1111's sidecar and preview."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lorasmith.bases.families import FAMILIES
from lorasmith.errors import StorageError
from lorasmith.generation.infotext import INFOTEXT_KEY
from lorasmith.images.opening import open_rgb
from lorasmith.library.cards.card import Card, CardPicture, picture_name
from lorasmith.library.cards.civitai import FILE, write_description
from lorasmith.library.cards.huggingface import README, write_readme
from lorasmith.library.sidecars import a1111
from lorasmith.library.sidecars.sidecar import SidecarFacts
from lorasmith.storage.files import replacing, write_file

DOCUMENT = "card.json"
PREVIEW_SIDE = 512
_OURS = frozenset({README, FILE, DOCUMENT})


def write_card(card: Card, out: Path) -> list[Path]:
    """Write a card's files into a folder, which may hold an earlier one of this adapter; gives their paths. Raises
    StorageError where the folder holds other things."""
    _check_folder(card, out)
    for old in (out / "images").glob("[0-9][0-9].png"):
        old.unlink()
    return [write_file(out / name, data) for name, data in card_files(card)]


def card_files(card: Card) -> Iterator[tuple[str, bytes | str]]:
    """The files of a card by name, one after the other."""
    for number, picture in enumerate(card.pictures, 1):
        yield picture_name(number), _picture_bytes(picture)
    if card.pictures:
        yield f"{card.name}.preview.png", _picture_bytes(card.pictures[0], PREVIEW_SIDE)
    yield README, write_readme(card)
    yield FILE, write_description(card)
    yield f"{card.name}{a1111.SUFFIX}", write_sidecar(card)
    yield DOCUMENT, json.dumps(card.as_json(), ensure_ascii=False, indent=2) + "\n"


def pack_card(card: Card, out: Path) -> list[Path]:
    """The adapter with its card in a new folder, whole or not at all; gives the files. Raises StorageError where
    something lies there already."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StorageError("holds something already.", where=out, hint="Choose a new or empty folder.")
    with replacing(out) as partial:
        for name, data in card_files(card):
            write_file(partial / name, data)
        shutil.copyfile(card.file, partial / f"{card.name}.safetensors")
        if out.is_dir():
            out.rmdir()
    return sorted(file for file in out.rglob("*") if file.is_file())


def write_sidecar(card: Card) -> str:
    """A1111's sidecar; `preferred weight` is what is recommended."""
    family = FAMILIES.get(card.family)
    facts = SidecarFacts(
        triggers=tuple(card.triggers.values()),
        base="" if family is None else family.title.replace(" ", ""),
        description=card.vision,
        notes=f"{card.licence}; {card.author}".strip("; "),
        strength=card.strength,
    )
    return json.dumps(a1111.values(facts), ensure_ascii=False, indent=4) + "\n"


def _picture_bytes(picture: CardPicture, side: int = 0) -> bytes:
    """A PNG with A1111's text in it and nothing else of the original's."""
    image: Image.Image = open_rgb(picture.path)
    if side:
        image.thumbnail((side, side))
    text = PngInfo()
    if picture.infotext:
        text.add_text(INFOTEXT_KEY, picture.infotext)
    out = io.BytesIO()
    image.save(out, "PNG", pnginfo=text)
    return out.getvalue()


def _check_folder(card: Card, out: Path) -> None:
    """Only cards are written over, no README of a user's own."""
    there = [name for name in _OURS if (out / name).exists()]
    if there and not (out / DOCUMENT).is_file():
        raise StorageError(
            f"holds a {there[0]} that is no card's.", where=out, hint="Choose another folder: nothing is written over."
        )
    if (out / DOCUMENT).is_file():
        try:
            name = json.loads((out / DOCUMENT).read_text("utf-8")).get("name")
        except (OSError, ValueError, AttributeError):
            name = None
        if name != card.name:
            raise StorageError(f"holds the card of {name}.", where=out, hint="Choose another folder.")
