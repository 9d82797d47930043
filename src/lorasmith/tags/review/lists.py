"""T5, T13: what the user lists and corrects hits something."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.findings import Finding
from lorasmith.errors import near_names
from lorasmith.remedies import Action, Do, Sentence
from lorasmith.tags.review.check import Case, TagCheck, listed
from lorasmith.tags.rules.images import is_named
from lorasmith.tags.rules.rule import matcher
from lorasmith.tags.words import tag_key


def check_lists(case: Case) -> Iterator[Finding]:
    """A warning for an entry that matches no tag but is nearly one; a note for others that match none."""
    settings = case.inputs.settings
    for key in ("undesired", "absorb", "keep"):
        silent = [entry for entry in getattr(settings, key) if not any(map(matcher((entry,)), case.raw_keys))]
        for entry in silent:
            near = near_names(tag_key(entry), case.raw_keys, 1) if "*" not in entry else []
            if near:
                message = f'[tags] {key}: "{entry}" matches no tag.'
                yield Finding("T5", "warning", message, f'Did you mean "{near[0]}"? A * stands for any letters.')
        rest = [entry for entry in silent if "*" in entry or not near_names(tag_key(entry), case.raw_keys, 1)]
        if rest:
            message = f"[tags] {key}: {listed(rest)}: in none of the images."
            yield Finding("T5", "note", message, "Nothing is wrong with a list that is longer than needed.")


def check_corrections(case: Case) -> Iterator[Finding]:
    """A warning for a correction whose image is not there; a note for one that takes away what is not there."""
    names = [item.name for item in case.inputs.dataset.items]
    for pattern, entry in case.inputs.settings.images.items():
        meant = [name for name in names if is_named(name, pattern)]
        if not meant:
            advice = "See its spelling: the image's path in its folder, or the end of it; * and ? as in a shell."
            yield Finding("T13", "warning", f'[tags.images."{pattern}"] means no image.', advice)
            continue
        said = {tag for item in case.inputs.dataset.items if item.name in meant for tag in case.inputs.start(item)}
        lost = [tag for tag in entry.remove if not any(map(matcher((tag,)), said))]
        if lost:
            explain = Do(Action.TAG, project="PROJECT", explain="IMAGE")
            message = f'[tags.images."{pattern}"] removes {listed(lost)}, which is not among its tags.'
            yield Finding("T13", "note", message, Sentence(explain, " shows them."), tuple(meant))


LISTS = TagCheck("T5", "lists of tags hit something, however they are spelt", check_lists)
CORRECTIONS = TagCheck("T13", "every automatic tag can be corrected", check_corrections)
