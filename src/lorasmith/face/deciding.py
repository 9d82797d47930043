"""Decisions on images as a user makes them: which images, what is decided, what makes no sense."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from lorasmith.dataset.choices import keep_images, reject_images
from lorasmith.dataset.decisions import MOST_REPEATS, Box, Decision, Role, Verb
from lorasmith.dataset.derive import check_box
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import UsageError
from lorasmith.project import Project


def decide(
    project: Project, dataset: Dataset, chosen: Sequence[Item], verb: Verb, value: Any = None, reason: str = ""
) -> Sequence[Decision]:
    """The decisions that say `verb` of the `chosen` images, ready to be recorded as one step.

    `value`: of role "primary", "supporting" or None; of repeats 1 to 999 or None; of crop (left, top, right, bottom) in
    pixels or None; of label and unlabel a few words. Raises UsageError, RefusedError.
    """
    if verb == "keep":
        return keep_images(dataset, chosen, reason)
    if verb == "reject":
        return reject_images(dataset, chosen, reason)
    if verb == "crop":
        return crop_images(chosen, value, reason)
    if verb == "label":
        return label_images(project, dataset, chosen, read_label(str(value)))
    if verb == "unlabel":
        return unlabel_images(chosen, read_label(str(value)))[0]
    if verb == "distinct":
        return tell_apart(chosen, reason)
    if verb == "repeats":
        return repeat_images(chosen, value, reason)
    if verb == "role":
        return assign_role(chosen, value, reason)
    raise UsageError(f"{verb}: nobody decides this about images that are there.", field="verb")


def decide_each(items: Iterable[Item], verb: Verb, value: Any, reason: str = "") -> list[Decision]:
    """The same decision on each image; identical copies have it once."""
    contents = {item.facts.sha256: item for item in reversed(list(items))}
    return [Decision(sha, verb, value, reason, name=item.name) for sha, item in reversed(contents.items())]


def assign_role(chosen: Sequence[Item], role: Role | None, reason: str = "") -> list[Decision]:
    """Images carry the subject ("primary"), refine it, or have no role (D16)."""
    return decide_each(chosen, "role", role, reason)


def repeat_images(chosen: Sequence[Item], times: int | None, reason: str = "") -> list[Decision]:
    """How often an epoch shows images; None: as often as their folder says. Raises UsageError."""
    if times is not None and not (isinstance(times, int) and 1 <= times <= MOST_REPEATS):
        raise UsageError(f"{times} times is out of range.", field="times", hint=f"Give 1 to {MOST_REPEATS}.")
    return decide_each(chosen, "repeats", times, reason)


def crop_images(chosen: Sequence[Item], box: Sequence[int] | None, reason: str = "") -> list[Decision]:
    """Only the part in `box` is meant; None: the whole. Raises UsageError for a box outside of an image."""
    part: Box | None = None
    if box is not None:
        if len(box) != 4:
            raise UsageError("a part has four edges.", field="box", hint="Give left, top, right, bottom in pixels.")
        part = (box[0], box[1], box[2], box[3])
        for item in chosen:
            check_box(part, (item.facts.width, item.facts.height), item.name)
    return decide_each(chosen, "crop", part, reason)


def label_images(project: Project, dataset: Dataset, chosen: Sequence[Item], words: str) -> list[Decision]:
    """Say what images show (D4, D5). Raises RefusedError."""
    refuse_labels(project, dataset, chosen, words)
    return decide_each(chosen, "label", words)


def unlabel_images(chosen: Sequence[Item], words: str) -> tuple[list[Decision], list[Item]]:
    """Take a label away; also gives the images that had it. Raises UsageError where none has."""
    having = [item for item in chosen if words in item.facets]
    if not having:
        known = sorted({facet for item in chosen for facet in item.facets})
        hint = f"They have: {', '.join(known)}." if known else "They have no labels."
        raise UsageError(f'none of these images has the label "{words}".', hint=hint)
    return decide_each(having, "unlabel", words), having


def tell_apart(chosen: Sequence[Item], reason: str = "") -> list[Decision]:
    """Look-alikes are no duplicates of each other (D12). Raises UsageError for a single picture."""
    contents = {item.facts.sha256: item for item in chosen}
    if len(contents) < 2:
        hint = "Name two or more different images." if len(chosen) < 2 else "Identical files cannot be told apart."
        raise UsageError("that is one picture.", hint=hint)
    return [
        Decision(one, "distinct", other, reason, name=contents[one].name)
        for one, other in combinations(sorted(contents), 2)
    ]


def read_label(text: str) -> str:
    """A label with single spaces. Raises UsageError for none, or for several."""
    words = " ".join(text.split())
    if not words or "," in words:
        raise UsageError(f'"{text}" is no label.', field="label", hint="Give one word or a few, without commas.")
    return words


def known_words(project: Project, dataset: Dataset, chosen: Sequence[Item]) -> Mapping[str, tuple[str, ...]]:
    """All that is known of each image in words, by name: raw tags, ratings, labels."""
    from lorasmith.tags.raw import read_raw_tags

    raw = read_raw_tags(project, replace(dataset, items=tuple(chosen)))
    return {item.name: (*raw[item.name].tags, *raw[item.name].ratings, *item.facets) for item in chosen}


def refuse_labels(project: Project, dataset: Dataset, chosen: Sequence[Item], words: str) -> None:
    """Raise RefusedError when `words` and what is known of an image combine minors with sexual content."""
    from lorasmith.tags.refusal import refuse

    for name, said in known_words(project, dataset, chosen).items():
        refuse((words, *said), where=name)
