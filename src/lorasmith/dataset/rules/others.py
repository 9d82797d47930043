"""L1 (ours): every image shows the subject, and not another one.

A character's hair, eyes, skin and the like are the same in all its images, so its tags agree on them, or leave all of
them to the trigger. An image whose tags disagree on two or more shows somebody else, or carries the wrong tags. A style
varies in its subjects: its images agree on the style alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from lorasmith.dataset.coverage import Subset, divide, prefix
from lorasmith.dataset.evidence import Evidence, plain
from lorasmith.dataset.findings import AutoFix, Finding, Rule
from lorasmith.project import SubjectKind

AGREED, NAMED, UNNAMED = 0.75, 0.5, 0.2
"""A set agrees on a feature when so many of the images that name it name the same, and so many name it at all; it
leaves a feature to the trigger when no more than `UNNAMED` name it."""
FEWEST = 8
"""In fewer images there is no majority to speak of."""
_VOTES = {SubjectKind.CHARACTER: 2, SubjectKind.COUPLE: 2, SubjectKind.STYLE: 1}
"""So many features of another subject make a stranger; kinds that are not named have no identity to speak of."""

_COLOURS = frozenset(
    {
        *("black", "brown", "blonde", "blond", "red", "orange", "yellow", "green", "aqua", "turquoise", "teal", "blue"),
        *("purple", "pink", "white", "silver", "gray", "grey", "gold", "golden", "ginger", "auburn", "multicolored"),
    }
)
_CUTS = frozenset(
    {
        *("bald", "mohawk", "ponytail", "twintails", "pigtails", "braid", "braids", "bob cut", "hair bun", "afro"),
        *("double bun", "double buns", "buzz cut", "bowl cut", "dreadlocks", "side braid", "undercut"),
    }
)
_SEXES = frozenset({"1girl", "1boy", "1woman", "1man", "woman", "man", "male", "female"})
_BODIES = frozenset({"elf", "pointy ears", "horns", "wings", "tail", "halo", "fangs"})
_MEDIA = frozenset({"photo", "photorealistic", "realistic", "sketch", "pixel art", "3d", "watercolor", "oil painting"})


def _is_hair_colour(word: str) -> bool:
    return word.endswith(" hair") and word.removesuffix(" hair").split()[-1] in _COLOURS


def _is_haircut(word: str) -> bool:
    return word in _CUTS or (word.endswith(" hair") and not _is_hair_colour(word))


def _is_eye_colour(word: str) -> bool:
    return word.endswith(" eyes") and word.removesuffix(" eyes") in _COLOURS


def _is_body(word: str) -> bool:
    return word in _BODIES or word.endswith((" horns", " wings", " tail")) or word in ("cat ears", "fox ears")


def _is_style(word: str) -> bool:
    return word.endswith((" style", "(style)")) or word in _MEDIA


_FEATURES: Mapping[str, Callable[[str], bool]] = {
    "hair colour": _is_hair_colour,
    "hair": _is_haircut,
    "eyes": _is_eye_colour,
    "skin": lambda word: word.endswith((" skin", "-skinned female", "-skinned male")),
    "sex": lambda word: word in _SEXES,
    "body": _is_body,
    "style": _is_style,
}
_MAKING_UP: Mapping[SubjectKind, tuple[str, ...]] = {SubjectKind.STYLE: ("style",)}
"""What makes up the subject of a kind; all of it where nothing is named."""


def check(evidence: Evidence) -> Iterator[Finding]:
    """A warning for the images that disagree with the great majority of the set on what makes up the subject."""
    if evidence.subject not in _VOTES:
        return
    for subset in divide(evidence):
        found: dict[str, dict[str, str]] = {}
        # A tagger knows no style that is new, so of a style's images only the captions are heard.
        sources = (evidence.tags,) if evidence.subject is SubjectKind.STYLE else (evidence.tags, evidence.seen)
        for source in sources:
            for name, votes in _disagreements(evidence, subset, source).items():
                found.setdefault(name, {}).update(votes)
        odd = {name: votes for name, votes in found.items() if len(votes) >= _VOTES[evidence.subject]}
        if odd:
            yield _report(evidence, subset, odd)


def _report(evidence: Evidence, subset: Subset, odd: Mapping[str, Mapping[str, str]]) -> Finding:
    said = Counter(word for votes in odd.values() for word in votes.values())
    words = ", ".join(word for word, _ in said.most_common(4))
    what = "image shows" if len(odd) == 1 else "images show"
    message = f"{prefix(subset)}{len(odd)} {what} another subject, or carry its tags ({words})."
    advice = "Take them out, or mend their captions if they show the subject after all."
    going = tuple(name for name in odd if name not in evidence.kept)
    return Finding("L1", "warning", message, advice, tuple(odd), fix=AutoFix("reject", going) if going else None)


def _disagreements(
    evidence: Evidence, subset: Subset, source: Mapping[str, tuple[str, ...]]
) -> Mapping[str, Mapping[str, str]]:
    """By image: the features on which it differs from the others, with its own word for each."""
    silent = {plain(word) for word in evidence.trigger.split(",")}
    silent |= {plain(word) for member in evidence.bundle.values() for word in member.trigger.split(",")}
    said = {item.name: {plain(tag) for tag in source.get(item.name, ())} - silent for item in subset.items}
    said = {name: words for name, words in said.items() if words}
    found: dict[str, dict[str, str]] = {}
    if len(said) < max(FEWEST, NAMED * len(subset.items)):
        return found
    vocabulary = frozenset[str]().union(*said.values())
    for feature in _MAKING_UP.get(evidence.subject, tuple(_FEATURES)):
        belongs = _FEATURES[feature]
        telling = frozenset(filter(belongs, vocabulary))
        named = {name: features for name, words in said.items() if (features := words & telling)}
        agreed = _agreement(named, len(said))
        if agreed is None:
            continue
        for name, features in named.items():
            if features.isdisjoint(agreed):
                found.setdefault(name, {})[feature] = min(features)
    return found


def _agreement(named: Mapping[str, set[str]], images: int) -> frozenset[str] | None:
    """What the set agrees on: words, no words (left to the trigger), or None when it varies."""
    if len(named) <= UNNAMED * images:
        return frozenset()
    counts = Counter(word for words in named.values() for word in words)
    agreed = frozenset(word for word, count in counts.items() if count >= AGREED * len(named))
    return agreed if agreed and len(named) >= NAMED * images else None


RULE = Rule("L1", "every image shows the subject, not another one", check)
