"""What the refusal misses, and what it refuses wrongly.

Cases are put together from the list's own entries (`refusal_cases.toml` has their ids); innocent texts are this
project's own: the embedded base's tags and prompts, the examples' captions, the lines of the documentation, each alone
and beside an entry of either side. What goes wrong is told by id.

Run: python -m benchmarks.refusal [--quick] [--list]
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from benchmarks.timing import machine, ratio_line
from lorasmith.bases.doodle import world
from lorasmith.bases.tag_space import random_prompts, read_tag_space
from lorasmith.errors import RefusedError
from lorasmith.examples import EXAMPLES, example_folder
from lorasmith.tags.refusal import refuse, speaks_of
from lorasmith.tags.refusal.entries import Language, read_list
from lorasmith.tags.refusal.flags import MINOR, SEXUAL, settled
from lorasmith.tags.refusal.signs import number_signs

TABLE = Path(__file__).with_name("refusal_cases.toml")
ROOT = Path(__file__).parents[1]
MISSED_GOAL, WRONG_GOAL = 0.0, 0.01
_PLACE = re.compile(r"\{(other )?([a-z]+)(?::(\w+))?\}")
_LOOKALIKE = str.maketrans("aceiopxy", "асеіорху")
_SMALL = str.maketrans("abcdeghijklmnoprtuvwz", "ᴀʙᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡᴢ")
_DIGIT = str.maketrans("oieastbg", "01345789")
_SIGN = str.maketrans("ais", "@!$")


@dataclass(frozen=True)
class Trial:
    """A text to judge: `id` says what it is made of, by the places of the entries in the list."""

    id: str
    text: str
    refused: bool


def _spread(text: str, between: str) -> str:
    """The letters of each word apart; words of one letter stay."""
    return "  ".join(between.join(word) if len(word) > 2 and word.isalpha() else word for word in text.split(" "))


def _inside(text: str, what: str, end: str = "") -> str:
    """Something put into each word of four letters or more."""
    return re.sub(r"[^\W\d_]{4,}", lambda word: f"{word[0][:2]}{what}{word[0][2:]}{end}", text)


SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "plain": str,
    "capitals": str.upper,
    "title": str.title,
    "underscores": lambda text: text.replace(" ", "_"),
    "hyphens": lambda text: text.replace(" ", "-"),
    "together": lambda text: text.replace(" ", ""),
    "weights": lambda text: f"(({text}:1.2))",
    "brackets-inside": lambda text: _inside(text, "(", ")"),
    "braces-inside": lambda text: _inside(text, "{", "}"),
    "zero-width": lambda text: _inside(text, "\u200b"),
    "soft-hyphens": lambda text: _inside(text, "\u00ad"),
    "full-width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "accents": lambda text: _inside(text, "\u0301"),
    "digits": lambda text: re.sub(r"[^\W\d_]{4,}", lambda word: word[0][0] + word[0][1:].translate(_DIGIT), text),
    "signs": lambda text: re.sub(r"[^\W\d_]{4,}", lambda word: word[0][:-1].translate(_SIGN) + word[0][-1], text),
    "letters-apart": lambda text: _spread(text, " "),
    "letters-dotted": lambda text: _spread(text, "."),
    "letters-underscored": lambda text: _spread(text, "_"),
    "letters-with-commas": lambda text: _spread(text, ", "),
    "cyrillic": lambda text: text.translate(_LOOKALIKE),
    "small-capitals": lambda text: text.translate(_SMALL),
    "script-letters": lambda text: "".join(chr(0x1D4D0 + ord(c) - 71) if "a" <= c <= "z" else c for c in text),
    "regional-letters": lambda text: "".join(chr(0x1F1E6 + ord(c) - 97) if "a" <= c <= "z" else c for c in text),
    "stretched": lambda text: re.sub(r"([aeiou])(?=[^\W\d_])", r"\1\1\1", text, count=1),
    "star": lambda text: re.sub(r"[^\W\d_]{5,}", lambda word: f"{word[0][:2]}*{word[0][3:]}", text),
    "backslash": lambda text: _inside(text, "\\"),
    "no-break-spaces": lambda text: text.replace(" ", "\u00a0"),
    "new-lines": lambda text: f"\n{text}\n",
}
"""How a person may write an entry without changing what is read."""
LATIN_ONLY = frozenset(
    {"digits", "signs", "letters-apart", "letters-dotted", "letters-underscored", "letters-with-commas", "cyrillic"}
    | {"small-capitals", "script-letters", "regional-letters", "stretched", "star", "accents"}
)
ONE_WORD = frozenset({"letters-apart", "letters-dotted", "letters-underscored", "letters-with-commas", "star"})


def fits(spelling: str, entry: str) -> bool:
    """Whether a spelling says something about this entry: many are of letters that have an alphabet."""
    letters = entry.replace(" ", "")
    if spelling == "plain":
        return True
    if spelling in LATIN_ONLY and not (letters.isascii() and letters.isalpha()):
        return False
    if spelling in ONE_WORD and (" " in entry or len(entry) < 5):
        return False
    return spelling not in ("together", "hyphens", "underscores") or letters.isalpha()


def written(entry: str, number: str = "12") -> str:
    """An entry as it stands in a text."""
    thing = written(read_list().things[0]) if "<thing>" in entry else ""
    text = entry.removeprefix("^").replace("*", "").replace("<thing>", thing)
    return re.sub(r"(?<=\w)<n>", f" {number}", text).replace("<n>", number)


def entries_of(language: Language, side: str) -> list[tuple[str, str]]:
    """(id, text) of one side; a form with letters left out stands for those that it leaves out."""
    found = getattr(language, side)
    return [(f"{language.name}.{side}.{number}", written(entry)) for number, entry in enumerate(found)]


def ages_of(language: Language, age: str) -> list[tuple[str, str]]:
    """(id, text) of every way in which a language writes an age, in digits, or in each of its number words."""
    if age != "word":
        return [(f"{language.name}.ages.{n}", written(each, age)) for n, each in enumerate(language.ages)]
    words = [form for entry in language.numbers[1:] for form in entry.split("/")]
    words = words or [number_signs(number) for number in range(1, 18)]
    return [
        (f"{language.name}.ages.{n}.{turn}", re.sub("<n>(?! )", word, each).replace("<n>", word))
        for n, each in enumerate(language.ages)
        for turn, word in enumerate(words)
    ]


def trials(quick: bool = False) -> Iterator[Trial]:
    """Every case of the table, made with the entries of each language."""
    for case in tomllib.loads(TABLE.read_text("utf-8"))["case"]:
        for language in read_list().languages:
            for spelling in case.get("write", ["plain"]):
                made = _made(case, language, spelling)
                yield from (trial for turn, trial in enumerate(made) if not quick or turn % 7 == 0)


def _made(case: Mapping[str, str], language: Language, spelling: str) -> Iterator[Trial]:
    """A case with every entry of a language on one side, and the other side's in turn."""
    places = list(_PLACE.finditer(case["make"]))
    choices = [[each for each in _choices(language, place) if fits(spelling, each[1])] for place in places]
    if not all(choices):
        return
    for turn in range(max(map(len, choices))):
        chosen = [entries[turn % len(entries)] for entries in choices]
        text = case["make"]
        for place, (_, words) in zip(places, chosen, strict=True):
            text = text.replace(place[0], SPELLINGS[spelling](words), 1)
        if case["is"] == "refused" or _is_one_sided(places, chosen):
            yield Trial(" ".join((case["id"], spelling, *(each for each, _ in chosen))), text, case["is"] == "refused")


