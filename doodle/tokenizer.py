"""Make Doodle's tokenizer: a CLIP-type byte-level BPE in which every word of the world is one token.

    python doodle/tokenizer.py          # writes work/tokenizer/

CLIP's own vocabulary would be half of the model. Any text can be encoded; unknown words fall into pieces.
"""

from __future__ import annotations

import json
import re
from random import Random

from captions import sentence_caption
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer
from world import WORK, shard, training_shards, vocabulary

SIZE = 2048
START, END = "<|startoftext|>", "<|endoftext|>"
#: Words that prompts of other people contain: kept whole where there is room, so that prompts stay short.
COMMON = [
    "a",
    "an",
    "the",
    "of",
    "in",
    "on",
    "at",
    "with",
    "and",
    "or",
    "no",
    "not",
    "very",
    "style",
    "drawing",
    "picture",
    "photo",
    "portrait",
    "art",
    "cartoon",
    "person",
    "man",
    "woman",
    "boy",
    "girl",
    "people",
    "face",
    "head",
    "hair",
    "eyes",
    "mouth",
    "nose",
    "ear",
    "ears",
    "hand",
    "body",
    "skin",
    "shirt",
    "dress",
    "coat",
    "jacket",
    "hat",
    "cap",
    "background",
    "simple",
    "plain",
    "big",
    "small",
    "long",
    "short",
    "wide",
    "happy",
    "sad",
    "angry",
    "old",
    "young",
    "dark",
    "light",
    "bright",
    "black",
    "white",
    "red",
    "green",
    "blue",
    "yellow",
    "orange",
    "purple",
    "pink",
    "brown",
    "gray",
    "teal",
    "color",
    "colorful",
    "quality",
    "best",
    "low",
    "high",
    "detailed",
    "masterpiece",
    "blurry",
    "looking",
    "smiling",
    "laughing",
    "crying",
    "wearing",
    "standing",
    "sitting",
    "side",
    "front",
    "back",
    "view",
    "close",
    "up",
    "full",
    "upper",
    "solo",
    "one",
    "two",
    "three",
    "1girl",
    "1boy",
    "subject",
    "thing",
    "house",
    "tree",
    "sky",
    "water",
    "sun",
    "moon",
    "star",
    "fire",
    "snow",
    "rain",
    "night",
    "day",
    "city",
    "room",
    "indoors",
    "outdoors",
    "street",
    "forest",
    "mountain",
    "sea",
    "cat",
    "dog",
    "bird",
    "fish",
    "horse",
    "car",
    "book",
    "chair",
    "table",
    "flower",
    "food",
    "drink",
    "cup",
    "box",
    "ball",
    "sword",
    "gun",
    "robot",
    "dragon",
]


def corpus() -> list[str]:
    """Training text: every world word often, sentences from the world, common words."""
    random = Random(0)
    world_words = sorted({word for tags in vocabulary().values() for tag in tags for word in re.findall(r"\w+", tag)})
    seen = [entry for name in training_shards()[:4] for entry in shard(name).seen[:500]]
    lines = [" ".join([word] * 60) for word in [*world_words, "1person"]]
    lines += [sentence_caption(entry, random) for entry in seen]
    return lines + [" ".join([word] * 20) for word in COMMON] + [", , a - b ."] * 500


def train_bpe() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges in CLIP's order: bytes, bytes with end-of-word, merges, start, end."""
    bpe = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="</w>", unk_token=END))
    bpe.normalizer = normalizers.Lowercase()
    split = pre_tokenizers.Split(Regex(r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), behavior="removed", invert=True)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        special_tokens=[],
        show_progress=False,
    )
    bpe.train_from_iterator(corpus(), trainer)
    words = alphabet + [letter + "</w>" for letter in alphabet]
    known, merges = set(words), []
    for merge in json.loads(bpe.to_str())["model"]["merges"]:
        first, second = merge if isinstance(merge, list) else merge.split(" ")
        if len(words) >= SIZE - 2:
            break
        merges.append((first, second))
        if first + second not in known:
            known.add(first + second)
            words.append(first + second)
    words += [START, END]
    return {word: index for index, word in enumerate(words)}, merges


def main() -> None:
    vocabulary_ids, merges = train_bpe()
    tokenizer = CLIPTokenizer(vocab=vocabulary_ids, merges=merges, model_max_length=77)
    assert len(tokenizer) == len(vocabulary_ids) > 600, len(tokenizer)
    folder = WORK / "tokenizer"
    tokenizer.save_pretrained(folder)
    again = CLIPTokenizer.from_pretrained(folder)
    pieces = 0
    for tags in vocabulary().values():
        for tag in tags:
            ids = again(tag, add_special_tokens=False).input_ids
            pieces += len(ids) - len(re.findall(r"[^\W\d]+|\d|[^\s\w]+", tag))
    example = again("bigsmile style, 1person, zblorg, close-up")
    print(
        len(again),
        "entries;",
        pieces,
        "tag words in more than one piece;",
        again.convert_ids_to_tokens(example.input_ids),
    )


if __name__ == "__main__":
    main()
