"""Entries of languages that write words with spaces, found in a text's words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from lorasmith.tags.refusal.entries import Language, RefusalList
from lorasmith.tags.refusal.flags import BOTH, HARMLESS, side_flags
from lorasmith.tags.refusal.spelling import RUN, SPACELESS, plain, skeleton

_TOKEN = re.compile(rf"[^\W\d_{SPACELESS}]+|\d+(?:\.\d+|,\d{{3}}(?!\d))*|\+|[\U0001f300-\U0001faff]")
_BREAK = re.compile(rf"[,;|\n()\[\]{{}}<>!?{RUN}{SPACELESS}，、。；！？]")
_NUMBER, _THING = "<n>", "<thing>"
_ADULT = 18
_NEAR = 4
_LONGEST_RUN = 48
"""Letters of one word that are looked at for words written together."""
_MET = 65536
"""Words whose phrases are remembered."""
_LONG, _LONG_ENOUGH = 1 << 62, 4


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text: `apart` where a comma, bracket or the like stands before it, or the text begins."""

    text: str
    apart: bool


@dataclass(frozen=True, slots=True)
class Phrase:
    """An entry: its words, each perhaps with a star or a class of words, what it means, and its language's numbers."""

    words: tuple[str, ...]
    flags: int
    alone: bool
    numbers: Set[str]


def split_words(text: str) -> list[Word]:
    """The words of a reading, numbers and pictographs among them."""
    words: list[Word] = []
    end = 0
    for found in _TOKEN.finditer(text):
        words.append(Word(found[0], end == 0 or _BREAK.search(text, end, found.start()) is not None))
        end = found.end()
    return words


class _Index:
    """Phrases by a word of theirs, which may have a star."""

    def __init__(self) -> None:
        self._exact: dict[str, list[Phrase]] = {}
        self._begun: dict[str, list[Phrase]] = {}
        self._met: dict[str, tuple[Phrase, ...]] = {}

    def add(self, word: str, phrase: Phrase) -> None:
        known = self._begun if word.endswith("*") else self._exact
        known.setdefault(word.removesuffix("*"), []).append(phrase)

    def beginning(self, text: str) -> tuple[Phrase, ...]:
        """The phrases whose word `text` may be."""
        phrases = self._met.get(text)
        if phrases is None:
            if len(self._met) >= _MET:
                self._met.clear()
            found = [phrase for form in (text, *_singulars(text)) for phrase in self._exact.get(form, ())]
            found += [phrase for end in range(1, len(text) + 1) for phrase in self._begun.get(text[:end], ())]
            phrases = self._met[text] = tuple(found)
        return phrases


