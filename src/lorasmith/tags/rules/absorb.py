"""T4: what makes up the subject is left out, so that the trigger takes it over."""

from __future__ import annotations

from collections.abc import Callable

from lorasmith.project import SubjectKind
from lorasmith.tags.knowledge import absorbed_features, feature_of, pattern
from lorasmith.tags.rules.rule import CaptionRule, Ruling, Scene, Work, matcher, tag_by_tag
from lorasmith.tags.words import tag_key

_AUTOMATIC, _PEOPLE = 0.5, 0.75
"""The dial for a tagger's tags where nothing is set: of a person the hair belongs to the trigger, too."""


def prepare(scene: Scene) -> Work | None:
    """Drop what [tags] absorb names, and the features that the dial gives to the trigger, but not the rare ones."""
    listed, featured = matcher(scene.settings.absorb), is_featured(scene)
    if not scene.settings.absorb and featured is None:
        return None

    def judge(tag: str) -> Ruling | None:
        if listed(tag):
            return Ruling(tag, "dropped", "listed under absorb: the trigger takes it over")
        key = tag_key(tag)
        feature = featured(key) if featured and not scene.is_rare(key) else None
        return Ruling(tag, "dropped", f"{feature} of the subject: the trigger takes it over") if feature else None

    return tag_by_tag(judge)


def dial(scene: Scene) -> float:
    """How faithful the trigger shall be, in 0..1: as set; else for a tagger's tags half way, for people faithful, and
    not at all for captions that somebody wrote."""
    if scene.settings.faithful is not None:
        return scene.settings.faithful
    if scene.source != "tagger":
        return 0.0
    return _PEOPLE if scene.subject in (SubjectKind.CHARACTER, SubjectKind.COUPLE) else _AUTOMATIC


def is_featured(scene: Scene) -> Callable[[str], str | None] | None:
    """A test which absorbed feature of the subject a key belongs to; None when none is absorbed."""
    features, spared = absorbed_features(scene.subject, dial(scene)), matcher(scene.settings.keep)
    if not features:
        return None

    any_of = pattern(tuple(tag for feature in features for tag in feature.tags))

    def featured(key: str) -> str | None:
        if any_of is None or not any_of.fullmatch(key) or spared(key):
            return None
        feature = feature_of(key, features)
        return feature.name if feature else None

    return featured


RULE = CaptionRule("absorb", "T4", "part of the subject: the trigger absorbs it", prepare)
