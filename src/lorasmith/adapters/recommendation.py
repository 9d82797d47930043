"""The strength that an exam recommends, and from where to where it is usable (C3): in the header of the adapter's file,
so that every copy takes it along. Read without torch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lorasmith.storage.files import write_file

STRENGTH, FROM, TO = "lorasmith.strength", "lorasmith.strength_from", "lorasmith.strength_to"
_HINT = "modelspec.usage_hint"
_CALLED = re.compile(r"(<lora:[^:>]+):[\d.]+>")


@dataclass(frozen=True)
class Recommendation:
    """A strength, and the lowest and highest usable ones (None: no window is known)."""

    strength: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self | None:
        """What an exam's document says under "strength": `recommended`, `from`, `to`; None when it says nothing."""
        told = document.get("strength")
        strength = _number(told.get("recommended")) if isinstance(told, Mapping) else None
        if strength is None or not isinstance(told, Mapping):
            return None
        low, high = (_number(told.get(end)) for end in ("from", "to"))
        return cls(strength, low, high)

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> Self | None:
        """What a file's metadata recommend; None when they do not."""
        try:
            values = [float(metadata[key]) if key in metadata else None for key in (STRENGTH, FROM, TO)]
        except ValueError:
            return None
        strength, low, high = values
        return None if strength is None else cls(strength, low, high)

    def metadata(self) -> dict[str, str]:
        """The same as fields of a header."""
        values = {STRENGTH: self.strength, FROM: self.low, TO: self.high}
        return {key: f"{value:g}" for key, value in values.items() if value is not None}

    def __str__(self) -> str:
        """``0.8 (0.6 to 1.1)``"""
        window = "" if self.low is None or self.high is None else f" ({self.low:g} to {self.high:g})"
        return f"{self.strength:g}{window}"


def write_recommendation(file: Path, recommended: Recommendation) -> bool:
    """Put it into the file's header, the usage hint with it; False when it stands there already.

    The tensors stay byte for byte, the file's times too: what was made of it is not older than it. Raises AdapterError,
    StorageError.
    """
    from lorasmith.adapters.container import header_bytes, payload_bytes, read_header
    from lorasmith.adapters.files import read_tensors
    from lorasmith.adapters.header import payload_hashes

    old = read_header(file).metadata
    kept = {key: value for key, value in old.items() if key not in (STRENGTH, FROM, TO) and not key.startswith("sshs_")}
    new = kept | recommended.metadata()
    if _HINT in new:
        new[_HINT] = _CALLED.sub(rf"\g<1>:{recommended.strength:g}>", new[_HINT])
    if new == {key: value for key, value in old.items() if not key.startswith("sshs_")}:
        return False
    tensors = read_tensors(file)
    hashes = {key: value for key, value in payload_hashes(tensors, new).items() if key in old}
    times = file.stat()
    write_file(file, header_bytes(tensors, new | hashes) + payload_bytes(tensors))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    return True


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
