"""Pictures that an adapter drew, as round two of its own dataset (D15): what their text says of how they were drawn."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from lorasmith.errors import DatasetError
from lorasmith.images.opening import is_image_name

TEXT_KEY = "parameters"
_NEGATIVE = "Negative prompt:"
_FIELD = re.compile(r'\s*([A-Z][\w \-/]*):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
_LEAST_FIELDS = 3
_NETWORK = re.compile(r"<lora:([^:<>]+)(?::([^<>]*))?>")


@dataclass(frozen=True)
class GenerationFacts:
    """How a picture was drawn: its prompts, its adapters with their strengths as written, and all other fields
    ("Seed", "Steps", "Model", ...)."""

    prompt: str
    negative: str = ""
    adapters: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """The seed; 0 when it is not known."""
        text = self.fields.get("Seed", "")
        return int(text) if text.isascii() and text.isdigit() else 0


def list_pictures(sources: Sequence[Path]) -> tuple[Path, ...]:
    """The picture files that `sources` name: files, or folders with all pictures right in them. Raises DatasetError for
    one that is missing, no picture, or a folder without any."""
    files: list[Path] = []
    for source in sources:
        if source.is_dir():
            inside = sorted(path for path in source.iterdir() if is_image_name(path) and path.is_file())
            if not inside:
                raise DatasetError("no pictures in this folder.", where=source, hint="Name the pictures you kept.")
            files += inside
        elif not source.exists():
            raise DatasetError("no such picture.", where=source, hint="Check the spelling.")
        elif not is_image_name(source):
            raise DatasetError("not a picture, by its name.", where=source, hint="Name the pictures you kept.")
        else:
            files.append(source)
    return tuple(dict.fromkeys(files))


def read_drawing(path: Path) -> GenerationFacts | None:
    """How the picture was drawn, by its text; None when it has none that can be read."""
    try:
        with Image.open(path) as image:
            text = image.info.get(TEXT_KEY)
    except Exception:  # what is no picture is said when it is opened for good
        return None
    return parse_drawing(text) if isinstance(text, str) and text.strip() else None


def parse_drawing(text: str) -> GenerationFacts:
    """Take apart the text that Stable Diffusion tools put into pictures: the prompt, "Negative prompt: ...", and a last
    line of fields."""
    *lines, last = text.strip().split("\n")
    found = _FIELD.findall(last)
    if len(found) < _LEAST_FIELDS:
        lines, found = [*lines, last], []
    start = next((number for number, line in enumerate(lines) if line.strip().startswith(_NEGATIVE)), len(lines))
    prompt = "\n".join(lines[:start]).strip()
    negative = "\n".join(lines[start:]).strip().removeprefix(_NEGATIVE).strip()
    adapters = {name: strength or "1" for name, strength in _NETWORK.findall(prompt)}
    return GenerationFacts(prompt, negative, adapters, {key: value.strip('" ') for key, value in found})
