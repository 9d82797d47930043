"""The shipped character as a project with a recipe of the benchmark's own in place of its own."""

from __future__ import annotations

from pathlib import Path

import tomlkit

from lorasmith.examples import copy_example


def copy_with_recipe(folder: Path, tables: str) -> Path:
    """The project's folder. `tables` is TOML: a [recipe], and what else comes after it."""
    root = copy_example("character", folder)
    file = root / "lora.toml"
    document = tomlkit.parse(file.read_text("utf-8"))
    document.pop("recipe", None)
    file.write_text(tomlkit.dumps(document) + tables, "utf-8")
    return root
