"""Chunks of 75 tokens, against a tokenizer whose words are single tokens."""

from __future__ import annotations

import pytest

from lorasmith.bases.text.chunks import Chunk, cut_chunks
from lorasmith.prompts import parse_attention
from tests.tiny import tiny_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> object:
    return tiny_tokenizer()


def cut(text: str, tokenizer: object) -> list[list[str]]:
    """The tokens of each chunk, without BOS, EOS and padding."""
    return [inside(chunk, tokenizer) for chunk in cut_chunks(parse_attention(text), tokenizer)]


def inside(chunk: Chunk, tokenizer: object) -> list[str]:
    assert len(chunk.ids) == len(chunk.weights) == 77
    names: list[str] = tokenizer.convert_ids_to_tokens(list(chunk.ids))  # type: ignore[attr-defined]
    assert names[0] == "<|startoftext|>"
    assert "<|endoftext|>" in names
    return [name.removesuffix("</w>") for name in names[1 : names.index("<|endoftext|>")]]


def test_an_empty_text_is_one_empty_chunk(tokenizer: object) -> None:
    assert cut("", tokenizer) == [[]]


def test_a_short_text_is_what_the_tokenizer_itself_makes(tokenizer: object) -> None:
    (chunk,) = cut_chunks(parse_attention("red hair, smile"), tokenizer)
    theirs = tokenizer("red hair, smile", padding="max_length", max_length=77)["input_ids"]  # type: ignore[operator]
    assert list(chunk.ids) == theirs
    assert set(chunk.weights) == {1.0}


def test_a_full_chunk_spills_over(tokenizer: object) -> None:
    assert [len(chunk) for chunk in cut("red " * 75, tokenizer)] == [75]
    assert [len(chunk) for chunk in cut("red " * 80, tokenizer)] == [75, 5]


def test_a_full_chunk_goes_back_to_a_near_comma(tokenizer: object) -> None:
    first, second = cut("red " * 60 + ", " + "blue " * 20, tokenizer)
    assert first == ["red"] * 60 + [","]
    assert second == ["blue"] * 20


def test_a_far_comma_does_not_count(tokenizer: object) -> None:
    first, second = cut("red " * 54 + ", " + "blue " * 25, tokenizer)
    assert (len(first), len(second)) == (75, 5)
    first, second = cut("red " * 55 + ", " + "blue " * 25, tokenizer)
    assert (len(first), len(second)) == (56, 25)


def test_break_ends_a_chunk(tokenizer: object) -> None:
    assert cut("red BREAK (blue hair BREAK hat:1.2)", tokenizer) == [["red"], ["blue", "hair"], ["hat"]]
    assert cut("BREAK red", tokenizer) == [[], ["red"]]


def test_weights_go_with_their_tokens(tokenizer: object) -> None:
    (chunk,) = cut_chunks(parse_attention("red (blue hair:1.5) hat"), tokenizer)
    assert chunk.weights[:6] == (1.0, 1.0, 1.5, 1.5, 1.0, 1.0)


def test_padding_is_the_tokenizers_own() -> None:
    padded = tiny_tokenizer(pad="!")
    (chunk,) = cut_chunks(parse_attention("red"), padded)
    assert chunk.ids[2] == padded.eos_token_id
    assert set(chunk.ids[3:]) == {padded.pad_token_id} != {padded.eos_token_id}
