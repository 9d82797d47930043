"""The files of the parts that a transformer's file does not hold, as ComfyUI keeps them. Importable without torch.

All are told by the keys and shapes in headers; names of files only choose among several of a kind.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lorasmith.bases.families.evidence import Evidence, Shapes, read_evidence
from lorasmith.bases.families.kl_vae import latent_channels
from lorasmith.bases.families.qwen import qwen_start
from lorasmith.bases.families.wan_vae import CHANNELS, FIRST
from lorasmith.container import read_container
from lorasmith.errors import BaseError

_FOLDERS = ("text_encoders", "clip", "vae")
Kind = tuple[str, int]
"""What a file is, and a width of it: ("qwen", its vectors'), ("wan vae" or "vae", channels of its latents)."""


@dataclass(frozen=True)
class Wanted:
    """A file to look for: what it is, how a sentence calls it, the name that it is published under, and a word that
    the name of the right one has, where there are several."""

    kind: Kind
    what: str
    published: str
    word: str


def find_beside(path: Path, wanted: Sequence[Wanted]) -> list[Evidence]:
    """What is wanted, where ComfyUI's folders have it: in the file's own folder, and in `text_encoders`, `clip` and
    `vae` beside it or beside its parent. Raises BaseError that says where it looked."""
    path = path.absolute()
    folders = [path.parent, *(up / name for up in path.parents[1:3] for name in _FOLDERS)]
    found = []
    for each in wanted:
        file = _find(folders, each.kind, each.word)
        if file is None:
            looked = ", ".join(dict.fromkeys(str(folder) for folder in folders if folder.is_dir()))
            raise BaseError(
                f"has no {each.what}, beside it (looked in {looked}).",
                where=path,
                hint=f"Put {each.published} into its folder or into ComfyUI's, or give the model's diffusers folder.",
            )
        found.append(read_evidence(file))
    return found


def _find(folders: Collection[Path], kind: Kind, word: str) -> Path | None:
    found = [file for folder in folders for file in sorted(folder.glob("*.safetensors")) if _kind(file) == kind]
    return min(found, key=lambda file: word not in file.name.lower(), default=None)


def _kind(file: Path) -> Kind | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return _told(file, (status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=1024)
def _told(file: Path, version: tuple[int, ...]) -> Kind | None:
    del version
    try:
        header = read_container(file, BaseError, "a base")
    except BaseError:
        return None
    return _told_by({key: entry.shape for key, entry in header.tensors.items()})


def _told_by(shapes: Shapes) -> Kind | None:
    start = qwen_start(shapes)
    if start is not None:
        return "qwen", shapes[f"{start}embed_tokens.weight"][1]
    if FIRST in shapes and CHANNELS in shapes:
        return "wan vae", shapes[CHANNELS][0]
    channels = latent_channels(shapes)
    return None if channels is None else ("vae", channels)
