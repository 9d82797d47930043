"""Pictures that clients send to be read, enlarged or described."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException

from lorasmith.project import EMBEDDED
from lorasmith.server.dependencies import TheService
from lorasmith.server.errors import FieldError
from lorasmith.server.inputs import decode_base64, open_bytes
from lorasmith.server.webui.answers import png_base64
from lorasmith.server.webui.bodies import Extras, ExtrasMany, ExtrasOne, Interrogation, OneImage
from lorasmith.server.webui.infotexts import read_parameters

router = APIRouter()
LIKELY = 0.35
OF_FORMAT = frozenset(
    (
        *("jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "exif", "loop", "background", "timestamp"),
        *("duration", "progressive", "progression", "icc_profile", "chromaticity", "photoshop"),
    )
)
TAGGER_NAMES = ("clip", "deepdanbooru", "deepbooru", "doodle")


@router.post("/png-info")
def png_info(body: OneImage, service: TheService) -> dict[str, Any]:
    """What a picture file says of itself: its text, all its entries, the text as parameters."""
    if not body.image.strip():
        return {"info": "", "items": {}, "parameters": {}}
    data = decode_base64(body.image, "image")
    open_bytes(data, "image", service.limits.pixels)
    from lorasmith.generation.infotext import INFOTEXT_KEY
    from lorasmith.generation.pictures import DOCUMENT_KEY, read_picture

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(data)
        found, items = read_picture(path), _texts_of(path)
    text = found.infotext or ""
    items |= {INFOTEXT_KEY: text} if text else {}
    if found.document is not None:
        items[DOCUMENT_KEY] = json.dumps(found.document, ensure_ascii=False)
    return {"info": text, "items": items, "parameters": read_parameters(text)}


def _texts_of(path: Path) -> dict[str, Any]:
    """What the file holds beside, by its own keys, but for the format's own (images.py, IGNORED_INFO_KEYS)."""
    from PIL import Image

    with Image.open(path) as image:
        image.load()
        items = {key: value for key, value in image.info.items() if key not in OF_FORMAT and isinstance(key, str)}
    return {key: value for key, value in items.items() if isinstance(value, str | int | float | bool)}


@router.post("/extra-single-image")
def extra_single_image(body: ExtrasOne, service: TheService) -> dict[str, Any]:
    """Enlarge one picture."""
    return {"html_info": "", "image": _enlarge(body, body.image, "image", service.limits.pixels)}


@router.post("/extra-batch-images")
def extra_batch_images(body: ExtrasMany, service: TheService) -> dict[str, Any]:
    """Enlarge many."""
    pixels = service.limits.pixels
    return {"html_info": "", "images": [_enlarge(body, each.data, "imageList", pixels) for each in body.imageList]}


def _enlarge(body: Extras, text: str, where: str, most_pixels: int) -> str:
    from PIL import Image, ImageOps

    filters = {"None": None, "Lanczos": Image.Resampling.LANCZOS, "Nearest": Image.Resampling.NEAREST}
    if body.upscaler_1 not in filters:
        raise FieldError(
            f'"{body.upscaler_1}": unknown upscaler.', where="upscaler_1", hint=f"There are: {', '.join(filters)}."
        )
    image = open_bytes(decode_base64(text, where), where, most_pixels)
    way = filters[body.upscaler_1]
    size = (
        (body.upscaling_resize_w, body.upscaling_resize_h)
        if body.resize_mode
        else (max(1, int(image.width * body.upscaling_resize)), max(1, int(image.height * body.upscaling_resize)))
    )
    if size[0] * size[1] > most_pixels:
        raise FieldError(f"{size[0]}x{size[1]}, the most are {most_pixels} pixels.", where="upscaling_resize")
    if way is not None:
        crops = body.resize_mode == 1 and body.upscaling_crop
        image = ImageOps.fit(image, size, way) if crops else image.resize(size, way)
    return png_base64(image)


@router.post("/interrogate")
def interrogate(body: Interrogation, service: TheService) -> dict[str, str]:
    """The tags of a picture by the embedded tagger, whichever model the client asks for."""
    if body.model not in TAGGER_NAMES:
        raise HTTPException(404, "Model not found")
    if not body.image:
        raise HTTPException(404, "Image not found")
    image = open_bytes(decode_base64(body.image, "image"), "image", service.limits.pixels)
    tagger = _open_tagger()
    scores = tagger.scores([image])[0]
    likely = sorted(((score, name) for score, name in zip(scores.tolist(), tagger.names, strict=True)), reverse=True)
    return {"caption": ", ".join(name for score, name in likely if score >= LIKELY)}


@cache
def _open_tagger() -> Any:
    from lorasmith.tags.tagger import open_tagger

    return open_tagger(EMBEDDED)
