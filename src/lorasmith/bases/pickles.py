"""Old pickled checkpoints made into safetensors files, once and on demand: nothing else in the project opens a pickle.

The reader takes tensors and plain tables only (torch's `weights_only`); anything that would run code is refused.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lorasmith.errors import BaseError
from lorasmith.storage.files import refuse_existing, replacing


def convert_pickle(path: Path, out: Path) -> int:
    """Write the tensors of a `.ckpt`, `.pt` or `.bin` file to a new safetensors file; gives their number. Of an
    embedding of A1111's web UI the vectors, under `emb_params`. The pickle's hash is kept in the metadata.

    Raises BaseError when it holds anything but tensors and plain values, StorageError when `out` exists or cannot be
    written.
    """
    from safetensors.torch import save_file

    if not path.is_file():
        raise BaseError("no such file.", where=path)
    refuse_existing(out)
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError, KeyError, TypeError) as fault:
        raise BaseError(
            "cannot be converted: it holds more than tensors, or is damaged.",
            where=path,
            hint="Take the model's safetensors file; a pickle that runs code is never opened.",
        ) from fault
    table = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else {}
    notes = {"format": "pt"}
    vectors = table.get("string_to_param")
    if isinstance(vectors, Mapping) and len(vectors) == 1:
        # An embedding of A1111's web UI (`textual_inversion.py`, `Embedding.save`); pictures name the pickle's hash.
        words = {key: table.get(key) for key in ("name", "step", "sd_checkpoint", "sd_checkpoint_name")}
        notes |= {key: str(value) for key, value in words.items() if isinstance(value, str | int)}
        table = {"emb_params": next(iter(vectors.values()))}
    with path.open("rb") as opened:
        notes["lorasmith.pickle_sha256"] = hashlib.file_digest(opened, "sha256").hexdigest()
    # A copy each: safetensors takes no tensors that share memory.
    tensors = {str(key): each.clone().contiguous() for key, each in table.items() if isinstance(each, Tensor)}
    if not tensors:
        raise BaseError("holds no tensors.", where=path)
    with replacing(out, "Free some space.") as partial:
        save_file(tensors, partial, notes)
    return len(tensors)
