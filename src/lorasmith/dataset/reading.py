"""From folders and sidecar captions to a Dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lorasmith.dataset.folders import Found, Place, Problem, find_files
from lorasmith.dataset.index import Index, open_index
from lorasmith.dataset.settings import image_roots
from lorasmith.errors import DatasetError, ImageError
from lorasmith.events import Event, Progress, Work
from lorasmith.images.opening import ImageFacts, look_at
from lorasmith.project import Project

_TOPIC = "facts"


@dataclass(frozen=True)
class Item:
    """One readable image of a dataset.

    `name` is its POSIX path relative to the images folder, and is unique; `caption` the raw text of its same-stem
    .txt (None without one, "" when that is empty); `folder` its group ("5_primary", or "" at the root);
    `repeats` how often an epoch shows it.
    """

    path: Path
    name: str
    facts: ImageFacts
    caption: str | None
    folder: str
    repeats: int


@dataclass(frozen=True)
class Dataset:
    """All readable images, by name; what could not be used; and the captions that belong to no image."""

    items: tuple[Item, ...]
    problems: tuple[Problem, ...]
    orphans: tuple[Path, ...]


def read_dataset(project: Project) -> Work[Dataset]:
    """Read the folders of [dataset]. Nothing is changed; what cannot be read is listed under `problems`.

    Files that have not changed since the last reading are not opened again. Raises DatasetError when a folder is
    missing or when no image can be read.
    """
    roots = image_roots(project)
    made = {project.built_dataset.parent, project.runs, project.exams}  # images = ["."] must not find those
    founds = [
        find_files(root, prefix, made) for root, prefix in zip(roots, _prefixes(roots), strict=True) if _check(root)
    ]
    places = [place for found in founds for place in found.images]
    if not places:
        raise DatasetError("no images in it.", where=roots[0], hint=_PUT_IMAGES)
    captions = _caption_files(founds)
    problems = [problem for found in founds for problem in found.problems]
    items: list[Item] = []
    with open_index(project.cache) as index:
        for done, place in enumerate(places, start=1):
            try:
                facts = _facts(index, place.path)
                caption = _caption(captions.get(place.path.with_suffix("")), place, problems)
                items.append(Item(place.path, place.name, facts, caption, place.folder, place.repeats))
            except ImageError as fault:
                message = f"{fault.message} {fault.hint or ''}".strip()
                problems.append(Problem("unreadable", place.name, place.path, message))
            if event := _due(done, len(places)):
                yield event
    if not items:
        listed = "\n".join(f"  {problem.name}: {problem.message}" for problem in problems[:5])
        raise DatasetError(f"none of its {len(places)} images can be read:\n{listed}", where=roots[0])
    return Dataset(tuple(items), tuple(problems), _orphans(founds))


_PUT_IMAGES = "Put your images there, or name their folder in lora.toml: [dataset] images."


def _check(root: Path) -> bool:
    if not root.exists():
        raise DatasetError("no such folder of images.", where=root, hint=_PUT_IMAGES)
    if not root.is_dir():
        raise DatasetError("not a folder of images.", where=root, hint="Name the folder that the file is in.")
    return True


def _prefixes(roots: Sequence[Path]) -> Iterator[str]:
    """What makes names unique over several roots: nothing for one, else the root's name (numbered if repeated)."""
    if len(roots) == 1:
        yield ""
        return
    seen: dict[str, int] = {}
    for root in roots:
        count = seen[root.name] = seen.get(root.name, 0) + 1
        yield f"{root.name}/" if count == 1 else f"{root.name}-{count}/"


def _facts(index: Index, path: Path) -> ImageFacts:
    try:
        stat = path.stat()
    except OSError as fault:
        raise ImageError(f"cannot be opened: {fault.strerror}.", where=path) from None
    known = index.known(_TOPIC, path, stat)
    if known is None:
        facts = look_at(path)
        index.learn(_TOPIC, path, stat, [facts.width, facts.height, facts.format, facts.sha256])
        return facts
    width, height, kind, sha256 = known
    return ImageFacts(path, width, height, kind, sha256)


def _caption_files(founds: Sequence[Found]) -> dict[Path, Path]:
    """Caption file by the path of its image without extension."""
    return {place.path.with_suffix(""): place.path for found in founds for place in found.captions}


def _caption(file: Path | None, place: Place, problems: list[Problem]) -> str | None:
    """The text of a caption file; one that cannot be read counts as none, and is listed."""
    if file is None:
        return None
    try:
        return file.read_bytes().decode("utf-8-sig").strip()
    except UnicodeDecodeError as fault:
        message = f"its caption is not UTF-8 text (byte {fault.start}). Save it again as UTF-8."
    except OSError as fault:
        message = f"its caption cannot be opened: {fault.strerror}."
    problems.append(Problem("caption", place.name, place.path, message))
    return None


def _orphans(founds: Sequence[Found]) -> tuple[Path, ...]:
    stems = {place.path.with_suffix("") for found in founds for place in found.images}
    stems |= {problem.path.with_suffix("") for found in founds for problem in found.problems}
    files = (place.path for found in founds for place in found.captions)
    return tuple(file for file in files if file.with_suffix("") not in stems)


def _due(done: int, total: int) -> Event | None:
    """A progress event, about a hundred in all."""
    step = max(1, total // 100)
    return Progress("reading images", done, total) if done % step == 0 or done == total else None
