"""What a base knows by itself, for the question whether a trigger is new to it (T2): files are read, no model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from lorasmith.bases.clip import vocabulary
from lorasmith.bases.detection import family_of, locate_base
from lorasmith.bases.doodle import doodle_folder, world
from lorasmith.bases.hub import cached_base, is_hub_id
from lorasmith.bases.tag_space import read_tag_space
from lorasmith.errors import BaseError
from lorasmith.project import EMBEDDED, Project
from lorasmith.tags.review import Vocabulary


def read_vocabulary(project: Project) -> Vocabulary:
    """The words of the project's base: its tokenizer's vocabulary, and the tags of its world if it has one.

    What is not there, or cannot be read, is left empty: loading the base will say what is wrong with it.
    """
    if project.lora.base != EMBEDDED:
        return Vocabulary(_tokens(locate_base(project.lora.base, project.root)))
    try:
        tokens = read_tokens(doodle_folder())
    except BaseError:
        tokens = {}
    return Vocabulary(tokens, read_tags())


def _tokens(base: str) -> Mapping[str, int]:
    """The vocabulary of a base by path or hub id, where it is in CLIP's form; a checkpoint file's is CLIP's own."""
    path = Path(base)
    if not path.exists() and is_hub_id(base):
        path = cached_base(base) or path
    try:
        if not family_of(str(path)).clip_words:
            return {}
    except BaseError:  # it is something else, and loading it will say what
        return {}
    return vocabulary() if path.is_file() else read_tokens(path)


def read_tokens(folder: Path) -> Mapping[str, int]:
    """Token -> number from the first tokenizer of a diffusers folder, by its vocab.json, else its tokenizer.json; empty
    without a readable one."""
    for name in ("vocab.json", "tokenizer.json"):
        try:
            tokens = json.loads((folder / "tokenizer" / name).read_text("utf-8"))
            if name == "tokenizer.json":
                tokens = tokens["model"]["vocab"]
        except (OSError, ValueError, RecursionError, KeyError, TypeError):
            continue
        if isinstance(tokens, dict) and all(isinstance(number, int) for number in tokens.values()):
            return tokens
    return {}


def read_tags() -> frozenset[str]:
    """All tags of the embedded base's world. Raises BaseError when the installation is damaged."""
    known = read_tag_space(world())
    return frozenset(known.always).union(*(group.tags for group in known.groups.values()))
