"""What a picture asks of the replica that draws it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from lorasmith.errors import LorasmithError
from lorasmith.generation.base_facts import BaseFacts
from lorasmith.generation.spec import PictureSpec, StoredInit
from lorasmith.prompts import split_networks


@dataclass(frozen=True)
class Wanted:
    """Its base, the adapters that it calls, and what it can be drawn together with; or what is wrong with it."""

    base: str
    adapters: tuple[str, ...]
    company: Hashable
    wrong: LorasmithError | None = None


def read_wanted(spec: PictureSpec, base: str, facts: BaseFacts) -> Wanted:
    """What a spec asks for on the base of that name. Raises PromptError."""
    texts = [spec.prompt, *([spec.hires.prompt] if spec.hires is not None and spec.hires.prompt else [])]
    called = [network.name for text in texts for network in split_networks(text, spec.compat).networks]
    size = spec.width or facts.resolution, spec.height or facts.resolution
    return Wanted(base, tuple(dict.fromkeys(called)), (base, size, spec.tiling, spec.hires is None))


def start_files(spec: PictureSpec) -> tuple[str, ...]:
    """The names of the pictures that a spec starts from."""
    start = spec.init
    return tuple(name for name in (start.image, start.mask) if name) if isinstance(start, StoredInit) else ()
