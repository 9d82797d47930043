"""T6: a character's hair and eyes get one tag of their own each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lorasmith.tags.knowledge import COLOURS, UNIFIED, Feature, feature_of
from lorasmith.tags.rows import TagRows, Tags
from lorasmith.tags.rules.rule import CaptionRule, RuleResult, Ruling, Scene, View, Views, Work
from lorasmith.tags.words import tag_key


def prepare(scene: Scene) -> Work | None:
    """Replace the consistent tags of [tags] unify: `blonde hair, long hair` by `blonde_NAME_hair`."""
    replaced: dict[str, str] = {}
    for name in scene.settings.unify:
        replaced.update(find_unified(scene, UNIFIED[name]))
    if not replaced:
        return None

    def work(tags: Tags, view: View) -> RuleResult | None:
        del view
        rulings: list[Ruling] = []
        after: list[str] = []
        for tag in tags:
            new = replaced.get(tag_key(tag))
            if new is None:
                after.append(tag)
            elif new in after:
                rulings.append(Ruling(tag, "dropped", f"{new} says it"))
            else:
                after.append(new)
                rulings.append(Ruling(tag, "changed", became=new))
        return RuleResult(tuple(after), lambda: tuple(rulings)) if rulings else None

    def all_rows(rows: TagRows, views: Views) -> TagRows:
        del views
        wanted = {number: new for number, key in enumerate(rows.numbers.key_texts) if (new := replaced.get(key))}
        if not wanted:
            return rows
        own = rows.numbers.of(wanted.values())
        became = np.full(len(rows.numbers.key_texts), -1)
        became[list(wanted)] = own
        here = became[rows.keys] >= 0
        tags = np.where(here, became[rows.keys], rows.tags)
        alike = np.zeros(len(rows.numbers.texts), bool)
        alike[own] = True
        first = rows.firsts(alike[tags], tags)
        return rows.changed(np.where(here & ~first, -1, tags))

    return Work(work, all_rows)


def find_unified(scene: Scene, feature: Feature) -> Mapping[str, str]:
    """Key -> the subject's own tag, for the tags of a feature that are consistent; empty when none is.

    The own tag is made of the most frequent one, a coloured one if there is one.
    """
    least = max(1, scene.settings.consistent * scene.images)
    found = {key: n for key, n in scene.counts.items() if n >= least and feature_of(key, (feature,))}
    if not found:
        return {}
    coloured = [key for key in found if key.rpartition(" ")[0] in COLOURS]
    first = max(coloured or found, key=lambda key: (found[key], key))
    ending = f" {feature.name}"
    kind = first.removesuffix(ending).replace(" ", "_")
    return dict.fromkeys(found, f"{kind}_{scene.word}_{feature.name}")


RULE = CaptionRule("unify", "T6", "one tag of the character's own instead", prepare)
