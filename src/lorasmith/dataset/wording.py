"""Captions of made pictures: the source's, with what the operation did said in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from lorasmith.images.alteration import Operation, Parameters

_SIDES = re.compile(r"(?<![^\W_])(left|right)(?=(?:wards?|most|hand(?:ed)?|side)?(?![^\W_]))", re.IGNORECASE)
_OTHER = {"left": "right", "right": "left"}
_COUNT = re.compile(r"(\d+)\+?(girl|boy|other)s?")
_MANY = 6
_ALONE = frozenset({"solo", "solo focus"})

_NETWORK = re.compile(r"<\w+:[^<>]*>")
_SWITCH = re.compile(r"\[([^\[\]:|]*):([^\[\]:|]*):[\d.\s]+\]")
_WEIGHT = re.compile(r":\s*[-+]?[\d.]+\s*(?=[)\]])")
_BRACKETS = re.compile(r"(?<!\\)[()\[\]{}]")
_WORDS_BETWEEN = re.compile(r"\b(?:BREAK|AND)\b|\|")


def word_alteration(caption: str, operation: Operation, parameters: Parameters) -> str:
    """The caption of an altered copy. A mirrored one has left and right swapped; colours, angle and quality are said;
    what a cut leaves in the picture is for the user to say."""
    if operation == "flip":
        return swap_sides(caption)
    return add_tags(caption, _tags_of(operation, parameters))


def word_collage(captions: Sequence[str | None]) -> str | None:
    """The caption of a collage: all that the captions say, people counted together; None without any caption."""
    present = [caption for caption in captions if caption]
    if not present:
        return None
    tags = [tag.strip() for caption in present for tag in caption.split(",") if tag.strip()]
    people: Counter[str] = Counter()
    for tag in tags:
        if found := _COUNT.fullmatch(tag):
            people[found[2]] += int(found[1])
    said: list[str] = []
    for tag in tags:
        found = _COUNT.fullmatch(tag)
        if found:
            tag = _say_count(people[found[2]], found[2])
        if plain(tag) not in map(plain, said) and plain(tag) not in _ALONE:
            said.append(tag)
    return add_tags(", ".join(said), ("collage",))


def word_prompt(prompt: str) -> str:
    """A prompt as a caption: without adapters, weights, brackets and keywords."""
    text = _NETWORK.sub(" ", prompt)
    text = _SWITCH.sub(r"\2", text)
    text = _BRACKETS.sub(" ", _WEIGHT.sub("", text))
    text = _WORDS_BETWEEN.sub(",", text).replace("\\", "")
    tags = (" ".join(tag.split()) for tag in text.replace("\n", ",").split(","))
    return add_tags("", (tag for tag in tags if tag))


def swap_sides(text: str) -> str:
    """`text` with the words left and right, and words made of them, swapped; capitals stay where they are."""

    def other(found: re.Match[str]) -> str:
        word = found[1]
        swapped = _OTHER[word.lower()]
        if word.isupper():
            return swapped.upper()
        return swapped.capitalize() if word[0].isupper() else swapped

    return _SIDES.sub(other, text)


def add_tags(caption: str, tags: Iterable[str]) -> str:
    """`caption` with the `tags` that it does not have yet behind it."""
    known = {plain(tag) for tag in caption.split(",")}
    said = [caption.strip().rstrip(",")] if caption.strip() else []
    for tag in tags:
        if plain(tag) not in known:
            known.add(plain(tag))
            said.append(tag)
    return ", ".join(said)


def plain(tag: str) -> str:
    """A tag without case, underscores and spaces around it, for comparing."""
    return " ".join(tag.replace("_", " ").split()).casefold()


def _tags_of(operation: Operation, parameters: dict[str, Any] | Parameters) -> tuple[str, ...]:
    if operation == "grayscale":
        return ("monochrome", "greyscale")
    if operation == "overlay":
        return (f"{parameters['colour']} theme",)
    if operation == "rotate":
        return ("dutch angle",)
    if operation == "quality":
        return ("low quality", "blurry", "worst quality")
    return ()


def _say_count(count: int, kind: str) -> str:
    if count >= _MANY:
        return f"{_MANY}+{kind}s"
    return f"{count}{kind}" if count == 1 else f"{count}{kind}s"
