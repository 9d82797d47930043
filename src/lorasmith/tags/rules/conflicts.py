"""T9: tags that exclude each other do not stand together."""

from __future__ import annotations

from lorasmith.tags.knowledge import EXCLUSIONS, SIDES, find_conflicts
from lorasmith.tags.rows import Mask, TagRows, Tags, distinct
from lorasmith.tags.rules.rule import CaptionRule, RuleResult, Scene, View, Views, Work, drop, image_by_image
from lorasmith.tags.words import tag_key

_MOST = max(len(rule.sides) for rule in EXCLUSIONS)
_SIDES = {key: [number * _MOST + side for number, side in places] for key, places in SIDES.items()}


def prepare(scene: Scene) -> Work | None:
    """Of excluding tags the likelier side stays, by the tagger's scores; without scores all stay, and are reported.
    The parts of a collage may differ."""

    def work(tags: Tags, view: View) -> RuleResult | None:
        if not view.scores or view.collage:
            return None
        dropped: dict[str, str] = {}
        for _, rivals in find_conflicts(tuple(map(tag_key, tags))):
            best, losers = weigh(rivals, view, scene.known)
            if best is not None:
                why = f"excluded by {best}, which is likelier ({view.likelihood[best]:.2f})"
                dropped |= {tag: why for tag in tags if tag_key(tag) in losers}
        return drop(tags, dropped)

    return image_by_image(work, _touched)


def _touched(rows: TagRows, views: Views) -> Mask:
    """By row whether its tags are on two sides of an exclusion."""
    owners, sides = rows.linked(_SIDES)
    taken = distinct(owners * len(EXCLUSIONS) * _MOST + sides) // _MOST
    return views.scored & rows.of_rows(taken[1:][taken[1:] == taken[:-1]] // len(EXCLUSIONS))


def weigh(rivals: Tags, view: View, known: frozenset[str]) -> tuple[str | None, Tags]:
    """(the likeliest of tags that exclude each other, all that it excludes); (None, ()) when scores do not tell:
    they are equal, or the tagger does not know one of the tags."""
    if known and not known.issuperset(rivals):
        return None, ()
    ranked = sorted(rivals, key=lambda key: -view.likelihood.get(key, 0.0))
    best, second = (view.likelihood.get(key, 0.0) for key in ranked[:2])
    if not best > second:
        return None, ()
    return ranked[0], tuple(rival for rival in ranked[1:] if _excludes(ranked[0], rival))


def _excludes(one: str, other: str) -> bool:
    sides = dict(SIDES[one])
    return any(number in sides and sides[number] != side for number, side in SIDES[other])


RULE = CaptionRule("conflicts", "T9", "excluded by a likelier tag", prepare)
