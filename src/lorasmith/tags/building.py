"""`build/dataset/`: what a trainer sees, in kohya's folder form: `N_name` folders of links and captions."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lorasmith.dataset.folders import class_words, read_repeats
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import StorageError
from lorasmith.images.opening import open_rgb
from lorasmith.project import Project, safe_name, write_file
from lorasmith.tags.pipeline import Captioning
from lorasmith.tags.raw import read_raw_tags
from lorasmith.tags.words import join_tags

CAPTIONS_NAME = "captions.json"
_KOHYA_READS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})


@dataclass(frozen=True)
class Change:
    """A caption that is not what it was."""

    image: str
    before: str
    after: str


def build_dataset(project: Project, dataset: Dataset, captioning: Captioning) -> Path:
    """Write `build/dataset/` anew and give its path; the user's own files are only linked to.

    Every picture stands once in `<repeats>_<words>/` with a same-stem .txt that is never empty (an empty one stops
    kohya's trainer). Pictures of other formats are written as PNG. The old folder is replaced in the end, so that
    there is always a whole one. Raises StorageError.
    """
    target = project.built_dataset
    fresh = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for item, place in _places(project, dataset).items():
            (fresh / place).parent.mkdir(exist_ok=True)
            _put_image(project, item, fresh / place)
            caption = captioning.captions[item.name]
            (fresh / place).with_suffix(".txt").write_text(caption + "\n", "utf-8")
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    except OSError as fault:
        raise StorageError(
            f"cannot write: {fault.strerror}.", where=target, hint="Free some space, then run it again."
        ) from fault
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    write_file(project.cache / CAPTIONS_NAME, json.dumps(dict(captioning.captions)))
    return target


def compare_captions(project: Project, dataset: Dataset, captioning: Captioning) -> tuple[Change, ...]:
    """What building would change: against the last built captions, or the raw tags where there are none."""
    raw = read_raw_tags(project, dataset)
    built = _built_captions(project)
    pairs = (
        (name, built.get(name, join_tags(raw[name].tags)), caption) for name, caption in captioning.captions.items()
    )
    return tuple(Change(name, before, after) for name, before, after in pairs if before != after)


def _built_captions(project: Project) -> Mapping[str, str]:
    try:
        captions: Mapping[str, str] = json.loads((project.cache / CAPTIONS_NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return captions


def _places(project: Project, dataset: Dataset) -> dict[Item, PurePosixPath]:
    """Where each item goes: kohya reads no nested folders, so they become part of the stem; stems stay unique."""
    places: dict[Item, PurePosixPath] = {}
    taken: set[tuple[str, str]] = set()
    for item in dataset.items:
        folder = f"{item.repeats}_{safe_name(class_words(item.folder) or project.lora.name)}"
        stem = safe_name("-".join(PurePosixPath(item.name).with_suffix("").parts[_depth(item) :]))
        unique, number = stem, 2
        while (folder, unique.casefold()) in taken:
            unique, number = f"{stem}-{number}", number + 1
        taken.add((folder, unique.casefold()))
        extension = item.path.suffix.lower()
        places[item] = PurePosixPath(folder, unique + (extension if extension in _KOHYA_READS else ".png"))
    return places


def _depth(item: Item) -> int:
    """How many folders of the name the new folder stands for already."""
    return 1 if item.name.startswith(f"{item.folder}/") and read_repeats(item.folder) else 0


def _put_image(project: Project, item: Item, place: Path) -> None:
    if item.path.suffix.lower() not in _KOHYA_READS:
        open_rgb(item.path).save(place)
        return
    try:
        os.symlink(_link_target(project, item.path, place.parent), place)
    except OSError:  # file systems and accounts without links
        shutil.copyfile(item.path, place)


def _link_target(project: Project, image: Path, folder: Path) -> Path:
    """Relative inside the project, so that it can be moved; absolute outside."""
    real = image.resolve()
    if real.is_relative_to(project.root):
        return Path(os.path.relpath(real, folder))
    return real
