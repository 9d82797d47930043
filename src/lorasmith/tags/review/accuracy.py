"""T7, T9: tags agree with the picture and with each other."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.findings import Finding
from lorasmith.remedies import Action, Do, Sentence
from lorasmith.tags.knowledge import PRAISE, find_conflicts
from lorasmith.tags.measures import is_collage
from lorasmith.tags.review.check import Case, TagCheck, images
from lorasmith.tags.rules.doubtful import find_doubtful
from lorasmith.tags.words import tag_key

_DOUBT = 0.02


def check_quality(case: Case) -> Iterator[Finding]:
    """Warnings for poor images that are praised, or whose caption does not say that they are poor."""
    poor = case.inputs.poor
    praised = tuple(name for name in poor if not PRAISE.isdisjoint(case.keys[name]))
    if praised:
        message = f"{images(len(praised))} of low quality praised as {_words(case, praised)}."
        yield Finding("T7", "warning", message, "Take that tag away: [tags] undesired, or mend the caption.", praised)
    wanted = frozenset(map(tag_key, case.inputs.settings.quality))
    silent = tuple(name for name in poor if wanted.isdisjoint(case.keys[name]))
    if silent and case.inputs.settings.describe == "everything":
        message = f"{images(len(silent))} of low quality whose caption does not say so."
        explain = Do(Action.TAG, project="PROJECT", explain="IMAGE")
        advice = Sentence("See which rule takes the words away: ", explain, ".")
        yield Finding("T7", "warning", message, advice, silent)


def _words(case: Case, names: tuple[str, ...]) -> str:
    return ", ".join(sorted({key for name in names for key in case.keys[name] & PRAISE}))


def check_agreement(case: Case) -> Iterator[Finding]:
    """Warnings for tags that exclude each other, where no score decides, and for suspected false positives.
    The parts of a collage differ rightly."""
    against: dict[str, list[str]] = {}
    for item in case.inputs.dataset.items:
        if is_collage(item):
            continue
        for _, rivals in find_conflicts([tag_key(tag) for tag in case.captions[item.name]]):
            against.setdefault(" with ".join(rivals), []).append(item.name)
    for together, names in against.items():
        message = f"{together}: tags that exclude each other, in {images(len(names))}."
        run = Do(Action.TAG, project="PROJECT", tagger="NAME")
        advice = Sentence("Mend the caption, or run a tagger: its scores decide (", run, ").")
        yield Finding("T9", "warning", message, advice, tuple(names))
    yield from _check_doubts(case)


def _check_doubts(case: Case) -> Iterator[Finding]:
    """What a caption says and a tagger that knows the tag does not see at all."""
    doubted: dict[str, list[str]] = {}
    for item in case.inputs.dataset.items:
        if is_collage(item):
            continue
        raw = case.inputs.raw[item.name]
        if raw.source == "caption" and raw.scores:
            own = tuple(tag for tag in case.captions[item.name] if tag in raw.tags)
            for tag in find_doubtful(own, case.inputs.view(item), case.inputs.known, _DOUBT):
                doubted.setdefault(tag_key(tag), []).append(item.name)
    for key, names in doubted.items():
        message = f'"{key}" in {images(len(names))}: the tagger knows it and gives it less than {_DOUBT}.'
        advice = f"Look, and take it out of the caption; or let the tagger decide: [tags] doubt = {_DOUBT}."
        yield Finding("T9", "warning", message, advice, tuple(names))


QUALITY = TagCheck("T7", "images of low quality say so", check_quality)
AGREEMENT = TagCheck("T9", "tags do not contradict each other or the picture", check_agreement)
