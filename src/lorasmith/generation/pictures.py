"""Pictures that carry their own recipe: the A1111 text and our JSON, inside PNG, JPEG and WebP."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from lorasmith.bases.precision import Precision, Weights
from lorasmith.errors import ImageError, UsageError
from lorasmith.generation.foreign import read_items
from lorasmith.generation.foreign.reading import Reading
from lorasmith.generation.infotext import INFOTEXT_KEY
from lorasmith.generation.spec import PARAMETERS, InitImage, PictureSpec, Resize, hash_pixels, read_spec
from lorasmith.prompts.networks import Network
from lorasmith.remedies import Give, Sentence
from lorasmith.storage.files import write_file

DOCUMENT_KEY = "lorasmith"
DOCUMENT_VERSION = 2
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
JPEG_QUALITY = 95
MOST_ROWS = 256
#: EXIF's tags for the block of camera data, its comment, and a picture's description.
_EXIF_BLOCK, _USER_COMMENT, _DESCRIPTION = 0x8769, 0x9286, 0x010E
#: Where ComfyUI writes its graphs where there are no chunks: maker and model of the camera, "prompt:{...}".
_MAKER, _MODEL = 0x010F, 0x0110
_UNICODE, _ASCII = b"UNICODE\0", b"ASCII\0\0\0"


@dataclass(frozen=True)
class UsedAdapter:
    """An adapter that acted on a picture, with the metadata-independent hash of its file; `skipped` names what of it
    did not act."""

    network: Network
    hash: str | None
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class UsedEmbedding:
    """An embedding that the texts of a picture called: the hash of its file (None inside an adapter's), and of its
    vectors."""

    name: str
    hash: str | None
    vectors: str


@dataclass(frozen=True)
class Drawing:
    """How a picture was computed: as row `place` of `rows` alike, with its adapters `merged` into the weights or not,
    on so many `threads`, with a base of such numbers and weights; what a picture is does not depend on it, but how
    its sums are rounded does.
    """

    rows: int = 1
    place: int = 0
    merged: bool = False
    threads: int = 0
    precision: Precision = "fp32"
    weights: Weights = "full"


@dataclass(frozen=True)
class Picture:
    """A drawn picture and all that is needed to draw it again. `spec` has nothing left open.

    `drawing` is None when it shared its passes with other adapters: then it can be drawn again up to rounding.
    `origin` is the template that its prompt was made from, and the seeds.
    """

    image: Image.Image
    spec: PictureSpec
    networks: tuple[UsedAdapter, ...]
    base_name: str
    base_hash: str
    infotext: str
    drawing: Drawing | None = None
    origin: Mapping[str, Any] | None = None
    embeddings: tuple[UsedEmbedding, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """What the file's own part holds."""
        drawing = self.drawing
        return {
            "version": DOCUMENT_VERSION,
            "request": self.spec.as_json(),
            "base": {"name": self.base_name, "hash": self.base_hash},
            "adapters": [
                {
                    "name": used.network.name,
                    "te": used.network.te,
                    "unet": used.network.unet,
                    "dyn": used.network.dyn,
                    "hash": used.hash,
                    **({"skipped": list(used.skipped)} if used.skipped else {}),
                }
                for used in self.networks
            ],
            **({"embeddings": [dict(vars(each)) for each in self.embeddings]} if self.embeddings else {}),
            "drawing": None
            if drawing is None
            else {each.name: getattr(drawing, each.name) for each in fields(drawing)},
            "pixels": hash_pixels(self.image),
            **({} if self.origin is None else {"origin": dict(self.origin)}),
        }


@dataclass(frozen=True)
class PictureFile:
    """What a picture file says of itself: `spec` from our JSON, or as far as another tool's text goes (`reading`); else
    None.

    A picture that was drawn over another one has its `spec` without that one; `restore` puts it in.
    """

    path: Path
    infotext: str | None
    spec: PictureSpec | None
    document: dict[str, Any] | None
    reading: Reading | None = None

    @property
    def drawing(self) -> Drawing | None:
        """How it was computed, as far as the file says so."""
        values = (self.document or {}).get("drawing")
        if not isinstance(values, dict):
            return None
        known = {each.name: values[each.name] for each in fields(Drawing) if each.name in values}
        rows, place = known.get("rows", 1), known.get("place", 0)
        precision, weights = known.pop("precision", "fp32"), known.pop("weights", "full")
        if not all(isinstance(value, int) for value in known.values()) or not 0 <= place < rows <= MOST_ROWS:
            return None
        if precision not in get_args(Precision) or weights not in get_args(Weights):
            return None
        return Drawing(**known, precision=precision, weights=weights)

    @property
    def pixels(self) -> str | None:
        """sha256 of the pixels as they were drawn."""
        value = (self.document or {}).get("pixels")
        return value if isinstance(value, str) else None

    def restore(self, init: Path | None = None, mask: Path | None = None) -> PictureSpec:
        """The spec with the picture that it was drawn over, read from where it was or from `init` and `mask`.

        Raises ImageError when the file tells no spec, or when the other picture is gone or another one.
        """
        if self.spec is None:
            raise ImageError("tells no prompt to draw it again from.", where=self.path)
        if self.reading is not None:
            if init is None or self.reading.strength is None:
                return self.spec
            return replace(self.spec, init=read_init(init, self.reading.strength, mask))
        values = ((self.document or {}).get("request") or {}).get("init")
        if not isinstance(values, dict):
            return self.spec
        of_mask = values.get("mask")
        found = read_init(
            _lost("picture it was drawn over", init, values.get("path"), "init"),
            strength=float(values.get("strength", PARAMETERS["init.strength"].default)),
            mask=None if of_mask is None else _lost("mask it was drawn with", mask, of_mask.get("path"), "mask"),
            resize=values.get("resize", PARAMETERS["init.resize"].default),
        )
        for what, path, mine, theirs in (
            ("picture it was drawn over", found.source, found.image_hash, values.get("hash")),
            ("mask it was drawn with", found.mask_source, found.mask_hash, (of_mask or {}).get("hash")),
        ):
            if mine != theirs:
                raise ImageError(f"is not the {what}: its pixels are others.", where=path)
        return replace(self.spec, init=found)


def _lost(what: str, given: Path | None, recorded: object, field: str) -> Path:
    path = given if given is not None else Path(recorded) if isinstance(recorded, str) else None
    if path is None or not path.is_file():
        remedy = Sentence("Say where it is now with ", Give(field, "FILE"), ".")
        raise ImageError(f"the {what} is not there.", where=path, remedy=remedy)
    return path


def read_init(
    path: Path,
    strength: float = PARAMETERS["init.strength"].default,
    mask: Path | None = None,
    resize: Resize = PARAMETERS["init.resize"].default,
) -> InitImage:
    """A picture to start from, from files. Raises ImageError."""
    image = _open(path).convert("RGB")
    grey = None if mask is None else _open(mask).convert("L")
    source, mask_source = path.resolve(), None if mask is None else mask.resolve()
    return InitImage(image, grey, source, mask_source, strength=strength, resize=resize)


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image.copy()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as fault:
        raise ImageError(f"cannot be read as a picture: {fault}.", where=path) from None


def encode_picture(picture: Picture, format: str = "PNG") -> bytes:
    """The bytes of a PNG, JPEG or WebP file with both recipes in it; PNG and WebP keep every pixel."""
    document = json.dumps(picture.as_json(), ensure_ascii=False)
    buffer = io.BytesIO()
    if format == "PNG":
        text = PngInfo()
        text.add_text(INFOTEXT_KEY, picture.infotext)
        text.add_itxt(DOCUMENT_KEY, document)
        picture.image.save(buffer, "PNG", pnginfo=text)
        return buffer.getvalue()
    return encode_with_exif(picture.image, picture.infotext, json.dumps(picture.as_json()), format)


def encode_with_exif(image: Image.Image, infotext: str, document: str | None, format: str) -> bytes:
    """The bytes of a JPEG or WebP file with the A1111 text and our JSON (in ASCII) in it. Raises UsageError for a text
    that is too long for a JPEG."""
    buffer, exif = io.BytesIO(), Image.Exif()
    # The order of the web UI's own library: big-endian UTF-16 behind the word for it.
    exif.get_ifd(_EXIF_BLOCK)[_USER_COMMENT] = _UNICODE + infotext.encode("utf-16-be")
    if document is not None:
        exif[_DESCRIPTION] = document
    if format == "JPEG":
        try:
            image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0, exif=exif)
        except ValueError:
            raise UsageError("the prompt is too long for a JPEG file.", hint="Save it as PNG or WebP.") from None
    else:
        image.save(buffer, "WEBP", lossless=True, exif=exif.tobytes())
    return buffer.getvalue()


