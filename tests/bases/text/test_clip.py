"""Texts through CLIP's encoders: A1111's chunks and emphasis, kohya's joined chunks and weighted captions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from lorasmith.bases.base import Base, load_base
from lorasmith.bases.text.context import Context
from lorasmith.bases.text.emphasis import weigh_chunk
from lorasmith.bases.text.options import PLAIN_TEXT, TextOptions

LONG = ", ".join(["1girl", "red hair", "blue hat", "smile"] * 10)
DRAWING = TextOptions("a1111", emphasis="original")
WEIGHTED = TextOptions(emphasis="kohya")


def drawn(base: Base, *texts: str, clip_skip: int = 1) -> Context:
    # NOTE: "original" divides by the mean, which is 0 for the tiny base's normed vectors.
    with torch.no_grad():
        return base.encode(texts, TextOptions("a1111", emphasis="no norm", clip_skip=clip_skip))


def test_a_plain_text_is_the_encoders_own_output(tiny_base: Base) -> None:
    encoder = tiny_base.text_encoders[0]
    ids = encoder.tokenizer("red hair", padding="max_length", max_length=77, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected = encoder.model(ids).last_hidden_state
        torch.testing.assert_close(tiny_base.encode(["red hair"]).hidden, expected)
    torch.testing.assert_close(drawn(tiny_base, "red hair").hidden, expected)


def test_chunks_are_encoded_apart_and_joined(tiny_base: Base) -> None:
    long, first, second = (drawn(tiny_base, text, clip_skip=2) for text in ("red BREAK blue BREAK red", "red", "blue"))
    torch.testing.assert_close(long.hidden, torch.cat([first.hidden, second.hidden, first.hidden], dim=1))
    assert long.length == 3 * 77


def test_a_text_means_the_same_whoever_else_is_encoded(tiny_base: Base) -> None:
    texts = ["red hat", "(blue:1.3) hat BREAK smile", "red"]
    together = drawn(tiny_base, *texts)
    assert (len(together), together.length) == (3, 2 * 77)
    for row, text in enumerate(texts):
        alone = drawn(tiny_base, text)
        assert torch.equal(together.hidden[row, : alone.length], alone.hidden[0])


def test_emphasis() -> None:
    hidden = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(1)) + 1
    weights = (1.0, 1.5, 1.0)
    plain = weigh_chunk(hidden, weights, "no norm")
    torch.testing.assert_close(plain[:, 1], hidden[:, 1] * 1.5)
    torch.testing.assert_close(plain[:, 0], hidden[:, 0])
    kept = weigh_chunk(hidden, weights, "original")
    torch.testing.assert_close(kept.mean(), hidden.mean())
    torch.testing.assert_close(kept, plain * (hidden.mean() / plain.mean()))
    assert weigh_chunk(hidden, (1.0, 1.0, 1.0), "original") is hidden


@pytest.mark.parametrize("chunking", ["a1111", "kohya"])
def test_without_emphasis_brackets_are_text(tiny_base: Base, chunking: str) -> None:
    plain, spoken = (
        TextOptions(chunking, emphasis=emphasis)  # type: ignore[arg-type]
        for emphasis in ("none", "no norm")
    )
    (brackets,) = tiny_base.prompt_encoder.tokenize(["(red:1.5)"], plain)
    (weighted,) = tiny_base.prompt_encoder.tokenize(["(red:1.5)"], spoken)
    assert set(brackets[0].weights) == {1.0}
    assert set(weighted[0].weights) == {1.0, 1.5}
    assert brackets[0].ids != weighted[0].ids


def test_sdxl_carries_the_first_chunks_pooled_vector(family_folders: dict[str, Path]) -> None:
    base = load_base(family_folders["sdxl"])
    two, one = drawn(base, "red BREAK blue"), drawn(base, "red")
    assert two.pooled is not None
    assert one.pooled is not None
    torch.testing.assert_close(two.pooled, one.pooled)


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_long_captions_are_read_in_chunks(family_folders: dict[str, Path], family: str) -> None:
    """Kohya's form: 75 tokens at a time, each between BOS and EOS; the first BOS and the last EOS stay."""
    base = load_base(family_folders[family])
    tokenizer = base.text_encoders[0].tokenizer
    ids = tokenizer(LONG, add_special_tokens=False).input_ids
    assert 75 < len(ids) < 150
    with torch.no_grad():
        context = base.encode([LONG], TextOptions(max_tokens=150))
        assert context.length == 152
        parts = [base.encode([tokenizer.decode(part)]) for part in (ids[:75], ids[75:])]
    expected = torch.cat([parts[0].hidden[:, :76], parts[1].hidden[:, 1:]], dim=1)
    torch.testing.assert_close(context.hidden, expected, rtol=1e-4, atol=1e-5)
    if family == "sdxl":
        assert context.pooled is not None
        assert parts[0].pooled is not None
        torch.testing.assert_close(context.pooled, parts[0].pooled, rtol=1e-4, atol=1e-5)


