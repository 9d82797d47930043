"""The order of the tags: as they come, the likeliest first, from the subject to its surroundings, or by name."""

from __future__ import annotations

from lorasmith.tags.knowledge import place_of
from lorasmith.tags.rows import TagRows, Tags
from lorasmith.tags.rules.rule import CaptionRule, RuleResult, Ruling, Scene, View, Views, Work, image_by_image
from lorasmith.tags.words import tag_key


def prepare(scene: Scene) -> Work | None:
    """Sort as [tags] arrange says; tags that are alike in it keep their order."""
    if scene.settings.arrange == "kept":
        return None
    if scene.settings.arrange == "score":
        return image_by_image(_by_score, lambda _, views: views.scored)
    return _by_place() if scene.settings.arrange == "groups" else _by_name()


def _by_score(tags: Tags, view: View) -> RuleResult | None:
    return _arranged(tags, tuple(sorted(tags, key=lambda tag: -view.likelihood.get(tag_key(tag), 1.0))))


def _by_place() -> Work:
    def place(tag: str) -> int:
        return place_of(tag_key(tag))

    def all_rows(rows: TagRows, views: Views) -> TagRows:
        del views
        return rows.sorted_by({number: place(rows.numbers.texts[number]) for number in rows.present})

    return Work(lambda tags, _: _arranged(tags, tuple(sorted(tags, key=place))), all_rows)


def _by_name() -> Work:
    def all_rows(rows: TagRows, views: Views) -> TagRows:
        del views
        keys = {number: tag_key(rows.numbers.texts[number]) for number in rows.present}
        places = {key: place for place, key in enumerate(sorted(set(keys.values())))}
        return rows.sorted_by({number: places[key] for number, key in keys.items()})

    return Work(lambda tags, _: _arranged(tags, tuple(sorted(tags, key=tag_key))), all_rows)


def _arranged(before: Tags, after: Tags) -> RuleResult | None:
    return RuleResult(after, lambda: _tell_moves(before, after)) if after != before else None


def _tell_moves(before: Tags, after: Tags) -> tuple[Ruling, ...]:
    return tuple(Ruling(tag, "moved") for tag, old in zip(after, before, strict=True) if tag != old)


RULE = CaptionRule("arrange", "T13", "put in the order that [tags] arrange asks for", prepare)