def save_picture(picture: Picture, path: Path) -> Path:
    """Write the picture with both recipes, whole or not at all; the name's end says PNG, JPEG or WebP.

    Raises UsageError for another ending, StorageError.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f'"{path.suffix}" is no kind of picture.', where=path, hint=f"Known: {', '.join(FORMATS)}.")
    return write_file(path, encode_picture(picture, FORMATS[path.suffix.lower()]))


def save_image(image: Image.Image, path: Path) -> Path:
    """Write a PNG without a recipe (grids, sheets), whole or not at all. Raises StorageError."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return write_file(path, buffer.getvalue())


def read_picture(path: Path | str) -> PictureFile:
    """What the file says of itself. Raises ImageError when it is no picture."""
    file = Path(path)
    items = _find_texts(_open(file))
    infotext, document = items.get(INFOTEXT_KEY), _read_document(items.get(DOCUMENT_KEY))
    values = (document or {}).get("request")
    spec = read_spec(values) if isinstance(values, dict) else None
    reading = read_items(items) if spec is None else None
    return PictureFile(file, infotext, spec if reading is None else reading.spec, document, reading)


def _find_texts(image: Image.Image) -> dict[str, str]:
    """The texts by name: chunks of a PNG; of others the EXIF fields that hold the infotext, our JSON and graphs."""
    found = {str(name): value for name, value in image.info.items() if isinstance(value, str)}
    if INFOTEXT_KEY in found:
        return found
    try:
        exif = image.getexif()
        comment = _read_comment(exif.get_ifd(_EXIF_BLOCK).get(_USER_COMMENT))
        fields = [exif.get(tag) for tag in (_DESCRIPTION, _MAKER, _MODEL)]
    except (OSError, ValueError, KeyError, SyntaxError, TypeError):
        return found
    if comment is not None:
        found[INFOTEXT_KEY] = comment
    described, *graphs = fields
    if isinstance(described, str):
        found[DOCUMENT_KEY] = described
    for text in graphs:
        name, colon, graph = text.partition(":") if isinstance(text, str) else ("", "", "")
        if colon and name.lower() in ("prompt", "workflow"):
            found[name.lower()] = graph
    return found


def _read_comment(comment: object) -> str | None:
    """The text of a UserComment: UTF-16 of either order behind its word, ASCII, or nothing but the text."""
    if isinstance(comment, str):
        return comment or None
    if not isinstance(comment, bytes):
        return None
    if comment.startswith(_UNICODE):
        body = comment[len(_UNICODE) :]
        # Written in both orders: letters have their zero byte first or last.
        little = body[1::2].count(0) > body[::2].count(0)
        return body.decode("utf-16-le" if little else "utf-16-be", errors="replace")
    return comment.removeprefix(_ASCII).decode("utf-8", errors="replace").strip("\0") or None


def _read_document(text: str | None) -> dict[str, Any] | None:
    try:
        document = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