def test_a_short_caption_has_a_first_chunk_as_ever(tiny_base: Base) -> None:
    with torch.no_grad():
        short = tiny_base.encode(["red hat"]).hidden
        long = tiny_base.encode(["red hat"], TextOptions(max_tokens=225)).hidden
    assert long.shape[1] == 227
    torch.testing.assert_close(long[:, :76], short[:, :76], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("text", ["", "red hat", "red " * 74, "red " * 75, "red " * 76, "red " * 149, "red " * 400])
@pytest.mark.parametrize("most", [75, 150, 225])
def test_the_joined_chunks_have_the_tokenizers_ids(tiny_base: Base, text: str, most: int) -> None:
    tokenizer = tiny_base.text_encoders[0].tokenizer
    whole = tokenizer(text, padding="max_length", max_length=most + 2, truncation=True)["input_ids"]
    for options in (TextOptions(max_tokens=most), TextOptions(max_tokens=most, emphasis="kohya")):
        (chunks,) = tiny_base.prompt_encoder.tokenize([text], options)
        assert len(chunks) == most // 75 == tiny_base.prompt_encoder.rows_per_text(options)
        assert [token for chunk in chunks for token in chunk.ids[1:-1]] == whole[1:-1]
        assert {chunk.ids[0] for chunk in chunks} == {tokenizer.bos_token_id}
        assert {len(chunk.ids) for chunk in chunks} == {77}
        assert all(tokenizer.eos_token_id in chunk.ids for chunk in chunks)


def test_what_is_cut(tiny_base: Base) -> None:
    is_cut = tiny_base.prompt_encoder.is_cut
    assert is_cut(LONG, PLAIN_TEXT)
    assert not is_cut(LONG, TextOptions(max_tokens=150))
    assert not is_cut(LONG, DRAWING)
    assert not is_cut("(red:1.3) hat", PLAIN_TEXT)


@contextmanager
def shifted(tensor: torch.Tensor, by: float) -> Iterator[None]:
    """A tensor moved, so that outputs have a mean worth keeping."""
    tensor.data.add_(by)
    yield
    tensor.data.sub_(by)


def test_weights_multiply_their_tokens_and_the_mean_stays(tiny_base: Base) -> None:
    norm = tiny_base.text_encoders[0].model.final_layer_norm
    with torch.no_grad(), shifted(norm.bias, 0.4):
        flat = tiny_base.encode(["red hat"]).hidden
        torch.testing.assert_close(tiny_base.encode(["red hat"], WEIGHTED).hidden, flat, rtol=1e-4, atol=1e-5)
        spoken = tiny_base.encode(["(red:1.5) hat"], WEIGHTED).hidden
    assert flat.mean() > 0.1
    torch.testing.assert_close(spoken.mean(dim=(1, 2)), flat.mean(dim=(1, 2)), rtol=1e-3, atol=1e-5)
    # Against an unweighted token (BOS), the weighted one is 1.5 times as large.
    factor = (spoken[0, 1] / flat[0, 1]) / (spoken[0, 0] / flat[0, 0])
    torch.testing.assert_close(factor, torch.full_like(factor, 1.5), rtol=1e-3, atol=1e-3)


def test_joined_chunks_can_have_the_other_emphases(tiny_base: Base) -> None:
    with torch.no_grad():
        flat = tiny_base.encode(["red hat", "smile"], TextOptions(max_tokens=150))
        louder = tiny_base.encode(["(red:1.5) hat", "smile"], TextOptions(max_tokens=150, emphasis="no norm"))
    torch.testing.assert_close(louder.hidden[0, 1], 1.5 * flat.hidden[0, 1])
    torch.testing.assert_close(louder.hidden[0, 2:], flat.hidden[0, 2:])
    torch.testing.assert_close(louder.hidden[1], flat.hidden[1])


def test_clip_reads_no_text_in_one_piece(tiny_base: Base) -> None:
    with pytest.raises(ValueError, match="77 tokens"):
        tiny_base.encode(["red"], TextOptions("none"))
