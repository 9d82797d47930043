"""Tokens of a prompt, counted without a base's models."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorasmith.bases.text.counting import TokenCount, count_tokens
from lorasmith.errors import BaseError
from tests.tiny import tiny_tokenizer


@pytest.mark.parametrize("pad", ["<|endoftext|>", "!"])
def test_chunks_are_counted_whatever_they_are_padded_with(tmp_path: Path, pad: str) -> None:
    tiny_tokenizer(pad=pad).save_pretrained(tmp_path / "tokenizer")
    texts = ["red BREAK blue hair", "", "red " * 80]
    assert count_tokens(texts, str(tmp_path)) == TokenCount((1, 2, 0, 75, 5), 75)


def test_a_checkpoint_in_one_file_has_clips_words(tmp_path: Path) -> None:
    file = tmp_path / "base.safetensors"
    file.touch()
    assert count_tokens(["a photo of a cat", "(cat:1.2)"], str(file)) == TokenCount((5, 1), 75)


def test_a_folder_without_a_tokenizer_is_no_base(tmp_path: Path) -> None:
    with pytest.raises(BaseError, match="no tokenizer folder"):
        count_tokens(["red"], str(tmp_path))
