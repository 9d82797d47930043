"""Colour profiles: a picture in the colours of another space is brought to sRGB, in which everything here is.

As browsers and image viewers do it (ICC.1:2022, relative colorimetric), by Pillow's Little CMS.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_ALIKE = 3
"""Levels of 255 by which a profile may differ from sRGB and still be it."""
_GREY_MODES, _CLEAR_MODES = ("L", "LA", "La", "1"), ("LA", "La", "PA", "RGBA", "RGBa")


def has_own_colours(image: Image.Image) -> bool:
    """Whether the picture's numbers are colours of another space than sRGB. No or a broken profile counts as sRGB."""
    return _transform_of(image) is not None


def to_srgb(image: Image.Image) -> Image.Image:
    """The picture in sRGB, as RGB or RGBA; itself when it is sRGB already, or its profile is broken."""
    transform = _transform_of(image)
    if transform is None:
        return image
    if image.mode == "CMYK":
        return _applied(image, transform)
    clear = image.mode in _CLEAR_MODES or "transparency" in image.info
    layer = image.convert("RGBA") if clear else image
    kind = "L" if image.mode in _GREY_MODES else "RGB"
    made = _applied(layer.convert(kind), transform)
    if clear:
        made.putalpha(layer.getchannel("A"))
    return made


def _applied(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    made = transform.apply(image)
    made.info.pop("icc_profile", None)
    return made


def _transform_of(image: Image.Image) -> ImageCms.ImageCmsTransform | None:
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or not profile or image.mode.startswith(("I", "F")):
        return None
    mode = "CMYK" if image.mode == "CMYK" else "L" if image.mode in _GREY_MODES else "RGB"
    return _make_transform(profile, mode)


@lru_cache(maxsize=64)
def _make_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """None for a profile that is (nearly) sRGB, is not of this mode, or cannot be read."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.NOCACHE | ImageCms.Flags.BLACKPOINTCOMPENSATION,  # a cache is not for several threads
        )
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None
    if mode == "CMYK":
        return transform
    probe = _probe(mode)
    seen = np.asarray(transform.apply(probe), np.int16) - np.asarray(probe.convert("RGB"), np.int16)
    return transform if int(np.abs(seen).max()) > _ALIKE else None


def _probe(mode: str) -> Image.Image:
    """Colours all over the space: 9 levels of each channel."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    if mode == "L":
        return Image.fromarray(levels[None])
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    return Image.fromarray(cube)