def _is_one_sided(places: Sequence[re.Match[str]], chosen: Sequence[tuple[str, str]]) -> bool:
    """Whether what is to be drawn has entries of one side alone: a few name both."""
    said = 0
    for place, (_, text) in zip(places, chosen, strict=True):
        if place[2] in ("minor", "sexual"):
            said |= settled(speaks_of(text))
    return said in (0, MINOR, SEXUAL)


def _choices(language: Language, place: re.Match[str]) -> list[tuple[str, str]]:
    other, side, value = place.groups()
    if other:
        languages = read_list().languages
        language = languages[(languages.index(language) + 1) % len(languages)]
    return ages_of(language, value) if side == "age" else entries_of(language, side)


def innocents(quick: bool = False) -> Iterator[tuple[str, str]]:
    """(id, text) of this project's own tags, captions, prompts and documentation."""
    space = read_tag_space(world())
    found: list[tuple[str, str]] = [(f"tag.{n}", tag) for n, tag in enumerate(_tags())]
    found += [(f"prompt.{n}", prompt) for n, prompt in enumerate(random_prompts(space, 500, 0))]
    for example in EXAMPLES:
        captions = sorted((example_folder(example) / "images").glob("*.txt"))
        found += [(f"{example}.{file.stem}", file.read_text("utf-8")) for file in captions]
    for page in sorted({*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "doodle").glob("*.md")}):
        lines = page.read_text("utf-8").splitlines()
        found += [(f"{page.name}:{n}", line) for n, line in zip(count(1), lines, strict=False) if line.strip()]
    yield from (each for turn, each in enumerate(found) if not quick or turn % 7 == 0)


