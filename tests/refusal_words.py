"""What tests of the refusal put together: entries of its one list, by their ids."""

from __future__ import annotations

from lorasmith.tags.refusal.entries import read_list


def entry(reference: str) -> str:
    """An entry as it stands in a text: "english.minor.7"."""
    return read_list().find(reference).removeprefix("^").removesuffix("*")


def refused_words() -> tuple[str, str]:
    """One word of each side."""
    minor, sexual = (
        next(entry(f"english.{side}.{number}") for number, word in enumerate(words) if word.isalpha() and len(word) > 4)
        for side, words in (("minor", read_list().languages[0].minor), ("sexual", read_list().languages[0].sexual))
    )
    return minor, sexual


def age(number: int | str) -> str:
    """An age as English writes it."""
    return read_list().find("english.ages.0").replace("<n>", str(number))
