"""CLIP's text encoders: SD 1 and 2 have one, SDXL has two. Shapes: B rows, T = 77 tokens, D and P widths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lorasmith.bases.text.chunks import Chunk, Tokens, cut_chunks, cut_joined, token_ids
from lorasmith.bases.text.context import Context
from lorasmith.bases.text.embeddings import Embedding, PieceReader, Vocabulary, placed, width_of
from lorasmith.bases.text.emphasis import read_spans, weigh_chunk, weigh_texts
from lorasmith.bases.text.encoder import TextEncoder
from lorasmith.bases.text.options import CHUNK_TOKENS, TextOptions
from lorasmith.diffusion.transfer import send
from lorasmith.prompts.attention import parse_attention

if TYPE_CHECKING:
    from torch import Tensor

CHUNKS_AT_ONCE = 32
EncodeRows = Callable[[Sequence[TextEncoder], "Tensor", int], Context]


def encode_one(encoders: Sequence[TextEncoder], ids_BT: Tensor, clip_skip: int = 1) -> Context:
    """SD 1 and 2: the `clip_skip`-th hidden state from the end, then the final layer norm, as A1111 does it.

    `ids_BT` have BOS and EOS. Raises ValueError when the encoder has fewer layers.
    """
    (encoder,) = encoders
    model = encoder.model
    layers = int(model.config.num_hidden_layers)
    if not 1 <= clip_skip <= layers:
        raise ValueError(f"clip skip {clip_skip}: this base has {layers} text layers")
    if clip_skip == 1:
        return Context({"hidden": model(ids_BT).last_hidden_state})
    states = model(ids_BT, output_hidden_states=True).hidden_states
    return Context({"hidden": encoder.root.final_layer_norm(states[-clip_skip])})


def encode_two(encoders: Sequence[TextEncoder], ids_BT: Tensor, _clip_skip: int = 1) -> Context:
    """SDXL: both encoders' penultimate states, without norm, and the second one's projected EOS state; clip skip
    is ignored, as in sd-scripts. `ids_BT` are the first tokenizer's."""
    import torch

    first, second = encoders
    hidden_1 = first.model(ids_BT, output_hidden_states=True).hidden_states[-2]
    out = second.model(second_ids(encoders, ids_BT), output_hidden_states=True)
    hidden = torch.cat([hidden_1, out.hidden_states[-2]], dim=-1)
    return Context({"hidden": hidden, "pooled": out.text_embeds})


def second_ids(encoders: Sequence[TextEncoder], ids_BT: Tensor) -> Tensor:
    """The ids as SDXL's second tokenizer pads them: the vocabularies are one, the padding after EOS is not."""
    first, second = (encoder.tokenizer for encoder in encoders)
    after_end = (ids_BT == first.eos_token_id).long().cumsum(dim=1) - (ids_BT == first.eos_token_id).long() > 0
    return ids_BT.masked_fill(after_end, second.pad_token_id)


