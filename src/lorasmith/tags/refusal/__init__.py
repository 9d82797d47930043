"""Refuse what combines minors with sexual content. There is no override (domain.md, Responsibility).

One judge for tags, captions, prompts and labels: what is said of one picture, or of one dataset, is judged together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NoReturn

from lorasmith.errors import RefusedError
from lorasmith.tags.refusal.entries import read_list
from lorasmith.tags.refusal.flags import BOTH, HARMLESS, letter_flags, settled
from lorasmith.tags.refusal.signs import SignMatcher, has_signs
from lorasmith.tags.refusal.spelling import RUN, hidden_words, readings
from lorasmith.tags.refusal.words import WordMatcher, split_words

_REMEMBERED = 256
"""Letters of a text that is worth remembering: tags and the parts of templates come again and again."""


def refuse(text: str | Iterable[str], where: object) -> None:
    """Raise RefusedError when `text`, or all the texts of `text` taken together, combine the two.

    Words are found in any spelling (`spelling.readings`) and in the languages of refused.toml. What only guides away,
    a negative prompt, is none of the texts. `where` names the file or field for the message.
    """
    texts = (text,) if isinstance(text, str) else text
    flags = 0
    for part in texts:
        flags |= speaks_of(part)
        if settled(flags) == BOTH:
            _refuse(where)


def refuse_images(texts: Mapping[str, Iterable[str]], also: Iterable[str], where: object) -> None:
    """Raise RefusedError when the texts of one image, with those that go with every image (`also`), or all of them
    taken together combine the two.

    `texts` are by image; `where` names the dataset for the message, where no single image is at fault. Each distinct
    text is looked at once, and nothing else happens when they are harmless taken all together.
    """
    always = tuple(also)
    if is_harmless(speak_of(set(always).union(*texts.values()))):
        return
    refuse(always, where)
    for name, image in texts.items():
        refuse((*always, *image), name)
    _refuse(where)


def is_harmless(flags: int) -> bool:
    """Whether texts that `speak_of` this may stand together, and so all images of which no more is said."""
    return settled(flags) != BOTH


def speak_of(texts: Iterable[str]) -> int:
    """What texts speak of together, as flags."""
    flags = 0
    for text in texts:
        flags |= speaks_of(text)
    return flags


def _refuse(where: object) -> NoReturn:
    raise RefusedError(
        "refused: it combines minors with sexual content.",
        where=where,
        hint="Lorasmith does not work on such material, and there is no setting that changes this.",
    )


def speaks_of(text: str) -> int:
    """What one text speaks of, as flags (`flags.settled` of several texts' flags put together is the verdict)."""
    return _remembered(text) if len(text) <= _REMEMBERED else _look(text)


@lru_cache(maxsize=65536)
def _remembered(text: str) -> int:
    return _look(text)


def _look(text: str) -> int:
    words = _words()
    found = letter_flags(text)
    for turn, reading in enumerate(readings(text)):
        said = split_words(reading)
        found |= words.flags(said)
        if has_signs(reading):
            found |= _signs().flags(reading)
        if turn:
            found |= _folded_words().flags(said)
        if RUN in reading:
            for run in reading.split(RUN)[1::2]:
                found |= words.run_flags(run) | _folded_words().run_flags(run.replace("l", "i"))
        if "*" in reading:
            for word in hidden_words(reading):
                found |= words.hidden_flags(word)
    return found & ~HARMLESS


@lru_cache(maxsize=1)
def _words() -> WordMatcher:
    return WordMatcher(read_list())


@lru_cache(maxsize=1)
def _folded_words() -> WordMatcher:
    """Made when it is first asked for, as the signs are: most captions need neither."""
    return WordMatcher(read_list(), fold=True)


@lru_cache(maxsize=1)
def _signs() -> SignMatcher:
    return SignMatcher(read_list())
