"""Models in ONNX, opened: taggers, judges, encoders. Importable without onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lorasmith.errors import LorasmithError, first_line

_DEVICES = ("CUDAExecutionProvider", "ROCMExecutionProvider", "CPUExecutionProvider")


def open_session(model: bytes | Path, where: Path, what: str, fault: type[LorasmithError]) -> Any:
    """The model (a file, or its bytes) on the best device that is there. Raises `fault` at `where` when it cannot be
    loaded as `what` ("a tagger")."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    able = onnxruntime.get_available_providers()
    try:
        return onnxruntime.InferenceSession(model, options, providers=[name for name in _DEVICES if name in able])
    except Exception as cause:  # onnxruntime raises classes of its own, one for each stage of loading
        raise fault(f"cannot be loaded as {what}: {first_line(cause)}", where=where) from None