class ClipPromptEncoder:
    """Reads texts in chunks of 75 tokens; `encode_rows` is `encode_one` or `encode_two`."""

    def __init__(self, encoders: Sequence[TextEncoder], encode_rows: EncodeRows) -> None:
        self._encoders = tuple(encoders)
        self._encode_rows = encode_rows
        self._pieces = PieceReader(self._encoders[0].tokenizer, token_ids)

    room = CHUNK_TOKENS

    @property
    def most_clip_skip(self) -> int:
        """The layers of the first text encoder."""
        return int(self._encoders[0].model.config.num_hidden_layers)

    @property
    def embedding_widths(self) -> tuple[int, ...]:
        """Those of all text encoders."""
        return tuple(width_of(encoder) for encoder in self._encoders)

    def tokenize(self, texts: Sequence[str], options: TextOptions, words: Vocabulary | None = None) -> list[Tokens]:
        """Each text as chunks of 77 ids of the first tokenizer; A1111's can hold embeddings. Raises ValueError for
        chunking "none", PromptError for an embedding that does not fit."""
        tokenizer = self._encoders[0].tokenizer
        if options.chunking == "a1111":
            fitting = self._fitting(words)
            return [
                cut_chunks(read_spans(text, options.emphasis, options.compat), tokenizer, fitting) for text in texts
            ]
        if options.chunking == "none":
            raise ValueError("CLIP's text encoders read 77 tokens at once, and no more")
        if options.emphasis != "none":
            return [self._weigh(text, options) for text in texts]
        length = options.max_tokens + 2
        rows = tokenizer(list(texts), padding="max_length", max_length=length, truncation=True)["input_ids"]
        return [cut_joined(row, [1.0] * length, tokenizer) for row in rows]

    def _fitting(self, words: Vocabulary | None) -> Callable[[str], list[int | Embedding]]:
        """Reads pieces, and refuses embeddings that do not fit; any may be counted where no model is loaded."""
        loaded = all(encoder.model is not None for encoder in self._encoders)

        def read(text: str) -> list[int | Embedding]:
            pieces = self._pieces.read(text, words)
            for piece in pieces:
                if loaded and not isinstance(piece, int):
                    piece.fit(self.embedding_widths)
            return pieces

        return read

    def _weigh(self, text: str, options: TextOptions) -> Tokens:
        tokenizer, most = self._encoders[0].tokenizer, options.max_tokens
        ids, weights = [tokenizer.bos_token_id], [1.0]
        for span in read_spans(text, options.emphasis, options.compat):
            piece = tokenizer(span.text, add_special_tokens=False)["input_ids"]
            ids += piece
            weights += [1.0 if span.is_break else span.weight] * len(piece)
        ids, weights = ids[: most + 1], weights[: most + 1]
        missing = most + 2 - len(ids)
        ids += [tokenizer.eos_token_id] + [tokenizer.pad_token_id] * (missing - 1)
        return cut_joined(ids, weights + [1.0] * missing, tokenizer)

    def is_cut(self, text: str, options: TextOptions) -> bool:
        """Whether the text is longer than `max_tokens`; chunks of A1111's are as many as it needs."""
        if options.chunking == "a1111":
            return False
        if options.emphasis != "none":
            text = "".join(span.text for span in parse_attention(text, options.compat))
        return len(self._encoders[0].tokenizer(text)["input_ids"]) > options.max_tokens + 2

    def rows_per_text(self, options: TextOptions) -> int:
        """The chunks of each text; 1 with A1111's, whose distinct chunks are encoded text by text."""
        return options.max_tokens // CHUNK_TOKENS if options.chunking == "kohya" else 1

    def count_words(self, tokens: Tokens) -> list[int]:
        """Without BOS and what stands from EOS on."""
        return [chunk.ids.index(self._encoders[0].tokenizer.eos_token_id) - 1 for chunk in tokens]

    def count_vectors(self, tokens: Tokens) -> int:
        """77 a chunk."""
        return sum(len(chunk.ids) for chunk in tokens)

    def encode(self, tokens: Sequence[Tokens], options: TextOptions) -> Context:
        """Contexts (B, T, D) through the text encoders as they now are; T is of the longest text."""
        if options.chunking == "kohya":
            return self._encode_joined(tokens, options)
        # Each text by itself, so that it means the same to the bit whoever else is encoded.
        return Context.join([self._encode_text(each, options) for each in tokens])

    def _encode_text(self, chunks: Tokens, options: TextOptions) -> Context:
        """One text, each of its distinct chunks once, with the first chunk's pooled vector."""
        import torch

        # Two embeddings have the same ids.
        by_content = {(chunk.ids, chunk.placed): chunk for chunk in chunks}
        order, distinct = list(by_content), list(by_content.values())
        rows: list[Context] = []
        for start in range(0, len(distinct), CHUNKS_AT_ONCE):
            context = self._encode(distinct[start : start + CHUNKS_AT_ONCE], options)
            rows += (context[row : row + 1] for row in range(len(context)))
        places = [order.index((chunk.ids, chunk.placed)) for chunk in chunks]
        weighed = [
            weigh_chunk(rows[place].hidden, chunk.weights, options.emphasis)
            for place, chunk in zip(places, chunks, strict=True)
        ]
        return Context({**rows[places[0]].tensors, "hidden": torch.cat(weighed, dim=1)})

    def _encode_joined(self, tokens: Sequence[Tokens], options: TextOptions) -> Context:
        """All texts in one pass, chunks joined with the first BOS and the last EOS."""
        import torch

        B, count = len(tokens), len(tokens[0])
        context = self._encode([chunk for chunks in tokens for chunk in chunks], options)
        if count > 1:
            hidden = context.hidden.reshape(B, count, *context.hidden.shape[1:])
            joined = torch.cat([hidden[:, 0, :1], hidden[:, :, 1:-1].flatten(1, 2), hidden[:, -1, -1:]], dim=1)
            context = Context({**context[::count].tensors, "hidden": joined})
        if options.emphasis == "none":
            return context
        weights = [[1.0, *(each for chunk in chunks for each in chunk.weights[1:-1]), 1.0] for chunks in tokens]
        if options.emphasis == "kohya":
            weighed = weigh_texts(context.hidden, weights)
        else:
            rows = zip(torch.split(context.hidden, 1), weights, strict=True)
            weighed = torch.cat([weigh_chunk(hidden_row, row, options.emphasis) for hidden_row, row in rows])
        return Context({**context.tensors, "hidden": weighed})

    def _encode(self, chunks: Sequence[Chunk], options: TextOptions) -> Context:
        import torch

        device = next(self._encoders[0].model.parameters()).device
        ids = send(torch.tensor([chunk.ids for chunk in chunks]), device)
        with placed(self._encoders, chunks):
            return self._encode_rows(self._encoders, ids, options.clip_skip)
