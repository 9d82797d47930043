"""A worker that draws a grid's batches, with a pipeline of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lorasmith.errors import LorasmithError, RefusedError
from lorasmith.events import finish
from lorasmith.generation.pictures import Picture
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import PictureSpec

OpenPipeline = Callable[[str], Pipeline]
KILLED = "it ends every process that draws it."


def open_drawing(
    open_pipeline: OpenPipeline, base: str, threads: int
) -> Callable[[Sequence[PictureSpec]], list[Picture | str]]:
    """The drawing of a batch: of each picture itself, or why it fails."""
    import torch

    torch.set_num_threads(threads)
    pipeline = open_pipeline(base)

    def draw(specs: Sequence[PictureSpec]) -> list[Picture | str]:
        try:
            return [*finish(pipeline.draw(specs))]
        except RefusedError:
            raise
        except (LorasmithError, RuntimeError, MemoryError) as fault:
            return [tell_fault(fault)] if len(specs) == 1 else [draw([spec])[0] for spec in specs]

    return draw


def tell_fault(fault: Exception) -> str:
    """Why a picture failed, on one line."""
    return " ".join(str(fault).split())[:300] or type(fault).__name__
