"""Text encoders that leave the device once their texts are read, and come back for new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lorasmith.bases.text.chunks import Tokens
from lorasmith.bases.text.context import Context
from lorasmith.bases.text.embeddings import Vocabulary
from lorasmith.bases.text.encoder import PromptEncoder
from lorasmith.bases.text.options import TextOptions

if TYPE_CHECKING:
    import torch

HOME = "cpu"
Move = Callable[[Any, "torch.device | str"], None]


def _move(model: Any, to: torch.device | str) -> None:
    model.to(to)


class AwayPromptEncoder:
    """Reads as `encoder` does, whose `models` are on the device only while they compute; else in the host's memory.

    On a CPU, which has one memory, they stay where they are.
    """

    def __init__(self, encoder: PromptEncoder, models: Sequence[Any], device: torch.device, move: Move = _move) -> None:
        self._encoder, self._models, self._device, self._move = encoder, tuple(models), device, move
        self._send(HOME)

    def encode(self, tokens: Sequence[Tokens], options: TextOptions) -> Context:
        """A row for each text, on the device."""
        with self._here():
            return self._encoder.encode(tokens, options)

    @contextmanager
    def _here(self) -> Iterator[None]:
        self._send(self._device)
        try:
            yield
        finally:
            self._send(HOME)

    def _send(self, to: torch.device | str) -> None:
        if self._device.type != HOME:
            for model in self._models:
                self._move(model, to)

    @property
    def room(self) -> int:
        return self._encoder.room

    @property
    def most_clip_skip(self) -> int:
        return self._encoder.most_clip_skip

    @property
    def embedding_widths(self) -> tuple[int, ...]:
        return self._encoder.embedding_widths

    def tokenize(self, texts: Sequence[str], options: TextOptions, words: Vocabulary | None = None) -> list[Tokens]:
        return self._encoder.tokenize(texts, options, words)

    def is_cut(self, text: str, options: TextOptions) -> bool:
        return self._encoder.is_cut(text, options)

    def count_words(self, tokens: Tokens) -> list[int]:
        return self._encoder.count_words(tokens)

    def count_vectors(self, tokens: Tokens) -> int:
        return self._encoder.count_vectors(tokens)

    def rows_per_text(self, options: TextOptions) -> int:
        return self._encoder.rows_per_text(options)
