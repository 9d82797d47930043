"""Pictures that carry their own recipe: the A1111 text and our JSON, inside the PNG."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from lorasmith.errors import ImageError, StorageError
from lorasmith.generation.infotext import read_infotext
from lorasmith.generation.request import Request
from lorasmith.project import write_file
from lorasmith.prompts.networks import Network

INFOTEXT_KEY = "parameters"
DOCUMENT_KEY = "lorasmith"
DOCUMENT_VERSION = 1


@dataclass(frozen=True)
class UsedAdapter:
    """An adapter that acted on a picture, with the metadata-independent hash of its file."""

    network: Network
    hash: str | None


@dataclass(frozen=True)
class Picture:
    """A drawn picture and all that is needed to draw it again. `request` has nothing left open."""

    image: Image.Image
    request: Request
    networks: tuple[UsedAdapter, ...]
    base_name: str
    base_hash: str
    infotext: str

    def as_json(self) -> dict[str, Any]:
        """What the PNG's own chunk holds."""
        return {
            "version": DOCUMENT_VERSION,
            "request": self.request.as_json(),
            "base": {"name": self.base_name, "hash": self.base_hash},
            "adapters": [
                {
                    "name": used.network.name,
                    "te": used.network.te,
                    "unet": used.network.unet,
                    "dyn": used.network.dyn,
                    "hash": used.hash,
                }
                for used in self.networks
            ],
        }


@dataclass(frozen=True)
class PictureFile:
    """What a picture file says of itself: `request` from our JSON, or as far as the A1111 text goes; else None."""

    path: Path
    infotext: str | None
    request: Request | None
    document: dict[str, Any] | None


def save_picture(picture: Picture, path: Path) -> Path:
    """Write the PNG with both recipes, whole or not at all. Raises StorageError."""
    text = PngInfo()
    text.add_text(INFOTEXT_KEY, picture.infotext)
    text.add_itxt(DOCUMENT_KEY, json.dumps(picture.as_json(), ensure_ascii=False))
    buffer = io.BytesIO()
    picture.image.save(buffer, "PNG", pnginfo=text)
    return write_file(path, buffer.getvalue())


def save_image(image: Image.Image, path: Path) -> Path:
    """Write a PNG without a recipe (grids, sheets), whole or not at all. Raises StorageError."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return write_file(path, buffer.getvalue())


def claim_free_path(folder: Path, stem: str, suffix: str = ".png") -> Path:
    """``stem-0001.png`` and on: the number after the last one in use, reserved by an empty file at once.

    A picture is never written over another one, also when two processes draw into one folder. Raises StorageError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = 1 + max((_number(path.stem, stem) for path in folder.glob(f"*{suffix}")), default=0)
        while True:
            path = folder / f"{stem}-{number:04d}{suffix}"
            try:
                path.touch(exist_ok=False)
                return path
            except FileExistsError:
                number += 1
    except OSError as fault:
        raise StorageError(
            f"cannot write: {fault.strerror}.", where=folder, hint="Free some space or choose another folder."
        ) from fault


def _number(found: str, stem: str) -> int:
    tail = found.removeprefix(f"{stem}-")
    return int(tail) if tail != found and tail.isascii() and tail.isdigit() else 0


def read_picture(path: Path | str) -> PictureFile:
    """What the file says of itself. Raises ImageError when it is no picture."""
    file = Path(path)
    try:
        with Image.open(file) as image:
            image.load()
            info = {key: value for key, value in image.info.items() if isinstance(value, str)}
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as fault:
        raise ImageError(f"cannot be read as a picture: {fault}.", where=file) from None
    infotext = info.get(INFOTEXT_KEY)
    document = _read_document(info.get(DOCUMENT_KEY))
    request = _request_from(document) if document else None
    if request is None and infotext is not None:
        request = read_infotext(infotext)
    return PictureFile(file, infotext, request, document)


def _read_document(text: str | None) -> dict[str, Any] | None:
    try:
        document = json.loads(text) if text else None
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _request_from(document: dict[str, Any]) -> Request | None:
    values = document.get("request")
    if not isinstance(values, dict) or not isinstance(values.get("prompt"), str):
        return None
    known = {field.name for field in fields(Request)}
    return Request(**{key: value for key, value in values.items() if key in known})
