"""Images behind a URL: a mirror in the project's cache, which is read like any folder of images."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

from lorasmith.dataset.folders import CAPTION_EXTENSIONS
from lorasmith.dataset.settings import read_settings
from lorasmith.events import Work
from lorasmith.images.opening import is_image_name
from lorasmith.project import Project, safe_name
from lorasmith.storage.remote import mirror, url_of

_MIRRORS = "remote"


def is_wanted(place: PurePosixPath) -> bool:
    """Whether a stored file is a picture or a caption, by its name."""
    hidden = any(part.startswith(".") for part in place.parts)
    return not hidden and (is_image_name(Path(place)) or place.suffix.lower() in CAPTION_EXTENSIONS)


def mirror_of(project: Project, url: str) -> Path:
    """Where the mirror of a URL lies; it need not exist."""
    digest = hashlib.sha256(url.encode()).hexdigest()[:12]
    return project.cache / _MIRRORS / digest / (safe_name(url.rstrip("/").rpartition("/")[2]) or "images")


def image_roots(project: Project) -> list[Path]:
    """The folders of this machine that [dataset] `images` are, in order; they need not exist."""
    named = ((folder, url_of(folder)) for folder in read_settings(project).images)
    return [mirror_of(project, url) if url else project.root / Path(folder).expanduser() for folder, url in named]


def fetch_images(project: Project, places: tuple[str, ...]) -> Work[None]:
    """Bring the mirrors of those places of images that are URLs up to what is there now. Raises StorageError."""
    for place in places:
        if url := url_of(place):
            yield from mirror(url, mirror_of(project, url), is_wanted, "fetching images")
