"""The captions that were built last: what a trainer reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from lorasmith.dataset.folders import CAPTION_EXTENSION
from lorasmith.project import Project

CAPTIONS_NAME = "captions.json"


def read_built_captions(project: Project) -> Mapping[str, str]:
    """The captions of the last build by image; empty where nothing was built."""
    try:
        captions: Mapping[str, str] = json.loads((project.cache / CAPTIONS_NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return captions


def find_edited(project: Project) -> tuple[Path, ...]:
    """The caption files in `build/dataset/` that hold nothing that was built: somebody has edited them there."""
    built = {_line(caption) for caption in read_built_captions(project).values()}
    if not built:
        return ()
    files = sorted(project.built_dataset.glob(f"*/*{CAPTION_EXTENSION}"))
    return tuple(file for file in files if _line(file.read_text("utf-8", "replace")) not in built)


def _line(text: str) -> str:
    return " ".join(text.split())
