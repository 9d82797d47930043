"""What captions become: long ones in chunks, weighted ones, and what is remembered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from lorasmith.bases.base import Base, load_base
from lorasmith.training import conditioning
from lorasmith.training.conditioning import Conditioner

LONG = ", ".join(["1girl", "red hair", "blue hat", "smile"] * 10)


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_long_captions_are_read_in_chunks(family_folders: dict[str, Path], family: str) -> None:
    """Kohya's form: 75 tokens at a time, each between BOS and EOS; the first BOS and the last EOS stay."""
    base = load_base(family_folders[family])
    tokenizer = base.text_encoders[0].tokenizer
    ids = tokenizer(LONG, add_special_tokens=False).input_ids
    assert 75 < len(ids) < 150
    with torch.no_grad():
        context = Conditioner(base, 1, max_tokens=150).encode([LONG])
        assert context.hidden.shape[1] == 152
        hidden = []
        pooled = []
        for part in (ids[:75], ids[75:]):
            chunk = [tokenizer.bos_token_id, *part, tokenizer.eos_token_id]
            chunk += [tokenizer.pad_token_id] * (77 - len(chunk))
            encoded = base.encode_tokens(torch.tensor([chunk]), 1)
            hidden.append(encoded.hidden)
            pooled.append(encoded.pooled)
    expected = torch.cat([hidden[0][:, :76], hidden[1][:, 1:]], dim=1)
    torch.testing.assert_close(context.hidden, expected, rtol=1e-4, atol=1e-5)
    if family == "sdxl":
        assert context.pooled is not None
        assert pooled[0] is not None
        torch.testing.assert_close(context.pooled, pooled[0], rtol=1e-4, atol=1e-5)


def test_a_short_caption_has_a_first_chunk_as_ever(tiny_base: Base) -> None:
    with torch.no_grad():
        short = Conditioner(tiny_base, 1).encode(["red hat"]).hidden
        long = Conditioner(tiny_base, 1, max_tokens=225).encode(["red hat"]).hidden
    assert long.shape[1] == 227
    torch.testing.assert_close(long[:, :76], short[:, :76], rtol=1e-4, atol=1e-5)


def test_what_is_cut(tiny_base: Base) -> None:
    assert Conditioner(tiny_base, 1).is_cut(LONG)
    assert not Conditioner(tiny_base, 1, max_tokens=150).is_cut(LONG)
    assert not Conditioner(tiny_base, 1).is_cut("(red:1.3) hat")


@contextmanager
def shifted(tensor: torch.Tensor, by: float) -> Iterator[None]:
    """A tensor moved, so that outputs have a mean worth keeping."""
    tensor.data.add_(by)
    yield
    tensor.data.sub_(by)


def test_weights_multiply_their_tokens_and_the_mean_stays(tiny_base: Base) -> None:
    plain, weighted = Conditioner(tiny_base, 1), Conditioner(tiny_base, 1, weighted=True)
    norm = tiny_base.text_encoders[0].model.final_layer_norm
    with torch.no_grad(), shifted(norm.bias, 0.4):
        flat = plain.encode(["red hat"]).hidden
        torch.testing.assert_close(weighted.encode(["red hat"]).hidden, flat, rtol=1e-4, atol=1e-5)
        spoken = weighted.encode(["(red:1.5) hat"]).hidden
    assert flat.mean() > 0.1
    torch.testing.assert_close(spoken.mean(dim=(1, 2)), flat.mean(dim=(1, 2)), rtol=1e-3, atol=1e-5)
    # Against an unweighted token (BOS), the weighted one is 1.5 times as large.
    factor = (spoken[0, 1] / flat[0, 1]) / (spoken[0, 0] / flat[0, 0])
    torch.testing.assert_close(factor, torch.full_like(factor, 1.5), rtol=1e-3, atol=1e-3)


def test_without_the_key_brackets_are_text(tiny_base: Base) -> None:
    conditioner = Conditioner(tiny_base, 1)
    assert not torch.equal(conditioner.tokens(["(red:1.5) hat"]), conditioner.tokens(["red hat"]))


def test_a_context_is_remembered_from_the_second_asking_on(tiny_base: Base) -> None:
    """Shuffled captions hardly ever come again: what is asked for once must not fill the memory."""
    conditioner = Conditioner(tiny_base, 1)
    asked: list[int] = []

    def recall(*texts: str) -> torch.Tensor:
        before = len(asked)
        context = conditioner.recall(texts, lambda: asked.append(1)).hidden
        encoded.append(len(asked) > before)
        return context

    encoded: list[bool] = []
    first = recall("red hat", "blue hat")
    second = recall("red hat")
    third = recall("red hat")
    recall("blue hat", "red hat")
    recall("blue hat")
    assert encoded == [True, True, False, True, False]
    torch.testing.assert_close(second, first[:1], rtol=1e-5, atol=1e-6)
    assert torch.equal(third, second)


def test_what_is_remembered_is_bounded(tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditioning, "_TEXTS_LIMIT", 3)
    one = Conditioner(tiny_base, 1).recall(["a"], lambda: None).hidden
    monkeypatch.setattr(conditioning, "_MEMORY_LIMIT", 2 * one.nbytes)
    conditioner = Conditioner(tiny_base, 1)
    asked: list[str] = []
    for _ in range(2):
        for text in "abc":
            conditioner.recall([text], lambda: None)
    for text in "cba":
        conditioner.recall([text], lambda text=text: asked.append(text))  # type: ignore[misc]
    assert asked == ["a"]  # the first one had to go
    for number in range(10):
        conditioner.tokens([f"text {number}"])
    assert len(conditioner._ids) <= 3
