"""A base looked at: its family, layers and prediction, from headers and configurations; weights stay on disk."""

from __future__ import annotations

import math
from typing import Any

from lorasmith.bases.base import load_base
from lorasmith.bases.probe import probe_prediction
from lorasmith.bases.stored import open_stored


def describe_base(name_or_path: str, probe: bool = False) -> dict[str, Any]:
    """JSON-ready facts of a base. `prediction` is null when the file does not say; `probe` loads it and asks it.

    Raises BaseError when it is no base that is supported.
    """
    stored = open_stored(name_or_path)
    flow = stored.family.objective == "flow"
    prediction = "flow" if flow else stored.structure.prediction
    if probe and not flow:
        prediction = probe_prediction(load_base(name_or_path, prediction=stored.structure.prediction or "epsilon"))
    tensors = [entry for header in stored.headers.values() for entry in header.tensors.values()]
    weights = [target for target in stored.layers.values() if target.group not in ("ends", "norm")]
    files = [stored.path] if stored.path.is_file() else [file for file in stored.path.rglob("*") if file.is_file()]
    return {
        "path": str(stored.path),
        "name": stored.name,
        "family": stored.family.name,
        "prediction": prediction,
        "layers": {
            "unet": sum(target.part == "unet" for target in weights),
            "text_encoder": sum(target.part == "te" for target in weights),
        },
        "parameters": sum(math.prod(entry.shape) for entry in tensors),
        "dtypes": sorted({entry.dtype for entry in tensors}),
        "bytes": sum(file.stat().st_size for file in files),
    }
