"""The page that a grid is looked at with: one HTML file, no network, pictures beside it or inside it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from lorasmith.templates import render

MARKS = ("keep", "reject", "favourite")


@dataclass(frozen=True)
class Shown:
    """A cell as the page shows it: `path` is relative to the page, or a data address; `infotext` all about it."""

    x: str
    y: str
    z: str
    key: str | None
    path: str | None
    error: str | None
    infotext: str = ""
    mark: str | None = None


@dataclass(frozen=True)
class PageAxis:
    """An axis by its title and labels; of no axis one empty label."""

    title: str
    labels: tuple[str, ...]


def draw_page(
    kind: Literal["grid", "showcase"],
    identity: str,
    title: str,
    note: str,
    axes: tuple[PageAxis, PageAxis, PageAxis],
    size: tuple[int, int],
    cells: Sequence[Shown],
) -> str:
    """The page as HTML; `axes` are x, y and z, `cells` stand x first, and `size` is that of most pictures.

    `identity` is what marks are kept under in the browser and named by when they are downloaded.
    """
    x, y, z = axes
    data = {
        "kind": kind,
        "id": identity,
        "title": title,
        "note": note,
        "x": asdict(x),
        "y": asdict(y),
        "z": asdict(z),
        "size": list(size),
        "cells": [asdict(cell) for cell in cells],
    }
    return render("grid.html", data=data)


def address(path: Path, page: Path, embed: bool) -> str:
    """Where the page finds a picture: beside it, or, with `embed`, inside it."""
    if embed:
        return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
    return quote(path.relative_to(page.parent).as_posix())
