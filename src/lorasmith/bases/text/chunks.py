"""Texts as CLIP's encoders take them: chunks of 75 tokens between BOS and EOS, with a weight for each token."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lorasmith.bases.text.embeddings import Embedding
from lorasmith.bases.text.options import CHUNK_TOKENS
from lorasmith.prompts.attention import Span

COMMA_BACKTRACK = 20


@dataclass(frozen=True)
class Chunk:
    """The ids of one piece that an encoder reads at once, and the weight of each; of CLIP 77 with BOS, EOS and
    padding (weight 1 for these). `placed` says which embedding's vectors stand from which id on."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    placed: tuple[tuple[int, Embedding], ...] = ()


Tokens = tuple[Chunk, ...]


ReadPieces = Callable[[str], Sequence[int | Embedding]]


def cut_chunks(spans: Iterable[Span], tokenizer: Any, read: ReadPieces | None = None) -> Tokens:
    """The chunks of a text with emphasis, as the A1111 web UI cuts them: a full chunk goes back to its last comma when
    that is near; BREAK ends a chunk. An empty text is one empty chunk. `read` gives ids and embeddings; an embedding is
    never cut, what does not fit begins a new chunk."""
    comma = tokenizer.convert_tokens_to_ids(",</w>")
    chunks: list[Chunk] = []
    row = _Row()
    for span in spans:
        if span.is_break:
            chunks.append(_close(row, tokenizer))
            row = _Row()
            continue
        for piece in token_ids(span.text, tokenizer) if read is None else read(span.text):
            size = 1 if isinstance(piece, int) else piece.rows
            if len(row.ids) == CHUNK_TOKENS and piece != comma and row.last_comma is not None:
                kept = row.last_comma + 1 if CHUNK_TOKENS - row.last_comma <= COMMA_BACKTRACK else CHUNK_TOKENS
                full, row = row.cut(kept)
                chunks.append(_close(full, tokenizer))
            if len(row.ids) + size > CHUNK_TOKENS:
                chunks.append(_close(row, tokenizer))
                row = _Row()
            if piece == comma:
                row.last_comma = len(row.ids)
            if isinstance(piece, int):
                row.ids.append(piece)
            else:
                row.placed.append((len(row.ids), piece))
                # NOTE: never EOS, which would end the text; its vector is replaced.
                row.ids += [tokenizer.bos_token_id] * size
            row.weights += [span.weight] * size
    if row.ids or not chunks:
        chunks.append(_close(row, tokenizer))
    return tuple(chunks)


def cut_joined(ids: Sequence[int], weights: Sequence[float], tokenizer: Any) -> Tokens:
    """The chunks of ids that have one BOS and one EOS around a multiple of 75, as kohya's trainer cuts them."""
    eos, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    chunks = []
    for start in range(1, len(ids) - 1, CHUNK_TOKENS):
        inner = list(ids[start : start + CHUNK_TOKENS])
        # A chunk of padding alone begins with EOS; one that has ended goes on as the padding does.
        inner[0] = eos if inner[0] == pad else inner[0]
        end = pad if inner[-1] in (eos, pad) else eos
        around = (1.0, *weights[start : start + CHUNK_TOKENS], 1.0)
        chunks.append(Chunk((tokenizer.bos_token_id, *inner, end), around))
    return tuple(chunks)


def token_ids(text: str, tokenizer: Any) -> list[int]:
    """The ids of a text without marks, however many."""
    # verbose=False: no warning about texts longer than one chunk.
    return list(tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"])


@dataclass
class _Row:
    """A chunk that is being filled."""

    ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    placed: list[tuple[int, Embedding]] = field(default_factory=list)
    last_comma: int | None = None

    def cut(self, kept: int) -> tuple[_Row, _Row]:
        """The first `kept` tokens, and the rest."""
        before = [(at, each) for at, each in self.placed if at < kept]
        after = [(at - kept, each) for at, each in self.placed if at >= kept]
        return (
            _Row(self.ids[:kept], self.weights[:kept], before),
            _Row(self.ids[kept:], self.weights[kept:], after),
        )


def _close(row: _Row, tokenizer: Any) -> Chunk:
    padding = CHUNK_TOKENS - len(row.ids)
    return Chunk(
        (tokenizer.bos_token_id, *row.ids, tokenizer.eos_token_id, *[tokenizer.pad_token_id] * padding),
        (1.0, *row.weights, 1.0, *[1.0] * padding),
        tuple((at + 1, each) for at, each in row.placed),
    )
