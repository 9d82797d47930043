"""A text encoder that reads a long text in one piece, with a mask."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lorasmith.bases.text.encoder import TextEncoder
from lorasmith.bases.text.long import LongPromptEncoder
from lorasmith.bases.text.options import TextOptions
from tests.tiny import tiny_tokenizer


class Model(nn.Module):
    """Each token's own vector, plus the mean of those that count."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.table = nn.Embedding(words, 4)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        vectors = self.table(input_ids)
        counted = attention_mask.unsqueeze(-1)
        mean = (vectors * counted).sum(dim=1, keepdim=True) / counted.sum(dim=1, keepdim=True)
        return SimpleNamespace(last_hidden_state=vectors + mean)


@pytest.fixture(scope="module")
def reader() -> LongPromptEncoder:
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    return LongPromptEncoder(TextEncoder(Model(len(tokenizer)), tokenizer, "lora_te"), limit=200)


def encode(reader: LongPromptEncoder, texts: list[str], options: TextOptions) -> Any:
    with torch.no_grad():
        return reader.encode(reader.tokenize(texts, options), options)


def test_a_text_stays_in_one_piece_and_its_end_is_masked(reader: LongPromptEncoder) -> None:
    context = encode(reader, ["red " * 100, "red hat"], TextOptions("none"))
    assert context.hidden.shape == (2, 101, 4)
    assert context.mask.sum(dim=1).tolist() == [101, 3]
    assert float(context.hidden[1, 3:].abs().sum()) == 0
    alone = encode(reader, ["red hat"], TextOptions("none"))
    torch.testing.assert_close(context.hidden[1, :3], alone.hidden[0])
    assert reader.rows_per_text(TextOptions("none")) == 1


def test_clips_rules_mean_nothing(reader: LongPromptEncoder) -> None:
    plain = reader.tokenize(["red hat"], TextOptions("none"))
    assert reader.tokenize(["red hat"], TextOptions("a1111", clip_skip=9)) == plain
    assert reader.tokenize(["red BREAK hat"], TextOptions("none", emphasis="no norm")) == plain


def test_weights_multiply_the_tokens_vectors(reader: LongPromptEncoder) -> None:
    plain = encode(reader, ["red hat", "smile smile smile"], TextOptions("none"))
    louder = encode(reader, ["(red:1.5) hat", "smile smile smile"], TextOptions("none", emphasis="no norm"))
    torch.testing.assert_close(louder.hidden[0, 0], 1.5 * plain.hidden[0, 0])
    torch.testing.assert_close(louder.hidden[0, 1:], plain.hidden[0, 1:])
    torch.testing.assert_close(louder.hidden[1], plain.hidden[1])


def test_what_is_over_the_limit_is_cut(reader: LongPromptEncoder) -> None:
    options = TextOptions("none")
    assert not reader.is_cut("red " * 199, options)
    assert reader.is_cut("red " * 200, options)
    ((chunk,),) = reader.tokenize(["red " * 300], options)
    assert len(chunk.ids) == 200
    assert chunk.ids[-1] == tiny_tokenizer().eos_token_id
