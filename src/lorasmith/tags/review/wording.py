"""T11, T12, T14: how a set is described."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.findings import Finding
from lorasmith.project import SubjectKind
from lorasmith.remedies import Action, Do, Sentence
from lorasmith.tags.review.check import Case, TagCheck, images
from lorasmith.tags.rules.trigger import opening
from lorasmith.tags.words import is_sentence, tag_key

_LONG = 55
"""Words: about the 75 tokens that a base reads at once."""
_SINGLE = 5
_NEARLY_ALL = 0.9


def check_style(case: Case) -> Iterator[Finding]:
    """A warning for a style of which some pictures are described and others are not."""
    if case.inputs.project.lora.subject is not SubjectKind.STYLE:
        return
    silent = []
    for item in case.inputs.dataset.items:
        front = frozenset(map(tag_key, opening(case.inputs.scene(item)))) | frozenset(
            map(tag_key, case.inputs.settings.style)
        )
        if case.keys[item.name] <= front:
            silent.append(item.name)
    if silent and len(silent) < len(case.inputs.dataset.items):
        message = f"{images(len(silent))} of a style without tags, the others with."
        run = Do(Action.TAG, project="PROJECT", tagger="NAME")
        advice = Sentence("Describe everything (", run, ') or nothing ([tags] describe = "nothing").')
        yield Finding("T11", "warning", message, advice, tuple(silent))


def check_sentences(case: Case) -> Iterator[Finding]:
    """A warning for sentences that are longer than a base reads; a note for a mixture of sentences and tags."""
    captions = case.captioning.captions
    sentences = [name for name, caption in captions.items() if is_sentence(caption)]
    long = tuple(name for name in sentences if len(captions[name].split()) > _LONG)
    if long:
        message = f"{images(len(long))}: the caption has more than {_LONG} words; what comes late may not be read."
        yield Finding("T12", "warning", message, "Write short, detailed captions.", long)
    bare = {name for name, tags in case.captions.items() if len(tags) > 1 and name not in sentences}
    few = tuple(sentences) if len(sentences) <= len(bare) else tuple(sorted(bare))
    if sentences and bare:
        message = f"sentences in {images(len(sentences))}, tags in {images(len(bare))}."
        yield Finding("T12", "note", message, "Prompts work best in the manner of the captions: choose one.", few)


def check_background(case: Case) -> Iterator[Finding]:
    """A warning when all images come from one picture and no tag names what it shows behind the subject."""
    items = case.inputs.dataset.items
    sources = {source for item in items for source in (item.lineage.sources if item.lineage else [item.facts.sha256])}
    if len(items) < _SINGLE or len(sources) != 1 or case.inputs.project.lora.subject is SubjectKind.BACKGROUND:
        return
    named = [key for key, share in case.shares(items).items() if share >= _NEARLY_ALL and _is_background(case, key)]
    if not named:
        message = f"{images(len(items))} of one picture share its background, and no tag names it."
        yield Finding("T14", "warning", message, 'Give it a name to leave it out by: [tags] background = "crossover".')


def _is_background(case: Case, key: str) -> bool:
    return key.endswith("background") or key in map(tag_key, case.inputs.settings.background)


STYLE = TagCheck("T11", "a style is described wholly or not at all", check_style)
SENTENCES = TagCheck("T12", "sentences are short and detailed", check_sentences)
BACKGROUND = TagCheck("T14", "the background of a single-image set has a name", check_background)
