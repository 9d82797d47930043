"""Embeddings in texts: the oracle is the library's own encoder with the vectors as tokens in its table."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lorasmith.bases.base import Base, load_base
from lorasmith.bases.text.chunks import cut_chunks
from lorasmith.bases.text.context import Context
from lorasmith.bases.text.embeddings import PARTS, Embedding, Vocabulary
from lorasmith.bases.text.long import LongPromptEncoder
from lorasmith.bases.text.options import TextOptions
from lorasmith.errors import PromptError
from tests.tiny import diffusers_pipeline

WIDTHS = {"sd1": (32,), "sd2": (32,), "sdxl": (32, 48)}
DRAWING = TextOptions("a1111", emphasis="no norm")


def embedding(widths: Sequence[int], rows: int = 2, name: str = "ann", seed: int = 0) -> Embedding:
    generator = torch.Generator().manual_seed(seed)
    tables = [torch.randn(rows, width, generator=generator) for width in widths]
    parts = PARTS if len(widths) == 2 else ("",)
    return Embedding(name, f"{name} {seed} {rows}", dict(zip(parts, tables, strict=True)))


def words(*embeddings: Embedding, **more: Embedding) -> Vocabulary:
    named = {each.name: each for each in embeddings} | more
    return Vocabulary({name.lower(): lambda each=each: each for name, each in named.items()})  # type: ignore[misc]


def encode(base: Base, text: str, known: Vocabulary, options: TextOptions = DRAWING) -> Context:
    with torch.no_grad():
        return base.prompt_encoder.encode(base.prompt_encoder.tokenize([text], options, known), options)


def with_tokens(model: Any, vectors: Tensor) -> tuple[Any, list[int]]:
    """A copy of an encoder whose table has these vectors as tokens behind its own, and their ids."""
    copied = copy.deepcopy(model)
    count = copied.get_input_embeddings().weight.shape[0]
    table = torch.cat([copied.get_input_embeddings().weight.data, vectors])
    longer = torch.nn.Embedding(len(table), table.shape[1])
    longer.weight.data = table
    copied.set_input_embeddings(longer)
    return copied, [count + row for row in range(len(vectors))]


def expected(base: Base, chunk: Sequence[str | None], own: Embedding) -> tuple[Tensor, Tensor]:
    """The hidden states and the last encoder's pooled one of a chunk; None stands for the embedding."""
    hidden, pooled = [], torch.empty(0)
    for encoder, table in zip(base.text_encoders, own.tables.values(), strict=True):
        tokenizer = encoder.tokenizer
        model, new = with_tokens(encoder.model, table)
        ids = [tokenizer.bos_token_id]
        for piece in chunk:
            ids += new if piece is None else tokenizer(piece, add_special_tokens=False)["input_ids"]
        ids.append(tokenizer.eos_token_id)
        ids += [tokenizer.pad_token_id] * (77 - len(ids))
        with torch.no_grad():
            out = model(torch.tensor([ids]), output_hidden_states=True)
        hidden.append(out.hidden_states[-2] if len(base.text_encoders) == 2 else out.last_hidden_state)
        pooled = getattr(out, "text_embeds", pooled)
    return torch.cat(hidden, dim=-1), pooled


