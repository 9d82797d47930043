"""T1, T2, T3: the trigger stands first, is unique, and has a form that contains it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lorasmith.dataset.findings import Finding
from lorasmith.tags.knowledge import is_common
from lorasmith.tags.review.check import Case, TagCheck, images
from lorasmith.tags.rules.rule import Scene
from lorasmith.tags.rules.trigger import opening, word_of
from lorasmith.tags.tokens import count_tokens, is_token
from lorasmith.tags.typos import find_suspects, find_typos
from lorasmith.tags.words import join_tags, tag_key

_MANY_TOKENS = 4


def check_place(case: Case) -> Iterator[Finding]:
    """Warnings for captions that do not start with the trigger, and for misspelt ones; a note for the missing."""
    for scene, items in case.subjects:
        if not scene.trigger:
            continue
        front = opening(scene)
        found = word_of(scene.trigger[0])
        late = [
            item.name
            for item in items
            if case.captions[item.name][: len(front)] != front
            and not found.search(join_tags(case.captions[item.name][:1]).casefold())
        ]
        if late:
            message = f"{images(len(late))}: the caption does not start with the trigger {join_tags(front)}."
            yield Finding("T1", "warning", message, 'Take "trigger" out of [tags] off, or put it last.', tuple(late))
        yield from _check_spelling(case, scene)


def _check_spelling(case: Case, scene: Scene) -> Iterator[Finding]:
    trigger = scene.trigger[0]
    written = [
        (item.name, frozenset(map(tag_key, case.inputs.raw[item.name].tags)))
        for item in case.inputs.dataset.items
        if case.inputs.scene(item).trigger == scene.trigger and case.inputs.raw[item.name].source in ("caption", "both")
    ]
    typos = find_typos(trigger, [keys for _, keys in written], case.inputs.known)
    for typo in typos:
        names = tuple(name for name, keys in written if typo in keys)
        message = f'"{typo}" in {images(len(names))} is nearly the trigger "{trigger}".'
        advice = "It is taken for the trigger (rule typos). If it is another word, name the rule in [tags] off."
        yield Finding("T1", "warning", message, advice, names)
    for suspect in find_suspects(trigger, [keys for _, keys in written], case.inputs.known):
        names = tuple(name for name, keys in written if suspect in keys)
        message = f'"{suspect}" in {images(len(names))} is nearly the trigger "{trigger}", and is left as it is.'
        yield Finding("T1", "note", message, "If it is the trigger misspelt, mend those captions.", names)
    right = tag_key(trigger)
    within = word_of(trigger)
    lacking = tuple(
        name
        for name, keys in written
        if right not in keys and keys.isdisjoint(typos) and not any(within.search(key) for key in keys)
    )
    if lacking and len(lacking) < len(written) / 2:
        message = f'{images(len(lacking))}: the caption lacks the trigger "{trigger}" that the others have.'
        yield Finding("T1", "note", message, "It is put in front; see whether the subject is really there.", lacking)


def check_unique(case: Case) -> Iterator[Finding]:
    """Warnings for a trigger that a tagger, the base, another member or another adapter knows already."""
    triggers = {trigger: name for name, trigger in _triggers(case).items()}
    known_tags = case.inputs.known | frozenset(map(tag_key, case.vocabulary.tags))
    for trigger, name in triggers.items():
        of = f" of {name}" if name else ""
        key = tag_key(trigger)
        advice = "Choose a word that nothing else uses, such as its name with vowels left out: [lora] trigger."
        if key in known_tags or is_common(key):
            yield Finding("T2", "warning", f'the trigger "{trigger}"{of} is a tag that the base knows already.', advice)
        elif case.vocabulary.tokens:
            yield from _check_tokens(trigger, of, case.vocabulary.tokens, advice)
        if key in map(tag_key, case.vocabulary.library):
            other = next(name for word, name in case.vocabulary.library.items() if tag_key(word) == key)
            yield Finding("T2", "warning", f'the trigger "{trigger}"{of} is also that of {other}.', advice)
        for longer in triggers:
            if longer != trigger and word_of(trigger).search(tag_key(longer)):
                message = f'the trigger "{trigger}"{of} is part of "{longer}": calling one calls the other.'
                yield Finding("T2", "warning", message, "Give every member a trigger that no other one contains.")


def _check_tokens(trigger: str, of: str, tokens: Mapping[str, int], advice: str) -> Iterator[Finding]:
    count = count_tokens(trigger, tokens)
    if is_token(trigger, tokens):
        yield Finding("T2", "warning", f'the trigger "{trigger}"{of} is one word that the base knows well.', advice)
    elif count > _MANY_TOKENS:
        message = f'the trigger "{trigger}"{of} is {count} tokens long: it takes room and is learnt more slowly.'
        yield Finding("T2", "note", message, "A short word of two or three tokens does better.")


def _triggers(case: Case) -> Mapping[str, str]:
    """Trigger by member; "" for a project without a bundle."""
    bundle = case.inputs.project.bundle
    if bundle:
        return {name: member.trigger for name, member in bundle.items()}
    return {"": case.inputs.project.lora.trigger}


def check_form(case: Case) -> Iterator[Finding]:
    """Warnings for a prefix or a core tag without the trigger."""
    settings = case.inputs.settings
    for key, text in (("prefix", settings.prefix), ("core", settings.core)):
        if not text or (key == "core" and text.casefold() == "auto"):
            continue
        for scene, _ in case.subjects:
            if "NAME" not in text and scene.trigger and not word_of(scene.trigger[0]).search(text.casefold()):
                message = f'[tags] {key} = "{text}" does not contain the trigger "{scene.trigger[0]}".'
                yield Finding("T3", "warning", message, "Write NAME where the trigger shall stand: photo of NAME.")


PLACE = TagCheck("T1", "the trigger comes first in every caption", check_place)
UNIQUE = TagCheck("T2", "the trigger is unique", check_unique)
FORM = TagCheck("T3", "the core tag contains the trigger", check_form)
