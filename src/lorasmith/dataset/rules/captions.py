"""D17: every image has a caption, every caption an image, and the stem ties them."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding, Rule
from lorasmith.dataset.folders import class_words, printable
from lorasmith.dataset.reading import Item
from lorasmith.remedies import Action, Do, Sentence

_TAG = Sentence("Write captions, or let a tagger do it: ", Do(Action.TAG, project="PROJECT", tagger="doodle"), ".")


def check(evidence: Evidence) -> Iterator[Finding]:
    """Warnings: no caption and no tags, an empty or unreadable caption, an orphan, two images with one stem."""
    for problem in evidence.problems:
        if problem.kind == "caption":
            message = f"{problem.name}: {problem.message}"
            yield Finding("D17", "warning", message, "It counts as without caption until then.", (problem.name,))
    broken = {problem.name for problem in evidence.problems if problem.kind == "caption"}
    bare = [item for item in evidence.items if _has_nothing(item, evidence) and item.name not in broken]
    yield from _without(evidence, tuple(item.name for item in bare if item.caption is None), "have no caption")
    yield from _without(evidence, tuple(item.name for item in bare if item.caption == ""), "have an empty caption")
    yield from _orphans(evidence)
    yield from _shared_stems(evidence)


def _has_nothing(item: Item, evidence: Evidence) -> bool:
    words = class_words(item.folder)
    tags = evidence.tags.get(item.name, ())
    return not item.caption and (not tags or tags == (words,))


def _without(evidence: Evidence, names: tuple[str, ...], what: str) -> Iterator[Finding]:
    if not names:
        return
    count = len(names)
    whole = count == len(evidence.items)
    subject = f"all {count} images" if whole else f"{count} of {len(evidence.items)} images"
    rest = "they are trained on the trigger and their folder's words alone."
    yield Finding("D17", "warning", f"{subject} {what}: {rest}", _TAG, names)


def _orphans(evidence: Evidence) -> Iterator[Finding]:
    if evidence.orphans:
        names = tuple(printable(path.name) for path in evidence.orphans)
        message = "1 caption has no image." if len(names) == 1 else f"{len(names)} captions have no image."
        advice = "Give image and caption the same name before the dot, or remove the caption."
        yield Finding("D17", "warning", message, advice, names)


def _shared_stems(evidence: Evidence) -> Iterator[Finding]:
    by_stem: dict[tuple[str, str], list[str]] = {}
    for item in evidence.items:
        if item.caption is not None:
            by_stem.setdefault((item.name.rpartition(".")[0], item.caption), []).append(item.name)
    for names in by_stem.values():
        if len(names) > 1:
            message = f"{' and '.join(names)} share one caption file."
            yield Finding("D17", "warning", message, "Rename all but one of them.", tuple(names))


RULE = Rule("D17", "every image has a caption, every caption an image", check)
