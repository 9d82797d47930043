"""What other tools say of their pictures: a reader a file, found by the registry."""

from __future__ import annotations

from collections.abc import Mapping

from lorasmith.generation.foreign.reading import Reader, Reading
from lorasmith.registry import Registry

READERS: Registry[Reader] = Registry("a reader of pictures' texts", __name__, "READER")


def read_items(items: Mapping[str, str]) -> Reading | None:
    """What a picture's texts, by name, say of how it was drawn; None where no reader knows them.

    The web UI's text goes first: other tools write it for those who read nothing else.
    """
    for reader in sorted(READERS.values(), key=lambda reader: reader.order):
        reading = reader.read(items)
        if reading is not None:
            return reading
    return None
