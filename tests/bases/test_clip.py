"""CLIP's vocabulary: the ids that its public tokenizers give for known sentences."""

from __future__ import annotations

from lorasmith.bases.clip import SIZE, byte_pairs, clip_tokenizer, vocabulary

SENTENCES = {
    "a photo of an astronaut riding a horse on mars": [320, 1125, 539, 550, 18376, 6765, 320, 4558, 525, 7496],
    "a photo of a cat": [320, 1125, 539, 320, 2368],
    "A photo  of a CAT": [320, 1125, 539, 320, 2368],
    "": [],
}


def test_size_and_ends() -> None:
    tokens = vocabulary()
    assert len(tokens) == SIZE == 49408
    assert list(tokens.values()) == list(range(SIZE))
    assert (tokens["!"], tokens["!</w>"], tokens["in"]) == (0, 256, 512)
    assert (tokens["<|startoftext|>"], tokens["<|endoftext|>"]) == (49406, 49407)
    assert len(byte_pairs()) == 48894


def test_known_sentences() -> None:
    first, second = clip_tokenizer(), clip_tokenizer("!")
    for sentence, ids in SENTENCES.items():
        padding = 77 - 2 - len(ids)
        padded = first(sentence, padding="max_length", max_length=77)["input_ids"]
        assert padded == [49406, *ids, 49407, *[49407] * padding]
        padded = second(sentence, padding="max_length", max_length=77)["input_ids"]
        assert padded == [49406, *ids, 49407, *[0] * padding]
