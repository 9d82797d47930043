"""Texts to contexts: chunks joined, emphasis, adapters on the text encoders."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lorasmith.adapters.bank import AdapterBank
from lorasmith.bases.base import Base, TextContext, load_base
from lorasmith.generation.conditioning import Text, encode_texts, read_text, stretch, weigh_tokens
from tests.adapters.drawing import trained_adapter


def read(base: Base, text: str, te: tuple[float, ...] = ()) -> Text:
    return read_text(text, base, te, "original", None)


def test_a_plain_text_is_the_encoders_own_output(tiny_base: Base) -> None:
    encoder = tiny_base.text_encoders[0]
    ids = encoder.tokenizer("red hair", padding="max_length", max_length=77, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        (context,) = encode_texts(tiny_base, None, [read(tiny_base, "red hair")], 1, "original")
        expected = encoder.model(ids).last_hidden_state
    torch.testing.assert_close(context.hidden, expected)


@torch.no_grad()
def test_chunks_are_encoded_apart_and_joined(tiny_base: Base) -> None:
    long, first, second = encode_texts(
        tiny_base, None, [read(tiny_base, text) for text in ("red BREAK blue", "red", "blue")], 2, "original"
    )
    torch.testing.assert_close(long.hidden, torch.cat([first.hidden, second.hidden], dim=1))
    assert long.hidden.shape[1] == 154


def test_emphasis() -> None:
    hidden = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(1)) + 1
    weights = (1.0, 1.5, 1.0)
    plain = weigh_tokens(hidden, weights, "no norm")
    torch.testing.assert_close(plain[:, 1], hidden[:, 1] * 1.5)
    torch.testing.assert_close(plain[:, 0], hidden[:, 0])
    kept = weigh_tokens(hidden, weights, "original")
    torch.testing.assert_close(kept.mean(), hidden.mean())
    torch.testing.assert_close(kept, plain * (hidden.mean() / plain.mean()))
    assert weigh_tokens(hidden, (1.0, 1.0, 1.0), "original") is hidden


def test_without_emphasis_brackets_are_text(tiny_base: Base) -> None:
    text = read_text("(red:1.5)", tiny_base, (), "none", None)
    assert set(text.chunks[0].weights) == {1.0}
    assert text != read(tiny_base, "(red:1.5)")


@torch.no_grad()
def test_each_text_has_its_own_strengths(tiny_base: Base) -> None:
    adapter = trained_adapter(tiny_base, rank=4, alpha=4.0)
    bank = AdapterBank(tiny_base, [adapter])
    bare, same, full, half = encode_texts(
        tiny_base,
        bank,
        [read(tiny_base, "red hat", te) for te in ((0.0,), (0.0,), (1.0,), (0.5,))],
        1,
        "original",
    )
    (without,) = encode_texts(tiny_base, None, [read(tiny_base, "red hat")], 1, "original")
    torch.testing.assert_close(bare.hidden, without.hidden)
    assert same.hidden is bare.hidden or torch.equal(same.hidden, bare.hidden)
    with bank.merged(torch.tensor([1.0])):
        (merged,) = encode_texts(tiny_base, None, [read(tiny_base, "red hat")], 1, "original")
    torch.testing.assert_close(full.hidden, merged.hidden, atol=1e-5, rtol=1e-4)
    assert (full.hidden - half.hidden).abs().max() > 1e-3


@torch.no_grad()
def test_sdxl_carries_the_first_chunks_pooled_vector(family_folders: dict[str, Path]) -> None:
    base = load_base(family_folders["sdxl"])
    two, one = encode_texts(base, None, [read(base, "red BREAK blue"), read(base, "red")], 1, "original")
    assert two.pooled is not None
    assert one.pooled is not None
    torch.testing.assert_close(two.pooled, one.pooled)


def test_stretching_repeats_the_last_vector() -> None:
    context = TextContext(torch.arange(6.0).view(1, 3, 2))
    longer = stretch(context, 5)
    assert longer.hidden.shape == (1, 5, 2)
    assert longer.hidden[0, 3].tolist() == longer.hidden[0, 4].tolist() == [4.0, 5.0]
    assert stretch(context, 3) is context


@pytest.mark.parametrize("clip_skip", [1, 2])
def test_clip_skip_reaches_the_base(tiny_base: Base, clip_skip: int) -> None:
    text = read(tiny_base, "red")
    with torch.no_grad():
        (context,) = encode_texts(tiny_base, None, [text], clip_skip, "original")
        expected = tiny_base.encode_tokens(torch.tensor([text.chunks[0].ids]), clip_skip).hidden
    torch.testing.assert_close(context.hidden, expected)
