"""What an embedding's file looks like, told by its header, without torch.

A1111's web UI and sd-scripts write one tensor ``emb_params``; A1111's pickles become ``string_to_param.*``; sd-scripts
and diffusers' trainers write ``clip_l`` and ``clip_g`` for SDXL; diffusers writes one tensor under the token itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lorasmith.bases.text.embeddings import PARTS
from lorasmith.container import Header, read_container
from lorasmith.errors import AdapterError

LARGEST = 4 * 2**20
"""Bytes of the largest file that is looked into: 75 vectors of SDXL take 0.6 MiB."""
MOST_TENSORS = 8
PARAMS = "emb_params"
FORMER = "lorasmith.pickle_sha256"
"""The metadata field of a file that was made of a pickle: that one's hash, which pictures name."""
_OLD = "string_to_param."
_NO_TOKENS = (PARAMS, *PARTS, "clip_h")
_FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
_TOKEN = re.compile(r"<[^<>]+>|(?!lora_|lycoris_)[^.<>]+")
"""A word, where modules' parameters have dotted paths."""


@dataclass(frozen=True)
class EmbeddingHeader:
    """What a header says: the keys of the vectors by part, their number, the width of each part; the token that
    diffusers calls it by, "" where none is told."""

    keys: Mapping[str, str]
    vectors: int
    widths: tuple[int, ...]
    token: str = ""
    step: int | None = None
    checkpoint: str | None = None
    checkpoint_name: str | None = None
    former: str = ""


def find_parts(keys: Iterable[str]) -> dict[str, str]:
    """The keys of an embedding's vectors by part ("" for the only one); empty when these are no embedding's."""
    all_keys = list(keys)
    if set(all_keys) == set(PARTS):
        return {part: part for part in PARTS}
    named = [key for key in all_keys if key == PARAMS or key.startswith(_OLD)]
    if len(named) == 1:
        return {"": named[0]}
    return {"": all_keys[0]} if len(all_keys) == 1 and _TOKEN.fullmatch(all_keys[0]) else {}


def read_embedding_header(path: Path) -> EmbeddingHeader | None:
    """What the header of an embedding's file says; None for what is no embedding's. Raises AdapterError for what is no
    whole safetensors file, OSError."""
    if path.stat().st_size > LARGEST or _has_many(path):
        return None
    return tell_embedding(read_container(path, AdapterError, "the embedding"))


def _has_many(path: Path) -> bool:
    """Whether a file has more tensors than an embedding has, told without taking its header apart."""
    with path.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        return length <= LARGEST and opened.read(length).count(b'"data_offsets"') > MOST_TENSORS


def tell_embedding(header: Header) -> EmbeddingHeader | None:
    """What a header says of an embedding; None for what is no embedding's."""
    keys = find_parts(header.tensors)
    entries = [header.tensors[key] for key in keys.values()]
    shapes = [entry.shape for entry in entries]
    if not shapes or any(len(shape) not in (1, 2) or 0 in shape for shape in shapes):
        return None
    rows = {shape[0] if len(shape) == 2 else 1 for shape in shapes}
    if len(rows) != 1 or any(entry.dtype not in _FLOATS for entry in entries):
        return None
    only = next(iter(keys.values()))
    metadata = header.metadata
    step = metadata.get("step") or metadata.get("ss_steps", "")
    return EmbeddingHeader(
        keys,
        rows.pop(),
        tuple(shape[-1] for shape in shapes),
        "" if len(keys) > 1 or only in _NO_TOKENS or only.startswith(_OLD) else only,
        int(step) if re.fullmatch(r"\d{1,9}", step) else None,
        metadata.get("sd_checkpoint"),
        metadata.get("sd_checkpoint_name"),
        metadata.get(FORMER, ""),
    )