class WordMatcher:
    """Finds the entries in words. With `fold` entries and texts are compared by their skeletons."""

    def __init__(self, entries: RefusalList, *, fold: bool = False) -> None:
        self._fold = skeleton if fold else str
        self._first, self._after_number, self._after_thing = _Index(), _Index(), _Index()
        self._single: dict[str, int] = {}
        spaced = [each for each in entries.languages if each.spaced]
        self._numbers = {each.name: {self._fold(plain(word)) for word in each.number_words} for each in spaced}
        self._tens = {
            tuple(self._fold(plain(word)) for word in entry.split()) for each in spaced for entry in each.tens
        }
        self._counting = {word.split()[0] for words in self._numbers.values() for word in words}
        self._things: dict[str, list[tuple[str, ...]]] = {}
        for thing in map(self._words, entries.things):
            self._things.setdefault(thing[0].removesuffix("*"), []).append(thing)
        self._rusty = [each[0] for named in self._things.values() for each in named if each[0].endswith("*")]
        self._persons = {self._fold(word) for word in entries.persons}
        self._fillers = {self._fold(word) for word in entries.fillers}
        for language in spaced:
            for entry, flags, alone in side_flags(language):
                self._add(entry, flags, alone, language)
        self._lengths = sorted({len(word) for word in self._single} | {len(word) for word in self._fillers})

    def _words(self, entry: str) -> tuple[str, ...]:
        """An entry's words as texts have them: digits are words of their own, so are signs."""
        parts: list[str] = []
        for word in entry.split():
            if word in (_NUMBER, _THING):
                parts.append(word)
                continue
            tokens = [self._fold(each.text) for each in split_words(plain(word.rstrip("*")))]
            tokens[-1] += "*" if word.endswith("*") else ""
            parts += tokens
        return tuple(parts)

    def _add(self, entry: str, flags: int, alone: bool, language: Language) -> None:
        if entry.startswith(_NUMBER) and not entry.startswith(f"{_NUMBER} "):
            # "<n>letn*": the number and its word are one; in digits they are two.
            rest = entry.removeprefix(_NUMBER)
            for number in language.number_words:
                if " " not in number:
                    self._add(f"{number}{rest}", flags, alone, language)
            entry = f"{_NUMBER} {rest}"
        words = self._words(entry)
        for spelled in {words} if alone else _joinings(words):
            phrase = Phrase(spelled, flags, alone, self._numbers[language.name])
            index = {_NUMBER: self._after_number, _THING: self._after_thing}.get(spelled[0])
            if index is None:
                self._first.add(spelled[0], phrase)
            else:
                index.add(spelled[1], phrase)
            if len(spelled) == 1 and not alone and flags & (BOTH | HARMLESS):
                word = spelled[0].rstrip("*")
                if word.isalpha():
                    self._single[word] = self._single.get(word, 0) | flags

    def flags(self, words: Sequence[Word]) -> int:
        """What the entries in these words mean together; what a harmless phrase covers does not count."""
        if not words:
            return 0
        if self._fold is skeleton:
            words = [Word(skeleton(word.text), word.apart) for word in words]
        spans = [span for start in range(len(words)) for span in self._at(words, start)]
        harmless = [(start, end) for start, end, flags in spans if flags & HARMLESS]
        found = 0
        for start, end, flags in spans:
            if not flags & HARMLESS and not any(left <= start and end <= right for left, right in harmless):
                found |= flags
        known = {place for start, end, _ in spans for place in range(start, end)}
        for place, word in enumerate(words):
            if place not in known and len(word.text) > 5:
                found |= self._decomposed(word.text)
        return found

    def _at(self, words: Sequence[Word], start: int) -> Iterator[tuple[int, int, int]]:
        for phrase in self._candidates(words, start):
            end = self._match(words, start, phrase)
            if end is not None:
                yield start, end, phrase.flags

    def _candidates(self, words: Sequence[Word], start: int) -> Iterator[Phrase]:
        yield from self._first.beginning(words[start].text)
        lengths = self._lengths_of_number(words, start)
        following = [(self._after_number, length) for length in lengths]
        if thing := self._thing(words, start):
            following.append((self._after_thing, thing))
        for index, length in following:
            if start + length < len(words):
                yield from index.beginning(words[start + length].text)
                if index is self._after_thing and self._lengths_of_number(words, start + length):
                    yield from index.beginning(_NUMBER)

    def _lengths_of_number(self, words: Sequence[Word], place: int) -> set[int]:
        """How many words here are a number in some language."""
        text = words[place].text
        if not (text[0].isdigit() or text in self._counting):
            return set()
        return {length for numbers in self._numbers.values() if (length := self._number(words, place, numbers))}

    def _match(self, words: Sequence[Word], start: int, phrase: Phrase) -> int | None:
        """Where the phrase ends that begins at `start`; None when it does not stand there."""
        place, last = start, len(phrase.words) - 1
        for number, wanted in enumerate(phrase.words):
            if place >= len(words) or (number and words[place].apart):
                return None
            if wanted == _NUMBER:
                length = self._number(words, place, phrase.numbers)
            elif wanted == _THING:
                length = self._thing(words, place)
            else:
                length = int(_is_form(words[place].text, wanted, plural=number == last or last == 0))
            if not length:
                return None
            place += length
        if phrase.alone and not (words[start].apart and (place == len(words) or words[place].apart)):
            return None
        if _THING in phrase.words and self._is_somebody(words, start, place):
            return None
        return place

    def _number(self, words: Sequence[Word], place: int, numbers: Set[str]) -> int:
        """How many words here are a number below 18: 0 when they are none, or the end of a greater one."""
        text = words[place].text
        if text[0].isdigit():
            whole, _, rest = text.partition(".")
            young = "," not in text and len(whole) <= 2 and int(whole) < _ADULT and len(rest) <= 2
            return int(young)
        if text not in self._counting:
            return 0
        length = next((count for count in (3, 2, 1) if self._spelled(words, place, count) in numbers), 0)
        return 0 if length and self._counts_on(words, place) else length

    def _spelled(self, words: Sequence[Word], place: int, count: int) -> str:
        taken = words[place : place + count]
        if len(taken) < count or any(word.apart for word in taken[1:]):
            return ""
        return " ".join(word.text for word in taken)

    def _counts_on(self, words: Sequence[Word], place: int) -> bool:
        """Whether a word such as "forty" goes before."""
        for count in (1, 2):
            if place >= count and not any(word.apart for word in words[place - count + 1 : place + 1]):
                before = tuple(word.text for word in words[place - count : place])
                if before in self._tens:
                    return True
        return False

    def _thing(self, words: Sequence[Word], place: int) -> int:
        """How many words here are a thing that has an age."""
        text = words[place].text
        if any(text.startswith(begun[:-1]) for begun in self._rusty):
            return 1
        for form in (text, *_singulars(text)):
            for thing in self._things.get(form, ()):
                taken = words[place : place + len(thing)]
                if len(taken) == len(thing) and all(
                    not word.apart and _is_form(word.text, wanted, plural=True)
                    for word, wanted in zip(taken[1:], thing[1:], strict=True)
                ):
                    return len(thing)
        return 0

    def _is_somebody(self, words: Sequence[Word], start: int, end: int) -> bool:
        """Whether a person is spoken of so near to a thing's age that it may be the person's."""
        near: list[str] = []
        for place in range(start, max(start - _NEAR, 0), -1):
            if words[place].apart:
                break
            near.append(words[place - 1].text)
        for place in range(end, min(end + _NEAR, len(words))):
            if words[place].apart:
                break
            near.append(words[place].text)
        return any(form in self._persons for word in near for form in (word, *_singulars(word)))

    def _decomposed(self, text: str) -> int:
        """What a word means that is nothing but entries and fillers written together, one long entry among them."""
        if len(text) > _LONGEST_RUN:
            return 0
        reached: dict[int, int] = {0: 0}
        for start in range(len(text)):
            if start not in reached:
                continue
            for length in self._lengths:
                piece = text[start : start + length]
                if len(piece) < length:
                    break
                if piece in self._single or piece in self._fillers:
                    flags = self._single.get(piece, 0)
                    so_far = reached[start] | (0 if flags & HARMLESS else flags)
                    so_far |= _LONG if flags and length >= _LONG_ENOUGH else 0
                    for end in (start + length, start + length + (text[start + length : start + length + 1] == "s")):
                        reached[end] = reached.get(end, 0) | so_far
        found = reached.get(len(text), 0)
        return found & ~_LONG if found & _LONG else 0

    def run_flags(self, run: str) -> int:
        """What spaced letters mean, put together."""
        found = self.flags([Word(run, True)])
        for start in range(len(run)):
            for length in self._lengths:
                if length >= 5:
                    found |= self._single.get(run[start : start + length], 0)
        return found & ~HARMLESS

    def hidden_flags(self, word: str) -> int:
        """What a word with a star in it means, if the star is a letter."""
        pattern = re.compile(re.escape(word).replace(r"\*", r"[^\W\d_]"))
        found = 0
        for single, flags in self._single.items():
            if len(single) == len(word) and pattern.fullmatch(single):
                found |= flags
        return found & ~HARMLESS


def _is_form(text: str, wanted: str, *, plural: bool) -> bool:
    if wanted.endswith("*"):
        return text.startswith(wanted[:-1])
    return text == wanted or (plural and wanted in _singulars(text))


@lru_cache(maxsize=8192)
def _singulars(text: str) -> tuple[str, ...]:
    """What `text` may be the plural of."""
    if len(text) < 3 or not text.endswith(("s", "z")):
        return ()
    return (text[:-1], text[:-2]) if text.endswith(("ses", "xes", "zes", "ches", "shes")) else (text[:-1],)


def _joinings(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    """The words, and all ways to write neighbours together that are letters only."""
    if len(words) == 1 or len(words) > 4:
        return {words}
    found = set()
    for glued in product((False, True), repeat=len(words) - 1):
        spelled = [words[0]]
        for join, word in zip(glued, words[1:], strict=True):
            if join and spelled[-1].isalpha() and word.rstrip("*").isalpha():
                spelled[-1] += word
            else:
                spelled.append(word)
        found.add(tuple(spelled))
    return found
