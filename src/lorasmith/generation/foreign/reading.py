"""What a tool says of a picture, in our terms as far as they reach, and what is beyond them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lorasmith.generation.spec import PictureSpec

Items = Mapping[str, str]
"""The texts that a picture file holds, by name."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """`prompt`, `negative` and `entries` are what the `tool` says, as it is written and in its order; `spec` is that in
    our terms, and `undone` a line for each thing that drawing it here leaves out or does otherwise.

    `base` and `base_hash` name the model, `adapters` and `embeddings` are hashes by the names that the prompt calls.
    `strength` is how much was drawn anew where it was drawn over another picture, which no text holds; else None.
    """

    tool: str
    spec: PictureSpec
    entries: Mapping[str, str]
    prompt: str = ""
    negative: str = ""
    undone: tuple[str, ...] = ()
    base: str | None = None
    base_hash: str | None = None
    adapters: Mapping[str, str] = field(default_factory=dict)
    embeddings: Mapping[str, str] = field(default_factory=dict)
    strength: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Who wrote it, what it says as it is written, and what of it cannot be done."""
        said = {"prompt": self.prompt, "negative": self.negative, "entries": dict(self.entries)}
        return {"tool": self.tool, **said, "undone": list(self.undone)}


@dataclass(frozen=True)
class Reader:
    """A tool's texts: `read` gives what they say, or None where they are not its own. Those of low `order` are asked
    first."""

    name: str
    order: int
    read: Callable[[Items], Reading | None]
