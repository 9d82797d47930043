"""What a loss asks of the denoiser, and who answers: one adapter alone, or several together in one pass.

A loss is computed by a generator that yields a `Pass` and is sent the denoiser's output. So the same loss runs by
itself, or beside others whose rows go through the frozen base in one batch, each with its own adapter of a bank.
Shapes: B rows, C channels, H and W of latents.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.dropout import Dropout
from lorasmith.bases.base import Base
from lorasmith.bases.compiled import CompiledDenoiser
from lorasmith.bases.framing import Framing, frame_whole
from lorasmith.bases.text.context import Context
from lorasmith.recipe.buckets import Size
from lorasmith.training.conditioning import Conditioner

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Pass:
    """Rows for the denoiser: noisy latents `x_t` (B, C, H, W), times `t` (B,) in [0, 1], captions, the picture's size.

    `adapted`: with the adapter; else the bare base, without a gradient. `adapted_text`: the text encoder too.
    `framings`: what SDXL is told of each row; none: pictures of that size. `dropout`: parts of the adapter that are
    left out. `checkpointing`: activations are computed again in the backward pass. `strengths` (B,): of the adapter on
    each row; none: 1.
    """

    x_t: Tensor
    t: Tensor
    captions: tuple[str, ...]
    size: Size
    adapted: bool = True
    adapted_text: bool = True
    dropout: Dropout | None = None
    checkpointing: bool = False
    framings: tuple[Framing, ...] = ()
    strengths: tuple[float, ...] = ()


Asking = Generator[Pass, Tensor, T]


class Passes:
    """Runs passes of the adapters of a bank, which must be attached; passes with a gradient by `compiled`, if given."""

    def __init__(
        self, base: Base, bank: AdapterBank, conditioner: Conditioner, compiled: CompiledDenoiser | None = None
    ) -> None:
        self._base = base
        self.compiled = compiled
        self._bank = bank
        self._conditioner = conditioner

    def run(self, asked: Mapping[int, Pass]) -> dict[int, Tensor]:
        """The denoiser's outputs (B, C, H, W) in float32, by the bank's column that each pass is for.

        Passes of one size and one kind go through the base in one batch.
        """
        together: dict[Hashable, list[int]] = {}
        for column, each in asked.items():
            # NOTE: dropout is one adapter's own; its rows go through alone.
            alone = None if each.dropout is None else column
            key = (each.size, each.adapted, each.adapted and each.adapted_text, tuple(each.x_t.shape[1:]), alone)
            together.setdefault(key, []).append(column)
        outputs: dict[int, Tensor] = {}
        for columns in together.values():
            rows = [len(asked[column].captions) for column in columns]
            output = self._denoise(columns, [asked[column] for column in columns])
            outputs |= zip(columns, torch.split(output, rows), strict=True)
        return outputs

    def _denoise(self, columns: Sequence[int], passes: Sequence[Pass]) -> Tensor:
        first = passes[0]
        x_t = torch.cat([each.x_t for each in passes]) if len(passes) > 1 else first.x_t
        t = torch.cat([each.t for each in passes]) if len(passes) > 1 else first.t
        captions = [caption for each in passes for caption in each.captions]
        framings = [row for each in passes for row in each.framings or [frame_whole(each.size)] * len(each.captions)]
        S = self._strengths(columns, passes)
        dropout = None if first.dropout is None else replace(first.dropout, text_rows=self._conditioner.rows_per_text)
        with torch.set_grad_enabled(first.adapted), self._bank.with_dropout(dropout):
            context = self._context(captions, first.adapted and first.adapted_text, S)
            self._bank.set_strengths(S if first.adapted else torch.zeros_like(S))
            again = first.adapted and any(each.checkpointing for each in passes)
            with (
                _checkpointed(self._base, self._bank) if again else nullcontext(),
                self.compiled.used() if self.compiled is not None and first.adapted else nullcontext(),
            ):
                return self._base.denoise(x_t, t, context, first.size, framings).float()

    def _context(self, captions: Sequence[str], adapted: bool, S: Tensor) -> Context:
        if not adapted:
            return self._conditioner.recall(captions, self._switch_off)
        # A row of the text encoders' passes is a chunk of a caption.
        self._bank.set_strengths(S, S if len(S) == 1 else S.repeat_interleave(self._conditioner.rows_per_text, dim=0))
        return self._conditioner.encode(captions)

    def _switch_off(self) -> None:
        self._bank.set_strengths(torch.zeros(1, len(self._bank.names)))

    def _strengths(self, columns: Sequence[int], passes: Sequence[Pass]) -> Tensor:
        """S (B, K): each row its own column; one row when the bank has one adapter that acts alike on all."""
        count = len(self._bank.names)
        if count == 1 and len(set(passes[0].strengths)) <= 1:
            return torch.full((1, 1), passes[0].strengths[0] if passes[0].strengths else 1.0)
        own = [column for column, each in zip(columns, passes, strict=True) for _ in each.captions]
        S = torch.zeros(len(own), count)
        strengths = [value for each in passes for value in each.strengths or (1.0,) * len(each.captions)]
        S[torch.arange(len(own)), own] = torch.tensor(strengths)
        return S


@contextmanager
def _checkpointed(base: Base, bank: AdapterBank) -> Iterator[None]:
    """A forward pass inside keeps the blocks' inputs alone; they run again, as the bank was, when they are needed."""

    def run(module: Any, *args: Any) -> Any:
        was = bank.remember()
        return checkpoint(module.__call__, *args, use_reentrant=False, context_fn=lambda: (nullcontext(), was))

    with base.family.recomputing(base.denoiser, run):
        yield


def answer_together(asking: Mapping[int, Asking[T]], passes: Passes) -> dict[int, T]:
    """Run the generators side by side, one per column, pass by pass; their results."""
    results: dict[int, T] = {}
    outputs: dict[int, Tensor] = {}
    waiting = dict(asking)
    while waiting:
        asked: dict[int, Pass] = {}
        for column, each in list(waiting.items()):
            try:
                asked[column] = each.send(outputs[column]) if column in outputs else next(each)
            except StopIteration as stop:
                results[column] = stop.value
                del waiting[column]
        outputs = passes.run(asked) if asked else {}
    return {column: results[column] for column in asking}
