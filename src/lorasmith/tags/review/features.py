"""T4, T6, T8, T10: the features of the subject: absorbed, unified, rare, and not shared in a bundle."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.findings import Finding
from lorasmith.tags.knowledge import FEATURES, UNIFIED, feature_of
from lorasmith.tags.review.check import Case, TagCheck, images, listed
from lorasmith.tags.rules.rule import matcher
from lorasmith.tags.rules.unify import find_unified
from lorasmith.tags.settings import FAITHFUL
from lorasmith.tags.words import tag_key

_NEARLY_ALL = 0.8
_ENOUGH = 5


def check_absorbed(case: Case) -> Iterator[Finding]:
    """A note when features of the subject stay in nearly all captions and nobody has decided that they shall."""
    settings = case.inputs.settings
    if settings.faithful is not None or "absorb" in settings.off:
        return
    wanted = matcher(settings.keep)
    for scene, items in case.subjects:
        if len(items) < _ENOUGH:
            continue
        shares = case.shares(items)
        own = frozenset(map(tag_key, scene.trigger))
        left = {
            key: feature.level
            for key, share in sorted(shares.items(), key=lambda entry: (-entry[1], entry[0]))
            if share >= _NEARLY_ALL
            and key not in own
            and not wanted(key)
            and (feature := feature_of(key, FEATURES[scene.subject])) is not None
        }
        if left:
            place = next(name for name, value in FAITHFUL.items() if value >= max(left.values()))
            names = listed([f"{key} ({shares[key]:.0%})" for key in left])
            message = f"features of the subject stay in the captions: {names}."
            advice = (
                f'The trigger does not learn what captions say. Absorb them ([tags] faithful = "{place}", or absorb), '
                'or keep them promptable on purpose ([tags] faithful = "flexible", or keep).'
            )
            yield Finding("T4", "note", message, advice)


def check_unified(case: Case) -> Iterator[Finding]:
    """A warning when hair or eyes shall get one tag but the images do not agree on them."""
    for feature in case.inputs.settings.unify:
        for scene, items in case.subjects:
            seen = [key for key in scene.counts if feature_of(key, (UNIFIED[feature],))]
            if seen and not find_unified(scene, UNIFIED[feature]):
                message = f"no {feature} tag is in {scene.settings.consistent:.0%} of {images(len(items))}."
                advice = f"Nothing is unified. Take {feature} out of [tags] unify, or see whether all show the subject."
                yield Finding("T6", "warning", message, advice)


def check_rare(case: Case) -> Iterator[Finding]:
    """A warning when the user's list absorbs what is in few images only: it could no longer be prompted."""
    settings = case.inputs.settings
    absorbed = matcher(settings.absorb)
    for scene, items in case.subjects if settings.absorb else ():
        rare = [
            f"{key} ({count} of {len(items)})"
            for key, count in scene.counts.items()
            if absorbed(key) and count < settings.rare_images and scene.share(key) < settings.consistent
        ]
        if rare:
            message = f"[tags] absorb takes away tags of few images: {listed(rare)}."
            advice = (
                "What is not consistent should keep its tag, so that it is not bound to the trigger: narrow the list."
            )
            yield Finding("T8", "warning", message, advice)


def check_shared(case: Case) -> Iterator[Finding]:
    """A warning for every feature tag that two members of a bundle have in most of their captions."""
    least = case.inputs.settings.consistent
    owners: dict[str, list[str]] = {}
    for scene, items in case.subjects:
        if items[0].member is None:
            continue
        for key, share in case.shares(items).items():
            if share >= least and feature_of(key, FEATURES[scene.subject]):
                owners.setdefault(key, []).append(items[0].member)
    for key, members in owners.items():
        if len(members) > 1:
            message = f'{" and ".join(members)} share the feature tag "{key}": it will mix them up.'
            advice = "Give each its own (T6: [tags] unify), or let the triggers absorb it (T4: [tags] absorb)."
            yield Finding("T10", "warning", message, advice)


ABSORBED = TagCheck("T4", "what makes up the subject is left to the trigger", check_absorbed)
UNIFIED_TAGS = TagCheck("T6", "one tag for one character's hair and eyes", check_unified)
RARE = TagCheck("T8", "elements of few images keep their tags", check_rare)
SHARED = TagCheck("T10", "no feature tag is shared in a bundle", check_shared)
