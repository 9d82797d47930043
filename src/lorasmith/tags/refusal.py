"""Refuse what combines minors with sexual content. There is no override (domain.md, Responsibility)."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import NoReturn

from lorasmith.errors import RefusedError

_ADULT = 18
_AGE = re.compile(r"(?<!\w)(\d{1,2})\s?-?\s?(?:years?\s?-?\s?olds?|y\s?/?\s?o|yrs?\s?-?\s?old)(?!\w)")
_LOOKALIKES = str.maketrans("авеіосрухӏ", "abeiocpyxl")  # Cyrillic letters that look like Latin ones
_NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
)


def refuse(text: str | Iterable[str], where: object) -> None:
    """Raise RefusedError when `text`, or all the texts of `text` taken together, combine the two.

    Tags, captions, prompts and labels alike; words are matched whole, whatever their case, underscores, accents or
    letter forms. `where` names the file or field for the message.
    """
    texts = (text,) if isinstance(text, str) else text
    minor = sexual = False
    for part in texts:
        speaks_of_minors, is_sexual = _look(part)
        minor, sexual = minor or speaks_of_minors, sexual or is_sexual
        if minor and sexual:
            _refuse(where)


def refuse_images(texts: Mapping[str, Iterable[str]], also: Iterable[str], where: object) -> None:
    """Raise RefusedError when the texts of one image, with those that go with every image (`also`), or all of them
    taken together combine the two.

    `texts` are by image; `where` names the dataset for the message, where no single image is at fault. Each distinct
    text is looked at once, and nothing else happens when they are harmless taken all together.
    """
    always = tuple(also)
    distinct = set(always).union(*texts.values())
    looks = {text: _look(text) for text in distinct}
    if not any(minor for minor, _ in looks.values()) or not any(sexual for _, sexual in looks.values()):
        return
    refuse(always, where)
    for name, image in texts.items():
        refuse((*always, *image), name)
    _refuse(where)


def _refuse(where: object) -> NoReturn:
    raise RefusedError(
        "refused: it combines minors with sexual content.",
        where=where,
        hint="Lorasmith does not work on such material, and there is no setting that changes this.",
    )


@lru_cache(maxsize=65536)
def _look(text: str) -> tuple[bool, bool]:
    """(speaks of minors, is sexual) for one text."""
    minor, sexual, either, harmless = _patterns()
    plain = harmless.sub(" ", _plain(text))
    both = either.search(plain) is not None
    young = minor.search(plain) is not None or any(int(age) < _ADULT for age in _AGE.findall(plain))
    return both or young, both or sexual.search(plain) is not None


def _plain(text: str) -> str:
    """Lower-case letters without accents, invisible characters or underscores; number words as digits."""
    letters = unicodedata.normalize("NFKD", text).casefold().translate(_LOOKALIKES)
    kept = "".join(c for c in letters if unicodedata.category(c) not in ("Mn", "Cf"))
    spaced = re.sub(r"[_\s]+", " ", kept)
    return re.sub(r"\b(?:" + "|".join(_NUMBERS) + r")\b", lambda word: str(_NUMBERS.index(word[0])), spaced)


@lru_cache(maxsize=1)
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    terms = tomllib.loads(files("lorasmith.tags").joinpath("refused.toml").read_text("utf-8"))
    minor, sexual, either, harmless = (_whole_words(terms[key]) for key in ("minor", "sexual", "either", "harmless"))
    return minor, sexual, either, harmless


def _whole_words(terms: Iterable[str]) -> re.Pattern[str]:
    """Any of `terms` as whole words; a space in a term may also be a hyphen; a plural s is allowed."""
    forms = "|".join(re.escape(term).replace(r"\ ", r"[\s-]") for term in terms)
    return re.compile(rf"(?<![^\W\d_])(?:{forms})(?:'?s)?(?![^\W\d_])")