@pytest.mark.parametrize("family", WIDTHS)
@pytest.mark.parametrize("said", ["ann", "ANN", "embedding:ann", "Embedding:Ann"])
def test_the_states_are_those_of_an_encoder_with_the_vectors_in_its_table(
    family: str, said: str, family_folders: Mapping[str, Path]
) -> None:
    base, own = load_base(family_folders[family]), embedding(WIDTHS[family], rows=3)
    made = encode(base, f"red hat, {said} smile", words(own))
    hidden, pooled = expected(base, ["red hat,", None, "smile"], own)
    torch.testing.assert_close(made.hidden, hidden, atol=1e-5, rtol=1e-5)
    if family == "sdxl":
        torch.testing.assert_close(made.pooled, pooled, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(made.hidden, encode(base, "red hat, ann smile", words()).hidden)


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
@pytest.mark.parametrize("rows", [1, 4])
def test_the_states_are_those_of_diffusers(family: str, rows: int, family_folders: Mapping[str, Path]) -> None:
    """diffusers/loaders/textual_inversion.py, `load_textual_inversion`."""
    folder = family_folders[family]
    pipeline, own = diffusers_pipeline(folder), embedding(WIDTHS[family], rows)
    encoders = [(pipeline.tokenizer, pipeline.text_encoder)]
    if family == "sdxl":
        encoders.append((pipeline.tokenizer_2, pipeline.text_encoder_2))
    for table, (tokenizer, encoder) in zip(own.tables.values(), encoders, strict=True):
        pipeline.load_textual_inversion({"qann": table}, token="qann", tokenizer=tokenizer, text_encoder=encoder)
    how: dict[str, Any] = {"device": "cpu", "num_images_per_prompt": 1, "do_classifier_free_guidance": False}
    with torch.no_grad():
        theirs = pipeline.encode_prompt("red hat, qann smile", **how)
    made = encode(load_base(folder), "red hat, qann smile", words(qann=own))
    torch.testing.assert_close(made.hidden, theirs[0], atol=1e-5, rtol=1e-5)
    if family == "sdxl":
        torch.testing.assert_close(made.pooled, theirs[2], atol=1e-5, rtol=1e-5)


def test_emphasis_acts_on_every_vector(tiny_base: Base) -> None:
    own = embedding((32,), rows=3)
    plain = encode(tiny_base, "red ann hat", words(own)).hidden
    strong = encode(tiny_base, "red (ann:1.5) hat", words(own)).hidden
    ratio = torch.ones(77)
    ratio[2:5] = 1.5  # behind BOS and "red"
    torch.testing.assert_close(strong, plain * ratio[None, :, None])
    marked = encode(tiny_base, "red (embedding:ann:1.5) hat", words(own)).hidden
    assert torch.equal(strong, marked)


def test_chunks_with_two_embeddings_are_two(tiny_base: Base) -> None:
    """Both have the same ids."""
    one, other = embedding((32,), name="ann", seed=1), embedding((32,), name="bob", seed=2)
    both = encode(tiny_base, "ann BREAK bob BREAK ann", words(one, other)).hidden
    first, second = (encode(tiny_base, name, words(one, other)).hidden for name in ("ann", "bob"))
    torch.testing.assert_close(both, torch.cat([first, second, first], dim=1))
    assert not torch.allclose(first, second)


def test_nothing_stays_behind(tiny_base: Base) -> None:
    before = encode(tiny_base, "red", words()).hidden
    state = {key: value.clone() for key, value in tiny_base.text_encoders[0].model.state_dict().items()}
    encode(tiny_base, "red ann", words(embedding((32,))))
    assert torch.equal(encode(tiny_base, "red", words()).hidden, before)
    after = tiny_base.text_encoders[0].model.state_dict()
    assert all(torch.equal(after[key], value) for key, value in state.items())
    assert not tiny_base.text_encoders[0].model.get_input_embeddings()._forward_hooks


def test_an_embedding_is_never_cut(tiny_base: Base) -> None:
    """A1111, sd_hijack_clip.py, `tokenize_line`: what does not fit begins a chunk."""
    own = embedding((32,), rows=4)
    (tokens,) = tiny_base.prompt_encoder.tokenize(["red " * 73 + "ann hat"], DRAWING, words(own))
    assert tiny_base.prompt_encoder.count_words(tokens) == [73, 5]
    assert [chunk.placed for chunk in tokens] == [(), ((1, own),)]
    (tokens,) = tiny_base.prompt_encoder.tokenize(["red " * 71 + "ann hat"], DRAWING, words(own))
    assert tiny_base.prompt_encoder.count_words(tokens) == [75, 1]
    assert [chunk.placed for chunk in tokens] == [((72, own),), ()]


def test_an_embedding_moves_with_what_stands_behind_the_comma(tiny_base: Base) -> None:
    own = embedding((32,), rows=4)
    text = "red " * 64 + ", ann " + "red " * 8
    (tokens,) = tiny_base.prompt_encoder.tokenize([text], DRAWING, words(own))
    assert tiny_base.prompt_encoder.count_words(tokens) == [65, 12]
    assert [chunk.placed for chunk in tokens] == [(), ((1, own),)]
    assert all(len(chunk.ids) == len(chunk.weights) == 77 for chunk in tokens)


def test_the_longest_name_goes_first(tiny_base: Base) -> None:
    short, long = embedding((32,), name="red", seed=1), embedding((32,), name="red hat", seed=2)
    (tokens,) = tiny_base.prompt_encoder.tokenize(["a red hat, red"], DRAWING, words(short, long))
    assert [each.name for _, each in tokens[0].placed] == ["red hat", "red"]


def test_without_a_vocabulary_all_is_text(tiny_base: Base) -> None:
    tokenizer = tiny_base.text_encoders[0].tokenizer
    (tokens,) = tiny_base.prompt_encoder.tokenize(["embedding:ann red"], DRAWING)
    own = tokenizer("embedding:ann red", add_special_tokens=False)["input_ids"]
    assert list(tokens[0].ids[1 : 1 + len(own)]) == own
    assert tokens[0].placed == ()


def test_marks_end_at_what_is_no_name(tiny_base: Base) -> None:
    own = embedding((32,))
    for text in ("embedding:ann, red", "embedding:ann. red", "embedding:ann.safetensors red", "embedding:ann.pt"):
        (tokens,) = tiny_base.prompt_encoder.tokenize([text], DRAWING, words(own))
        assert [each.name for _, each in tokens[0].placed] == ["ann"], text


def test_an_unknown_mark_names_the_nearest(tiny_base: Base) -> None:
    with pytest.raises(PromptError, match='embedding "anne" is unknown') as caught:
        encode(tiny_base, "red embedding:anne", words(embedding((32,))))
    assert caught.value.hint == "Did you mean ann?"


@pytest.mark.parametrize(
    ("widths", "base", "hint"), [((768,), "sd2", "SD 1"), ((768, 1280), "sd1", "SDXL"), ((1024,), "sdxl", "SD 2")]
)
def test_another_base_s_embedding_is_an_error(
    widths: tuple[int, ...], base: str, hint: str, family_folders: Mapping[str, Path]
) -> None:
    own, loaded = embedding(widths), load_base(family_folders[base])
    message = f"vectors have {' and '.join(map(str, widths))} numbers.* take {' and '.join(map(str, WIDTHS[base]))}"
    with pytest.raises(PromptError, match=message) as caught:
        loaded.prompt_encoder.tokenize(["red ann"], DRAWING, words(own))
    assert caught.value.hint == f"It is for {hint}."


def test_more_vectors_than_a_chunk_has_room_for_are_an_error(tiny_base: Base) -> None:
    with pytest.raises(PromptError, match="76 vectors: a chunk has room for 75"):
        encode(tiny_base, "ann", words(embedding((32,), rows=76)))


def test_a_long_reader_takes_none(tiny_base: Base) -> None:
    reader = LongPromptEncoder(tiny_base.text_encoders[0], 200)
    known = words(embedding((32,)))
    for text in ("red, Ann", "embedding:bob"):
        with pytest.raises(PromptError, match="text encoder of this base takes none"):
            reader.tokenize([text], DRAWING, known)
    assert reader.tokenize(["annual red"], DRAWING, known) == reader.tokenize(["annual red"], DRAWING)


def test_chunks_without_embeddings_are_as_they_were(tiny_base: Base) -> None:
    from lorasmith.prompts import parse_attention

    text = ", ".join(["1girl", "(red hair:1.2)", "blue hat", "smile"] * 12)
    (tokens,) = tiny_base.prompt_encoder.tokenize([text], DRAWING, words(embedding((32,))))
    assert tokens == cut_chunks(parse_attention(text), tiny_base.text_encoders[0].tokenizer)
