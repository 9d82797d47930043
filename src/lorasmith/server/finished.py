"""A drawn picture made ready to be kept: its file, a thumbnail, and what it says of itself. Made where it was drawn, so
that the process with the queue, which all pictures pass, need not encode them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lorasmith.server.encoding import jpeg_bytes

if TYPE_CHECKING:
    from lorasmith.generation.pictures import Picture

THUMBNAIL = 256


@dataclass(frozen=True)
class FinishedPicture:
    """A picture's PNG and JPEG thumbnail; `document` is the JSON that the PNG carries."""

    png: bytes
    thumbnail: bytes
    width: int
    height: int
    seed: int
    prompt: str
    base: str
    infotext: str
    document: Mapping[str, Any]


def finish_picture(picture: Picture) -> FinishedPicture:
    """Encode a picture."""
    from lorasmith.generation.pictures import encode_picture

    return FinishedPicture(
        png=encode_picture(picture),
        thumbnail=jpeg_bytes(picture.image, THUMBNAIL),
        width=picture.image.width,
        height=picture.image.height,
        seed=picture.spec.seed,
        prompt=picture.spec.prompt,
        base=picture.base_name,
        infotext=picture.infotext,
        document=picture.as_json(),
    )
