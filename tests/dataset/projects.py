"""Projects in a temporary folder, for tests."""

from __future__ import annotations

from pathlib import Path

from lorasmith.dataset.reading import Dataset, read_dataset
from lorasmith.events import finish
from lorasmith.project import Project, open_project


def make_project(root: Path, rest: str = "", *, subject: str = "character", trigger: str = "zbk") -> Project:
    """A project with a lora.toml; `rest` is appended to it. Its images folder is made empty."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    lora = f'[lora]\nname = "zbk"\nsubject = "{subject}"\ntrigger = "{trigger}"\n'
    (root / "lora.toml").write_text(lora + rest, "utf-8")
    return open_project(root)


def read(project: Project) -> Dataset:
    return finish(read_dataset(project))
