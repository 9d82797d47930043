"""Read an offer to its end, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lorasmith.dataset.folders import Problem
from lorasmith.dataset.sources import open_source
from lorasmith.dataset.sources.source import Origin, Piece


class Opened:
    """What a source gave: bytes and origins by place, in order, and the reasons by name of what is left out."""

    def __init__(self, path: Path) -> None:
        offer = open_source(path)
        self.kind = offer.kind
        self.label = offer.label
        contents: Sequence[Piece | Problem] = list(offer.contents)
        self.files: dict[str, bytes] = {}
        self.origins: dict[str, Origin] = {}
        for piece in contents:
            if isinstance(piece, Piece):
                with piece.open() as file:
                    self.files[str(piece.place)] = file.read()
                self.origins[str(piece.place)] = piece.origin
        self.left_out = {piece.name: piece.message for piece in contents if isinstance(piece, Problem)}
