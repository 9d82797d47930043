"""Projects on folders of images that lie elsewhere."""

from __future__ import annotations

from pathlib import Path

from lorasmith.project import Project, open_project


def project_of(
    images: Path, trigger: str = "zbk", tags: str = "", recipe: str = "", base: str | Path = "doodle"
) -> Project:
    """A project beside `images` that uses them where they lie."""
    root = images.parent / f"{images.name}-project"
    root.mkdir(exist_ok=True)
    (root / "lora.toml").write_text(
        f'[lora]\nname = "zbk"\nsubject = "character"\ntrigger = "{trigger}"\nbase = "{base}"\n'
        f'[dataset]\nimages = ["../{images.name}"]\n'
        f'[tags]\n{tags}\n[recipe]\n{recipe}\n[provenance]\nsource = "drawn for tests"\n'
    )
    return open_project(root)
