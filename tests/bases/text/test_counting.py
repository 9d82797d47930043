"""Tokens of a prompt, counted without a base's models."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from transformers import CLIPTokenizer

from lorasmith.bases.base import load_base
from lorasmith.bases.clip import clip_tokenizer
from lorasmith.bases.doodle import doodle_folder
from lorasmith.bases.shipped import plain_beside, qwen_tokenizer, t5_tokenizer
from lorasmith.bases.text.counting import TokenCount, count_tokens, find_cut
from lorasmith.bases.text.options import TextOptions
from lorasmith.bases.text.plain_words import PlainTokenizer
from lorasmith.errors import BaseError
from tests.library.hubs.mock import adapter_bytes
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


TEXTS = (
    "",
    "1girl, smile, red hair",
    "  A  Photo\tof a\ncat's  HAT, it'll rain... (zbk:1.2) <|endoftext|> 1,024 x 2.5 ",
    "caf\u00e9, cafe\u0301, \u5c11\u5973\u3000\u9752\u3044\u7a7a, \ud55c\uad6d, \U0001f600\x1f!? _.",
)


def test_words_are_counted_as_transformers_counts_them(family_folders: Mapping[str, Path], tmp_path: Path) -> None:
    """Without it: its CLIPTokenizer (transformers/models/clip/tokenization_clip.py) takes seconds to import."""
    old = tmp_path / "old"
    old.mkdir()
    whole = json.loads((doodle_folder() / "tokenizer" / "tokenizer.json").read_text("utf-8"))["model"]
    (old / "vocab.json").write_text(json.dumps(whole["vocab"]), "utf-8")
    pairs = (" ".join(pair) for pair in whole["merges"])
    (old / "merges.txt").write_text("\n".join(["#version: 0.2", *pairs, ""]), "utf-8")
    tried: list[tuple[Path | None, Any]] = [
        (folder / "tokenizer", CLIPTokenizer.from_pretrained(folder / "tokenizer"))
        for folder in (*family_folders.values(), doodle_folder())
    ]
    for folder, theirs in (*tried, (old, tried[-1][1]), (None, clip_tokenizer())):
        ours = PlainTokenizer(folder, clip=True)
        for text in TEXTS:
            assert len(ours(text)["input_ids"]) == len(theirs(text)["input_ids"]), (folder, text)
            plain = theirs(text, add_special_tokens=False)["input_ids"]
            assert ours(text, add_special_tokens=False)["input_ids"] == plain, (folder, text)


def test_other_families_words_are_those_of_their_files(tmp_path: Path) -> None:
    tiny_tokenizer().save_pretrained(tmp_path)
    theirs = CLIPTokenizer.from_pretrained(tmp_path)
    ours = PlainTokenizer(tmp_path, clip=False)
    for text in TEXTS:
        assert ours(text)["input_ids"] == theirs(text)["input_ids"]


@pytest.mark.parametrize(("name", "theirs"), [("tokenizer", qwen_tokenizer), ("t5_tokenizer", t5_tokenizer)])
def test_shipped_words_are_counted_as_transformers_counts_them(
    tmp_path: Path, name: str, theirs: Callable[[], Any]
) -> None:
    tokenizer = theirs()
    ours = plain_beside(tmp_path / "base.safetensors", name, {"tokenizer": 151_936, "t5_tokenizer": 32_128}[name])
    for text in (*TEXTS, "<|im_start|>user\na cat's 12 hats\r\n\n <think>  x<|im_end|>", "I'M we'LL   "):
        assert ours(text)["input_ids"] == tokenizer(text)["input_ids"], text
        plain = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert ours(text, add_special_tokens=False)["input_ids"] == plain, text


def test_a_prompt_is_counted_without_torch_and_transformers(family_folders: Mapping[str, Path]) -> None:
    """Either takes seconds to import."""
    script = (
        "import sys\nfrom lorasmith.bases.text.counting import count_tokens\n"
        "for base in sys.argv[1:]: print(count_tokens(['a (red:1.2) hat'], base).chunks)\n"
        "print(sorted({'torch', 'transformers', 'diffusers'} & sys.modules.keys()))"
    )
    folders = [str(folder) for folder in family_folders.values()]
    done = subprocess.run([sys.executable, "-c", script, *folders], capture_output=True, text=True, check=True)
    *counted, heavy = done.stdout.splitlines()
    assert counted == ["(3,)"] * len(folders)
    assert heavy == "[]"


@pytest.mark.parametrize(("options", "cut"), [(TextOptions(), 3), (TextOptions(max_tokens=150), 2),
                                              (TextOptions(max_tokens=150, emphasis="kohya"), 1)])  # fmt: skip
def test_what_training_cuts_is_found_without_torch(tiny_base_folder: Path, options: TextOptions, cut: int) -> None:
    texts = {
        "short": "red " * 75,
        "long": "red " * 76,
        "weighted": "red " * 149 + "(red:1.2)",
        "longest": "red " * 226,
    }
    reader = load_base(tiny_base_folder).prompt_encoder
    assert find_cut(texts, str(tiny_base_folder), options) == tuple(
        name for name, text in texts.items() if reader.is_cut(text, options)
    )
    assert len(find_cut(texts, str(tiny_base_folder), options)) == cut
    assert find_cut({"short": "red"}, str(tiny_base_folder), options) == ()


def test_nothing_is_said_where_the_words_are_not_at_hand(tmp_path: Path) -> None:
    long = {"a": "red " * 99}
    assert find_cut(long, "somebody/some-base", TextOptions()) == ()
    (tmp_path / "base").mkdir()
    assert find_cut(long, str(tmp_path / "base"), TextOptions()) == ()


def test_a_prompt_is_explained_without_torch(tmp_path: Path) -> None:
    """With an adapter that it calls."""
    (tmp_path / "zbk.safetensors").write_bytes(adapter_bytes(1))
    script = (
        "import sys\nfrom lorasmith.cli.main import run\n"
        "code = run(['prompt', 'explain', 'a (red:1.2) hat <lora:zbk:1>', '--adapters', sys.argv[1], '--json'])\n"
        "print(code, sorted({'torch', 'transformers', 'diffusers'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
