"""`build/dataset/`: what a trainer sees, in kohya's folder form: `N_name` folders of links and captions, and a dataset
file; and a zip for trainers that want one. No metadata of the user's pictures gets there."""

from __future__ import annotations

import json
import os
import shutil
import time
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import tomlkit

from lorasmith.dataset.built import CAPTIONS_NAME, find_edited, read_built_captions
from lorasmith.dataset.folders import CAPTION_EXTENSION, class_words, printable, read_repeats
from lorasmith.dataset.ingest import fit
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.dataset.sources.kohya import DATASET_FILE
from lorasmith.errors import ProjectError, StorageError
from lorasmith.events import Note, Progress, Work, eta
from lorasmith.images.cleaning import is_plain, suffix_of, write_plain
from lorasmith.images.opening import is_image_name
from lorasmith.project import Project, safe_name
from lorasmith.remedies import Action, Do
from lorasmith.storage.files import partial_of, remove_left_partials, replace_folder, replacing, write_file
from lorasmith.storage.locks import alone
from lorasmith.tags.pipeline import Captioning
from lorasmith.tags.raw import read_raw_tags
from lorasmith.tags.words import join_tags, split_tags

EDITED = "edited captions"
"""The folder beside `build/dataset/` that keeps what was edited there by hand."""
_LOCK = "build.lock"
_ZIP_DAY = (1980, 1, 1, 0, 0, 0)
Settings = Mapping[str, Any]
Placed = tuple[Item, PurePosixPath]


@dataclass(frozen=True)
class Change:
    """A caption that is not what it was."""

    image: str
    before: str
    after: str


