"""The pages that the server serves: plain files, no build step, nothing from outside."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
STUDIO = "studio/index.html"
"""The page of the whole road."""
DRAW_ONLY = b'<body data-only="draw">'
"""What that page's body is where there are no projects: it is its Draw screen alone then."""
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_INLINE = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)


def read_page(name: str) -> tuple[bytes, str] | None:
    """(bytes, content type) of one of the files in or below this folder, such as "studio/main.js"; None for any other
    name."""
    kind = TYPES.get(name.rpartition(".")[2])
    if kind is None or not all(map(_PART.fullmatch, name.split("/"))):
        return None
    file = files("lorasmith.web").joinpath(*name.split("/"))
    return (file.read_bytes(), f"{kind}; charset=utf-8") if file.is_file() else None


def script_sources(page: bytes) -> str:
    """The import maps in a page, as a content security policy names what may stand in it."""
    marks = (base64.b64encode(hashlib.sha256(inline).digest()).decode() for inline in _INLINE.findall(page))
    return " ".join(f"'sha256-{mark}'" for mark in marks)
