"""What a path shows of the base that lies there before any weight is read: a header, or a folder's configurations."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

from lorasmith.container import Header, read_container
from lorasmith.errors import BaseError

Prediction = Literal["epsilon", "v_prediction"]
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Evidence:
    """A single file with its `header`, or a folder (`header` is None) whose configurations are read when asked for."""

    path: Path
    header: Header | None = None

    @cached_property
    def shapes(self) -> Shapes:
        """The shapes of the file's tensors by key; empty for a folder."""
        return {} if self.header is None else {key: entry.shape for key, entry in self.header.tensors.items()}

    @cached_property
    def weights(self) -> int:
        """How many weights there are, by the headers of the files; of a part with several files those of one kind."""
        if self.header is not None:
            return _count(self.header)
        total = 0
        for part in sorted(each for each in self.path.iterdir() if each.is_dir()):
            files = sorted(part.glob("*.safetensors"))
            plain = [file for file in files if ".fp16." not in file.name] or files
            total += sum(_count(read_container(file, BaseError, "a base")) for file in plain)
        return total

    def has(self, part: str) -> bool:
        """Whether the folder has this part (a folder in it)."""
        return self.header is None and (self.path / part).is_dir()

    def config(self, part: str, name: str = "config.json") -> dict[str, Any] | None:
        """The configuration of a part of the folder, None where there is none. Raises BaseError when it is broken."""
        file = self.path / part / name
        if self.header is not None or not file.is_file():
            return None
        return read_config(self.path, part, name)


def _count(header: Header) -> int:
    return sum(math.prod(entry.shape) for entry in header.tensors.values())


def read_evidence(path: Path) -> Evidence:
    """Look at a file or folder. Raises BaseError when it is not there, or is no safetensors file."""
    if path.is_dir():
        return Evidence(path)
    if not path.exists():
        raise BaseError("no such file or folder.", where=path, hint=WHAT_TO_GIVE)
    status = path.stat()
    return Evidence(path, _header(path, (status.st_ino, status.st_size, status.st_mtime_ns)))


@lru_cache(maxsize=8)
def _header(path: Path, version: tuple[int, ...]) -> Header:
    """The header of this version of a file: a run asks for it several times, and reads it once."""
    del version
    return read_container(path, BaseError, "a base")


WHAT_TO_GIVE = 'Give a checkpoint file, a diffusers folder, OWNER/REPOSITORY as on the hub, or "doodle".'


def read_config(folder: Path, part: str, name: str = "config.json") -> dict[str, Any]:
    """One part's config. Raises BaseError when it is missing or not JSON."""
    file = folder / part / name
    try:
        config = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        denoiser = "transformer" if (folder / "transformer").is_dir() else "unet"
        hint = f"A base is a diffusers folder: {denoiser}/, vae/, text_encoder/ ..."
        raise BaseError(f"no {part}/{name}.", where=folder, hint=hint) from None
    except (OSError, ValueError) as fault:
        raise BaseError(f"cannot be read: {fault}.", where=file) from None
    if not isinstance(config, dict):
        raise BaseError("is not a JSON object.", where=file)
    return config


@dataclass(frozen=True)
class TextStructure:
    """One text encoder: `config` for its class of transformers, and for single files its spelling and where it lies."""

    owner: str
    config: Mapping[str, Any]
    spelling: Literal["clip", "open_clip"] = "clip"
    prefix: str = ""
    pad: str = ""

    @property
    def depth(self) -> int:
        """How many layers it has."""
        return int(self.config["num_hidden_layers"])
