"""Texts to contexts: chunks joined, emphasis, adapters on the text encoders."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lorasmith.bases.base import Base, load_base
from lorasmith.bases.text.context import Context
from lorasmith.generation.conditioning import Text, TextReader, encode_text, read_text, weigh_tokens
from lorasmith.generation.ensembles import Ensemble, Member
from tests.adapters.drawing import trained_adapter


def read(base: Base, text: str, te: tuple[tuple[Member, float], ...] = (), clip_skip: int = 1) -> Text:
    return read_text(text, base, "original", None, clip_skip, te)


def encode(base: Base, text: str, clip_skip: int = 1) -> Context:
    return encode_text(base, Ensemble(base, {}), read(base, text, clip_skip=clip_skip))


def test_a_plain_text_is_the_encoders_own_output(tiny_base: Base) -> None:
    encoder = tiny_base.text_encoders[0]
    ids = encoder.tokenizer("red hair", padding="max_length", max_length=77, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected = encoder.model(ids).last_hidden_state
    torch.testing.assert_close(encode(tiny_base, "red hair").hidden, expected)


def test_chunks_are_encoded_apart_and_joined(tiny_base: Base) -> None:
    long, first, second = (encode(tiny_base, text, 2) for text in ("red BREAK blue BREAK red", "red", "blue"))
    torch.testing.assert_close(long.hidden, torch.cat([first.hidden, second.hidden, first.hidden], dim=1))
    assert long.hidden.shape[1] == 3 * 77


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
    text = read_text("(red:1.5)", tiny_base, "none")
    assert set(text.chunks[0].weights) == {1.0}
    assert text != read(tiny_base, "(red:1.5)")


def test_each_text_has_its_own_strengths_and_is_encoded_once(tiny_base: Base) -> None:
    adapter, member = trained_adapter(tiny_base, rank=4, alpha=4.0), Member("a", None, 0)
    ensemble, reader = Ensemble(tiny_base, {member: adapter}), TextReader(tiny_base)
    bare, full, half, again = (
        reader.encode(read(tiny_base, "red hat", ((member, te),) if te else ()), ensemble)
        for te in (0.0, 1.0, 0.5, 1.0)
    )
    assert again is full
    assert torch.equal(bare.hidden, encode(tiny_base, "red hat").hidden)
    assert ensemble.bank is not None
    with ensemble.bank.merged(torch.tensor([1.0])):
        merged = encode(tiny_base, "red hat")
    torch.testing.assert_close(full.hidden, merged.hidden, atol=1e-5, rtol=1e-4)
    assert (full.hidden - half.hidden).abs().max() > 1e-3


def test_sdxl_carries_the_first_chunks_pooled_vector(family_folders: dict[str, Path]) -> None:
    base = load_base(family_folders["sdxl"])
    two, one = encode(base, "red BREAK blue"), encode(base, "red")
    assert two.pooled is not None
    assert one.pooled is not None
    torch.testing.assert_close(two.pooled, one.pooled)


@pytest.mark.parametrize("clip_skip", [1, 2])
def test_clip_skip_reaches_the_base(tiny_base: Base, clip_skip: int) -> None:
    text = read(tiny_base, "red", clip_skip=clip_skip)
    with torch.no_grad():
        expected = tiny_base.encode_tokens(torch.tensor([text.chunks[0].ids]), clip_skip).hidden
    torch.testing.assert_close(encode(tiny_base, "red", clip_skip).hidden, expected)
