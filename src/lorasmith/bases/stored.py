"""A base's weights on disk, one by one: no model is built, and no more than one weight is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from lorasmith.bases.detection import base_name, detect, find_base
from lorasmith.bases.families.family import Family, Structure
from lorasmith.bases.families.original import Source
from lorasmith.bases.targets import TargetLayer
from lorasmith.container import Header, read_container
from lorasmith.errors import BaseError

KINDS = ("weight", "bias")


@dataclass(frozen=True)
class Place:
    """Where one weight or bias lies: the file, and where in it."""

    file: Path
    source: Source


Places = Mapping[tuple[str, str], Place]
Headers = Mapping[Path, Header]


@dataclass(eq=False)
class StoredBase:
    """The layers that an adapter may touch, as they lie in a checkpoint file or a diffusers folder.

    `layers` are as in `Base`; `places` says where ``(name, "weight" | "bias")`` lies;
    `headers` are those of all its weight files but the VAE's. Weights are read inside `reading`.
    """

    name: str
    path: Path
    structure: Structure
    layers: Mapping[str, TargetLayer]
    places: Places
    headers: Headers
    _opened: dict[Path, Any] = field(default_factory=dict, repr=False)

    @property
    def family(self) -> Family:
        return self.structure.family

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The weight files that hold a layer."""
        return tuple(sorted({place.file for place in self.places.values()}))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep the files open (mapped) inside the block."""
        from safetensors import SafetensorError, safe_open

        with ExitStack() as stack:
            try:
                for file in self.files:
                    self._opened[file] = stack.enter_context(safe_open(file, framework="pt"))
                yield
            except SafetensorError as fault:
                raise BaseError(f"cannot be read: {fault}.", where=self.path) from None
            finally:
                self._opened.clear()

    def tensor(self, file: Path, key: str) -> Tensor:
        """A tensor as the file has it, mapped."""
        stored: Tensor = self._opened[file].get_tensor(key)
        return stored

    def read(self, name: str, kind: str = "weight") -> Tensor:
        """A layer's weight or bias, mapped, in the file's dtype."""
        place = self.places[name, kind]
        return place.source.take(self.tensor(place.file, place.source.key))

    def shape(self, name: str, kind: str = "weight") -> tuple[int, ...]:
        """Its shape, from the header alone."""
        place = self.places[name, kind]
        entry = self.headers[place.file].tensors[place.source.key]
        return tuple(place.source.take(torch.empty(entry.shape, device="meta")).shape)

    def module(self, name: str) -> Any:
        """A layer's shapes in the manner of a module: `weight`, and `bias` or None, without memory."""
        bias = (name, "bias") in self.places
        return SimpleNamespace(
            weight=torch.empty(self.shape(name), device="meta"),
            bias=torch.empty(self.shape(name, "bias"), device="meta") if bias else None,
        )


def open_stored(name_or_path: str | Path) -> StoredBase:
    """The stored weights of "doodle", a checkpoint file, a diffusers folder or a hub id. Raises BaseError."""
    path = find_base(name_or_path)
    structure = detect(path)
    layers = structure.layers
    places, headers = (_of_folder if structure.evidence.header is None else _of_file)(structure, layers)
    return _checked(StoredBase(base_name(name_or_path, path), path, structure, layers, places, headers))


def _of_file(structure: Structure, layers: Mapping[str, TargetLayer]) -> tuple[Places, Headers]:
    path, header = structure.evidence.path, structure.evidence.header
    assert header is not None
    keys: dict[str, list[str]] = {}
    for target in layers.values():
        keys.setdefault(target.owner, []).extend(f"{target.path}.{kind}" for kind in _kinds_of(target))
    sources = {owner: structure.family.sources(structure, owner, own) for owner, own in keys.items()}
    others = {source.file for own in sources.values() for source in own.values() if source.file is not None}
    headers = {path: header} | {file: read_container(file, BaseError, "a base") for file in others}
    places = {
        (target.name, kind): Place(source.file or path, source)
        for target in layers.values()
        for kind in _kinds_of(target)
        if (source := sources[target.owner][f"{target.path}.{kind}"]).key in headers[source.file or path].tensors
    }
    return places, headers


def _kinds_of(target: TargetLayer) -> tuple[str, ...]:
    """What a layer may have; CLIP's projection has no bias, and OpenCLIP's tables no place for one."""
    return KINDS[:1] if target.path == "text_projection" else KINDS


def _of_folder(structure: Structure, layers: Mapping[str, TargetLayer]) -> tuple[Places, Headers]:
    path, family = structure.evidence.path, structure.family
    headers: dict[Path, Header] = {}
    where: dict[tuple[str, str], Path] = {}
    for owner in (family.denoiser_part, *(part.owner for part in family.text)):
        for file in _weight_files(path / owner):
            headers[file] = read_container(file, BaseError, "a base")
            where |= {(owner, key): file for key in headers[file].tensors}
    places: dict[tuple[str, str], Place] = {}
    for target in layers.values():
        for kind in KINDS:
            key = f"{target.path}.{kind}"
            # transformers 5 leaves `text_model.` out; a language model with its head has `model.` before the rest.
            for spelling in (key, key.removeprefix("text_model."), f"model.{key}"):
                if (target.owner, spelling) in where:
                    places[target.name, kind] = Place(where[target.owner, spelling], Source(spelling))
    return places, headers


def _weight_files(folder: Path) -> list[Path]:
    """The folder's safetensors files; those in half precision only where there are no others."""
    files = sorted(folder.glob("*.safetensors"))
    return [file for file in files if ".fp16." not in file.name] or files


def _checked(stored: StoredBase) -> StoredBase:
    missing = [name for name in stored.layers if (name, "weight") not in stored.places]
    if missing:
        raise BaseError(
            f"lacks the weights of {len(missing)} of its layers: {', '.join(missing[:3])}.",
            where=stored.path,
            hint="Give a whole checkpoint or a diffusers folder with safetensors weights.",
        )
    return stored
