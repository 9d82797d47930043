"""Texts to contexts with adapters on the text encoders."""

from __future__ import annotations

import pytest
import torch

from lorasmith.bases.base import Base
from lorasmith.bases.text.context import Context
from lorasmith.bases.text.options import TextOptions
from lorasmith.generation.adapter_sets import AdapterSet, Member
from lorasmith.generation.conditioning import Text, TextReader, read_text
from tests.adapters.drawing import trained_adapter


def read(base: Base, text: str, te: tuple[tuple[Member, float], ...] = (), clip_skip: int = 1) -> Text:
    return read_text(text, base, TextOptions("a1111", emphasis="original", clip_skip=clip_skip), te)


def encode(base: Base, text: str, clip_skip: int = 1) -> Context:
    return TextReader(base).encode(read(base, text, clip_skip=clip_skip), AdapterSet(base, {}))


def test_each_text_has_its_own_strengths_and_is_encoded_once(tiny_base: Base) -> None:
    adapter, member = trained_adapter(tiny_base, rank=4, alpha=4.0), Member("a", None, 0)
    adapter_set, reader = AdapterSet(tiny_base, {member: adapter}), TextReader(tiny_base)
    bare, full, half, again = (
        reader.encode(read(tiny_base, "red hat", ((member, te),) if te else ()), adapter_set)
        for te in (0.0, 1.0, 0.5, 1.0)
    )
    assert again is full
    assert torch.equal(bare.hidden, encode(tiny_base, "red hat").hidden)
    assert adapter_set.bank is not None
    with adapter_set.bank.merged(torch.tensor([1.0])):
        merged = encode(tiny_base, "red hat")
    torch.testing.assert_close(full.hidden, merged.hidden, atol=1e-5, rtol=1e-4)
    assert (full.hidden - half.hidden).abs().max() > 1e-3


def test_a_long_text_has_its_strengths_in_every_chunk(tiny_base: Base) -> None:
    adapter, member = trained_adapter(tiny_base, rank=4, alpha=4.0), Member("a", None, 0)
    adapter_set, reader = AdapterSet(tiny_base, {member: adapter}), TextReader(tiny_base)
    long, first, second = (
        reader.encode(read(tiny_base, text, ((member, 1.0),)), adapter_set)
        for text in ("red BREAK blue", "red", "blue")
    )
    torch.testing.assert_close(long.hidden, torch.cat([first.hidden, second.hidden], dim=1), atol=1e-5, rtol=1e-4)


def test_a_text_knows_its_length_before_it_is_encoded(tiny_base: Base) -> None:
    text = read(tiny_base, "red BREAK blue")
    assert text.length == TextReader(tiny_base).encode(text, AdapterSet(tiny_base, {})).length == 2 * 77


@pytest.mark.parametrize("clip_skip", [1, 2])
def test_clip_skip_reaches_the_base(tiny_base: Base, clip_skip: int) -> None:
    with torch.no_grad():
        expected = tiny_base.encode(["red"], TextOptions(clip_skip=clip_skip)).hidden
    torch.testing.assert_close(encode(tiny_base, "red", clip_skip).hidden, expected)
