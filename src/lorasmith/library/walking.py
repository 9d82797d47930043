"""The model files below a folder, with what lies beside them: names, sizes and times, nothing is opened."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lorasmith.dataset.folders import printable
from lorasmith.library.sidecars.beside import preview_name, sidecar_names

MODELS = (".safetensors", ".ckpt", ".pt")
"""Pickles are listed, too, as what cannot be used."""
_WEIGHTS_OF_FOLDERS = ("adapter_model", "pytorch_lora_weights")
"""What PEFT and diffusers call every adapter: the folder has the name."""
_BASE = "model_index.json"
_PARTS_OF_BASE = {"unet", "vae", "scheduler"}
_PARTS = ("unet", "text_encoder", "text_encoder_2", "transformer")


@dataclass(frozen=True)
class Found:
    """A file, or the folder of a base in diffusers' layout. `stamp` is its time of change in nanoseconds; `beside` are
    its sidecars and a word that changes when one of them does."""

    path: bytes
    size: int
    stamp: int
    beside: str
    preview: bytes | None

    @property
    def file(self) -> Path:
        return Path(os.fsdecode(self.path))

    @property
    def name(self) -> str:
        """What calls it, to be shown: its stem, or its folder's name where every file has the same."""
        path = self.file
        if not path.name.endswith(MODELS):
            return printable(path.name)
        if path.stem not in _WEIGHTS_OF_FOLDERS:
            return printable(path.stem)
        part = path.parent.name
        return printable(f"{path.parent.parent.name}-{part}" if part in _PARTS else part)


@dataclass
class Walked:
    """What a walk could not see: `unread` are folders that could not be listed, with the reason."""

    unread: dict[bytes, str] = field(default_factory=dict)


def walk(root: Path, walked: Walked) -> Iterator[list[Found]]:
    """The files of one folder after the other, at any depth, links followed once. Hidden folders are left out. Raises
    OSError where the root itself cannot be listed."""
    seen: set[tuple[int, int]] = set()
    waiting = [os.fsencode(root)]
    while waiting:
        folder = waiting.pop()
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                listed = list(entries)
            yield from _look(folder, listed, waiting)
        except OSError as fault:
            if folder == os.fsencode(root):
                raise
            walked.unread[folder] = fault.strerror or str(fault)
            continue


def _look(folder: bytes, entries: list[os.DirEntry[bytes]], inner: list[bytes]) -> Iterator[list[Found]]:
    """The files in one folder, a part of them now and then where a slow disk tells them one by one; the folders in it
    join `inner`."""
    names = {os.fsdecode(entry.name): entry for entry in entries}
    if _is_base(names):
        yield [_base_folder(folder, names)]
        return
    found: list[Found] = []
    said = time.monotonic()
    for name, entry in names.items():
        if name.startswith("."):
            continue
        if _is_model(name, entry):
            found.append(_found(folder, name, names))
        elif entry.is_dir():
            inner.append(entry.path)
        if time.monotonic() - said > 1:
            yield found
            found, said = [], time.monotonic()
    yield found


def find_one(path: Path) -> Found | None:
    """A file by itself, or a base's folder; None where it is not there, or is no model's."""
    whole = os.fsencode(path)
    folder = whole if path.is_dir() else os.path.dirname(whole)
    name = os.fsdecode(os.path.basename(whole))
    try:
        with os.scandir(folder or b".") as entries:
            names = {os.fsdecode(entry.name): entry for entry in entries}
        if folder == whole or _is_base(names):
            return _base_folder(folder, names) if folder == whole and _is_base(names) else None
        seen = name in names and not name.startswith(".") and _is_model(name, names[name])
        return _found(folder, name, names) if seen else None
    except OSError:
        return None


def _is_base(names: Collection[str]) -> bool:
    return _BASE in names or set(names) >= _PARTS_OF_BASE


def _is_model(name: str, entry: os.DirEntry[bytes]) -> bool:
    return name.endswith(MODELS) and entry.is_file()


def _found(folder: bytes, name: str, names: dict[str, os.DirEntry[bytes]]) -> Found:
    status = names[name].stat()
    stem = name.rpartition(".")[0]
    sidecars = sidecar_names(stem, names)
    beside = ""
    if sidecars:
        times = [names[each].stat() for each in sidecars]
        beside = "/".join([*map(printable, sidecars), "-".join(f"{t.st_mtime_ns:x}.{t.st_size:x}" for t in times)])
    picture = preview_name(stem, names)
    preview = None if picture is None else os.path.join(folder, os.fsencode(picture))
    return Found(names[name].path, status.st_size, status.st_mtime_ns, beside, preview)


def _base_folder(folder: bytes, names: Collection[str]) -> Found:
    """A base's folder, by the sizes and times of its weights."""
    size = stamp = 0
    for part in names:
        try:
            with os.scandir(os.path.join(folder, os.fsencode(part))) as files:
                for file in files:
                    if file.name.endswith(b".safetensors"):
                        status = file.stat()
                        size, stamp = size + status.st_size, max(stamp, status.st_mtime_ns)
        except OSError:
            continue
    return Found(folder, size, stamp or os.stat(folder).st_mtime_ns, "", None)