def build_dataset(
    project: Project,
    dataset: Dataset,
    captioning: Captioning,
    *,
    general: Settings | None = None,
    buckets: Settings | None = None,
) -> Work[Path]:
    """Write `build/dataset/` anew and give its path; the user's own files are only linked to.

    Every picture stands once in `<repeats>_<words>/` with a same-stem .txt of one line that is never empty (an empty
    file stops kohya's trainer). A picture that carries metadata, is turned, cropped, transparent, of more than 8 bits,
    or of a format that trainers do not read, is written anew without all that. dataset.toml lists the folders for
    kohya's trainer; `general` and `buckets` are further keys of its [general] and [[datasets]]. The old folder is
    replaced in the end, so that there is always a whole one; captions that were edited in it are kept beside it. Raises
    ImageError; StorageError, also while another process builds it.
    """
    target = project.built_dataset
    fresh = partial_of(target)
    with alone(project.cache / _LOCK, "builds the dataset"):
        try:
            remove_left_partials(target)
            fresh.mkdir(parents=True)
            places = _places(project, dataset)
            started, step = time.monotonic(), max(1, len(places) // 100)
            for done, (item, place) in enumerate(places, start=1):
                (fresh / place).parent.mkdir(exist_ok=True)
                _put_image(project, item, fresh / place)
                caption = " ".join(captioning.captions[item.name].split("\n"))
                (fresh / f"{place}{CAPTION_EXTENSION}").write_text(caption + "\n", "utf-8", "replace")
                if done % step == 0 or done == len(places):
                    yield Progress("building", done, len(places), eta(started, done, len(places)))
            (fresh / DATASET_FILE).write_text(_describe(project, places, general or {}, buckets or {}), "utf-8")
            yield from _keep_edited(project)
            replace_folder(fresh, target)
        except OSError as fault:
            raise StorageError(
                f"cannot write: {fault.strerror}.", where=target, hint="Free some space, then run it again."
            ) from fault
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        write_file(project.cache / CAPTIONS_NAME, json.dumps(dict(captioning.captions)))
    return target


def _keep_edited(project: Project) -> Iterator[Note]:
    """Copy the captions that were edited in `build/dataset/` aside, and tell where to write them instead."""
    edited = find_edited(project)
    if not edited:
        return
    kept = project.built_dataset.parent / EDITED
    for file in edited:
        place = kept / file.relative_to(project.built_dataset)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_file(place, file.read_bytes())
    names = f"{len(edited)} captions were" if len(edited) > 1 else f"{edited[0].name} was"
    yield Note(
        f"{names} edited in {project.built_dataset.name}/, which is built anew: kept in {kept}. Captions are edited "
        "beside the images.",
        "warning",
    )


def pack_zip(project: Project, target: Path) -> Path:
    """Pack what was built into `target` for hub trainers: pictures and captions side by side, their names unique.

    Repeats are left to the trainer, which sets one number for all. The bytes depend on the contents only. Raises
    ProjectError when nothing was built or `target` is a file of another kind, StorageError.
    """
    images = [path for path in sorted(project.built_dataset.glob("*/*")) if is_image_name(path)]
    if not images:
        build = Do(Action.TAG, project=project.root, write=True)
        raise ProjectError("nothing was built yet.", where=project.built_dataset, hint="Build it first:", remedy=build)
    if target.exists() and not zipfile.is_zipfile(target):
        raise ProjectError("there is something else of that name.", where=target, hint="Choose another name.")
    taken: set[str] = set()
    with replacing(target) as partial, zipfile.ZipFile(partial, "w") as archive:
        for image in images:
            stem = _free(image.stem, taken)
            _pack(archive, image, stem + image.suffix, zipfile.ZIP_STORED)
            _pack(archive, image.with_suffix(CAPTION_EXTENSION), stem + CAPTION_EXTENSION, zipfile.ZIP_DEFLATED)
    return target


def compare_captions(project: Project, dataset: Dataset, captioning: Captioning) -> tuple[Change, ...]:
    """What building would change: against the last built captions, or the raw tags where there are none."""
    raw = read_raw_tags(project, dataset)
    built = read_built_captions(project)
    pairs = (
        (name, built.get(name, join_tags(raw[name].tags)), caption) for name, caption in captioning.captions.items()
    )
    return tuple(Change(name, before, after) for name, before, after in pairs if before != after)


def _places(project: Project, dataset: Dataset) -> tuple[Placed, ...]:
    """Where each item goes, without extension: kohya reads no nested folders, so they become part of the stem."""
    places: list[Placed] = []
    taken: dict[str, set[str]] = {}
    for item in dataset.items:
        words = unicodedata.normalize("NFC", class_words(item.folder) or project.lora.name)
        folder = f"{item.repeats}_{safe_name(words)}"
        name = unicodedata.normalize("NFC", "-".join(PurePosixPath(item.name).with_suffix("").parts[_depth(item) :]))
        place = fit(PurePosixPath(folder, safe_name(name) + ".png")).with_suffix("")
        places.append((item, place.with_name(_free(place.name, taken.setdefault(folder, set())))))
    return tuple(places)


def _free(stem: str, taken: set[str]) -> str:
    """`stem`, numbered if it is taken; now it is."""
    free, number = stem, 2
    while free.casefold() in taken:
        free, number = f"{stem}-{number}", number + 1
    taken.add(free.casefold())
    return free


def _depth(item: Item) -> int:
    """How many folders of the name the new folder stands for already."""
    return 1 if item.name.startswith(f"{item.folder}/") and read_repeats(item.folder) else 0


def _put_image(project: Project, item: Item, place: Path) -> None:
    if item.crop is not None or not is_plain(item.path):
        write_plain(item.path, place, item.crop)
        return
    target = place.with_name(place.name + suffix_of(item.path))
    try:
        os.symlink(_link_target(project, item.path, place.parent), target)
    except OSError:  # file systems and accounts without links
        shutil.copyfile(item.path, target)


def _link_target(project: Project, image: Path, folder: Path) -> Path:
    """Relative inside the project, so that it can be moved; absolute outside."""
    real = image.resolve()
    if real.is_relative_to(project.root):
        return Path(os.path.relpath(real, folder))
    return real


def _pack(archive: zipfile.ZipFile, file: Path, name: str, compression: int) -> None:
    """Add one file block by block, without its date and rights."""
    entry = zipfile.ZipInfo(name, _ZIP_DAY)
    entry.compress_type, entry.external_attr = compression, 0o644 << 16
    entry.file_size = file.stat().st_size
    with file.open("rb") as source, archive.open(entry, "w") as out:
        shutil.copyfileobj(source, out)


def _describe(project: Project, places: Sequence[Placed], general: Settings, buckets: Settings) -> str:
    """The dataset file of kohya's trainer: captions are .txt there only if one says so."""
    document = tomlkit.document()
    document.add(
        tomlkit.comment("For kohya's trainer: --dataset_config. Paths are those of this machine; built anew by:")
    )
    document.add(tomlkit.comment(str(Do(Action.TAG, project="PROJECT", write=True))))
    keep = len(split_tags(project.lora.trigger))
    document["general"] = {"caption_extension": CAPTION_EXTENSION, "keep_tokens": keep} | dict(general)
    members: dict[str, list[Item]] = {}
    for item, place in places:
        members.setdefault(place.parts[0], []).append(item)
    subsets = [_subset(project, folder, items) for folder, items in sorted(members.items())]
    document["datasets"] = [dict(buckets) | {"subsets": subsets}]
    return tomlkit.dumps(document)


def _subset(project: Project, folder: str, items: Sequence[Item]) -> dict[str, Any]:
    _, _, words = folder.partition("_")
    path = printable(str(project.built_dataset / folder))
    return {"image_dir": path, "num_repeats": items[0].repeats, "class_tokens": words.replace("_", " ")}
