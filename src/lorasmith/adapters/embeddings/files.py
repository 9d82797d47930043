"""Embeddings read: from files of their own, and such as lie in an adapter's file. Shapes: V vectors, D their width."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lorasmith.adapters.embeddings.layouts import find_parts, read_embedding_header
from lorasmith.adapters.spelling.keys import BUNDLED
from lorasmith.bases.text.embeddings import Embedding
from lorasmith.errors import AdapterError

if TYPE_CHECKING:
    from torch import Tensor

HASH_DIGITS = 12
"""Of the whole file's SHA256, as A1111's web UI writes it (`textual_inversion.py`, `set_hash`)."""


def load_embedding(path: Path, name: str) -> Embedding:
    """A file's embedding; its vectors in fp32. Raises AdapterError for what is none, a pickle, and numbers that are
    not finite."""
    from lorasmith.adapters.files import read_tensors

    try:
        header = read_embedding_header(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:HASH_DIGITS] if header is not None else ""
    except OSError as fault:
        raise AdapterError(f"cannot be read: {fault.strerror}.", where=path) from None
    if header is None:
        raise AdapterError("holds no embedding.", where=path)
    tensors = read_tensors(path)
    return _make(name, {part: tensors[key] for part, key in header.keys.items()}, path, digest, header.former)


def read_bundled(tensors: Mapping[str, Tensor], where: object) -> dict[str, Embedding]:
    """The embeddings in an adapter's file by their names, from ``bundle_emb.NAME.clip_l`` and the like (OneTrainer;
    A1111's `extensions-builtin/Lora/networks.py`, `load_network`). Raises AdapterError for one of no known form."""
    by_name: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        name, _, rest = key.removeprefix(BUNDLED).partition(".")
        by_name.setdefault(name, {})[rest] = tensor
    found = {}
    for name, own in by_name.items():
        keys = find_parts(own)
        if not keys:
            raise AdapterError(f"the embedding {name} in it has the keys {', '.join(sorted(own))}.", where=where)
        found[name] = _make(name, {part: own[key] for part, key in keys.items()}, where, "")
    return found


def _make(name: str, tables: Mapping[str, Tensor], where: object, file_hash: str, former: str = "") -> Embedding:
    import torch

    vectors = {part: table.float().reshape(-1, table.shape[-1]).contiguous() for part, table in tables.items()}
    if not all(bool(torch.isfinite(table).all()) for table in vectors.values()):
        raise AdapterError(f"the embedding {name} holds NaN or infinite values: it is broken.", where=where)
    if len({len(table) for table in vectors.values()}) != 1:
        raise AdapterError(f"the embedding {name} has other numbers of vectors for its two text encoders.", where=where)
    digest = hashlib.sha256()
    for part, table in vectors.items():
        digest.update(f"{part} {tuple(table.shape)} ".encode())
        digest.update(table.numpy().tobytes())
    return Embedding(name, digest.hexdigest(), vectors, file_hash, former)
