"""Tokenizers of folders. Importable without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lorasmith.bases.library_logs import quiet_libraries
from lorasmith.errors import BaseError


def load_tokenizer(folder: Path, name: str, kind: type[Any]) -> Any:
    """The tokenizer in this folder of the base. Raises BaseError."""
    where = folder / name
    if not where.is_dir():
        raise BaseError(f"no {name} folder.", where=folder)
    try:
        with quiet_libraries():
            tokenizer = kind.from_pretrained(where, local_files_only=True)
    except Exception as fault:  # as above
        raise BaseError(f"cannot be loaded: {first_line(fault)}.", where=where) from fault
    if len(tokenizer) < 3:
        raise BaseError("has an empty vocabulary.", where=where)
    return tokenizer


def first_line(fault: Exception) -> str:
    """What a library's error says, in one line without its end."""
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0].rstrip(".")
