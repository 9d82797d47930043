"""A picture as an exam knows it: what the judge reads, what the encoder says, how it measures, and a small copy.

Looks are kept on disk batch by batch while an exam runs, so that one that was ended goes on where it was and gives the
same figures: a batch is drawn again whole or not at all, because a picture rounds differently in other company.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lorasmith.exam.contact import small
from lorasmith.exam.judges import Attributes, Judge
from lorasmith.exam.likeness.encoders import Encoder
from lorasmith.exam.likeness.quality import MEASURES, Measured, measure
from lorasmith.storage.files import write_file

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Look:
    """One picture; `vector` is None where there is no encoder."""

    seen: Attributes
    picture: Image
    vector: NDArray[np.float32] | None
    measured: Measured


@dataclass(frozen=True)
class Observer:
    """Judge and encoder, looking at the same pictures."""

    judge: Judge
    encoder: Encoder | None

    def look(self, pictures: Sequence[Image]) -> list[Look]:
        """In the order of the pictures."""
        if not pictures:
            return []
        vectors = None if self.encoder is None else self.encoder.encode(pictures)
        copies = [small(picture) for picture in pictures]
        return [
            Look(seen, copy, None if vectors is None else vectors[row], measure(copy))
            for row, (seen, copy) in enumerate(zip(self.judge.describe(pictures), copies, strict=True))
        ]


def stack_vectors(looks: Sequence[Look]) -> NDArray[np.float32] | None:
    """(looks, numbers); None without an encoder, or without looks."""
    vectors = [look.vector for look in looks if look.vector is not None]
    return np.stack(vectors) if vectors else None


class Kept:
    """Looks in a folder, a file for each batch, by what was drawn in it. Without a folder nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def get(self, batch: object) -> list[Look] | None:
        """The looks of a batch, or None when it has to be drawn (again)."""
        if self.folder is None:
            return None
        file = self._file(batch)
        if not file.is_file():
            return None
        with contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return _unpack(file.read_bytes())
        return None

    def put(self, batch: object, looks: Sequence[Look]) -> None:
        """Raises StorageError."""
        if self.folder is not None:
            write_file(self._file(batch), _pack(looks))

    def drop(self) -> None:
        """The exam is over; its figures and sheets are kept elsewhere."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, batch: object) -> Path:
        assert self.folder is not None
        name = hashlib.sha256(json.dumps(batch, sort_keys=True, default=str).encode()).hexdigest()
        return self.folder / f"{name[:24]}.npz"


def _pack(looks: Sequence[Look]) -> bytes:
    arrays: dict[str, Any] = {
        "seen": np.frombuffer(json.dumps([dict(look.seen) for look in looks]).encode(), np.uint8),
        "measured": np.stack([look.measured for look in looks]),
    }
    vectors = stack_vectors(looks)
    if vectors is not None:
        arrays["vectors"] = vectors
    for number, look in enumerate(looks):
        out = io.BytesIO()
        look.picture.save(out, format="PNG")
        arrays[f"picture{number}"] = np.frombuffer(out.getvalue(), np.uint8)
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    return packed.getvalue()


def _unpack(data: bytes) -> list[Look]:
    import PIL.Image

    with np.load(io.BytesIO(data)) as arrays:
        seen = json.loads(arrays["seen"].tobytes())
        vectors = arrays.get("vectors")
        measured = arrays["measured"]
        if measured.shape[1:] != (len(MEASURES),):
            raise ValueError("kept by a version that measured otherwise: to be drawn again")
        looks = []
        for number, attributes in enumerate(seen):
            picture = PIL.Image.open(io.BytesIO(arrays[f"picture{number}"].tobytes()))
            picture.load()
            vector = None if vectors is None else vectors[number]
            looks.append(Look(attributes, picture, vector, measured[number]))
    return looks