def _tags() -> Iterator[str]:
    space = read_tag_space(world())
    for group in space.groups.values():
        yield from group.tags


def is_refused(text: str) -> bool:
    try:
        refuse(text, "a case")
    except RefusedError:
        return True
    return False


def wrongly_refused(quick: bool = False) -> tuple[list[str], int]:
    """(ids of innocent texts that are refused alone or beside an entry, how many texts were tried)."""
    first = read_list().languages[0]
    beside = {"": "", " beside minor": written(first.minor[0]), " beside sexual": written(first.sexual[0])}
    found, tried = [], 0
    for name, text in innocents(quick):
        for how, entry in beside.items():
            tried += 1
            if is_refused(f"{text}, {entry}"):
                found.append(f"{name}{how}")
    return found, tried


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="every seventh case")
    parser.add_argument("--list", action="store_true", help="name everything that goes wrong, by id")
    asked = parser.parse_args(argv)
    start = time.process_time()
    wanted = list(trials(asked.quick))
    verdicts = [(trial, is_refused(trial.text)) for trial in wanted]
    missed = [trial.id for trial, refused in verdicts if trial.refused and not refused]
    wrong = [trial.id for trial, refused in verdicts if refused and not trial.refused]
    refusals = sum(trial.refused for trial in wanted)
    texts, tried = wrongly_refused(asked.quick)
    seconds = time.process_time() - start
    print(f"{refusals} cases to refuse: {len(missed)} missed")
    print(f"{len(wanted) - refusals} cases to draw: {len(wrong)} refused")
    print(f"{tried} innocent texts, alone and beside an entry: {len(texts)} refused")
    shown = (missed, wrong, texts) if asked.list else (missed[:10], wrong[:10], texts[:10])
    for what, ids in zip(("missed", "refused", "refused"), shown, strict=True):
        for name in ids:
            print(f"  {what}: {name}")
    print(f"{(len(wanted) + tried) / seconds:.0f} texts a second of processor time, {machine()}")
    print(ratio_line("missed", len(missed) / refusals, at_most=MISSED_GOAL))
    print(ratio_line("composed cases refused wrongly", len(wrong) / (len(wanted) - refusals), at_most=WRONG_GOAL))
    print(ratio_line("innocent texts refused wrongly", len(texts) / tried, at_most=WRONG_GOAL))
    return 0


if __name__ == "__main__":
    sys.exit(main())
