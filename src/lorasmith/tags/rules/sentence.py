"""T12: a sentence that a captioning program wrote stands among the tags, or in their place."""

from __future__ import annotations

from lorasmith.tags.rows import Tags
from lorasmith.tags.rules.rule import CaptionRule, RuleResult, Ruling, Scene, View, Work, image_by_image
from lorasmith.tags.words import split_tags, tag_key


def prepare(scene: Scene) -> Work | None:
    """Put the sentence before or after the tags, or instead of them; a caption that is the sentence is left."""
    where = scene.settings.sentence
    if where == "none":
        return None

    def work(tags: Tags, view: View) -> RuleResult | None:
        if not view.sentence:
            return None
        parts = split_tags(view.sentence)
        if not parts or set(map(tag_key, parts)) <= set(map(tag_key, tags)):
            return None
        taken = set(map(tag_key, parts))
        rest = () if where == "instead" else tuple(tag for tag in tags if tag_key(tag) not in taken)
        after = rest + parts if where == "after" else parts + rest

        def tell() -> tuple[Ruling, ...]:
            dropped = (Ruling(tag, "dropped", "the sentence says it") for tag in tags if tag not in rest)
            return (*dropped, *(Ruling(part, "added") for part in parts))

        return RuleResult(after, tell)

    return image_by_image(work, lambda _, views: views.told)


RULE = CaptionRule("sentence", "T12", "part of the sentence that describes the image", prepare)
