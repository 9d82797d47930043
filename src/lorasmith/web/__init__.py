"""The pages that the server serves: plain files, no build step, nothing from outside."""

from __future__ import annotations

from importlib.resources import files

TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


def read_page(name: str) -> tuple[bytes, str] | None:
    """(bytes, content type) of one of the files beside this module; None for any other name."""
    kind = TYPES.get(name.rpartition(".")[2])
    if kind is None or "/" in name or "\\" in name or name.startswith("."):
        return None
    file = files("lorasmith.web").joinpath(name)
    return (file.read_bytes(), f"{kind}; charset=utf-8") if file.is_file() else None
