"""What captions are computed from: raw tags, measures, and the rules in their order."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import ProjectError, did_you_mean
from lorasmith.project import Project
from lorasmith.tags.categories import QUALITY, RATING
from lorasmith.tags.measures import find_poor, is_collage
from lorasmith.tags.raw import Part, RawTable, read_raw_tags
from lorasmith.tags.refusal import is_harmless, refuse_images, speak_of
from lorasmith.tags.rows import TagRows, Tags
from lorasmith.tags.rules import RULES
from lorasmith.tags.rules.rule import CaptionRule, Scene, Source, View, Views
from lorasmith.tags.settings import TagsTable, read_settings
from lorasmith.tags.store import read_vocabulary
from lorasmith.tags.words import split_tags, tag_key

_NO_TAGS = frozenset((RATING, QUALITY))


@dataclass(frozen=True)
class CaptionInputs:
    """All that captions are computed from: raw tags and measures by `Item.name`, and the rules in their order."""

    project: Project
    dataset: Dataset
    settings: TagsTable
    raw: RawTable
    rules: tuple[CaptionRule, ...]
    _scenes: dict[tuple[str | None, Source], Scene] = field(default_factory=dict, repr=False)

    @cached_property
    def poor(self) -> Mapping[str, str]:
        """Why images count as of low quality (T7)."""
        return find_poor(self.project, self.dataset, self.settings)

    @cached_property
    def known(self) -> frozenset[str]:
        """The `tag_key`s of the tags that the stored tagger knows."""
        return frozenset(map(tag_key, read_vocabulary(self.project, self.settings.tagger)))

    @cached_property
    def members(self) -> Mapping[str | None, tuple[Item, ...]]:
        """The items of each member of the bundle; of None when there is no bundle, or they belong to no member."""
        members: dict[str | None, list[Item]] = {}
        for item in self.dataset.items:
            members.setdefault(item.member, []).append(item)
        return {name: tuple(items) for name, items in members.items()}

    def scene(self, item: Item) -> Scene:
        """The scene of an image: its subject, and where its tags came from."""
        return self.scene_of(item.member, self.raw[item.name].source)

    def scene_of(self, member: str | None, source: Source) -> Scene:
        """The scene of a member's images whose tags have this source."""
        scene = self._scenes.get((member, source))
        if scene is None:
            trigger = self.project.bundle[member].trigger if member is not None else self.project.lora.trigger
            scene = self._scenes[member, source] = Scene(
                settings=self.settings,
                subject=self.project.lora.subject,
                trigger=split_tags(trigger),
                source=source,
                crowd=self.raw.crowds[member],
                known=self.known,
            )
        return scene

    def rows(self, part: Part, *, sure: bool) -> TagRows:
        """The tags that the first rule sees of a part of the images; where they are `sure`, only those from the
        thresholds on."""
        crowd = self.raw.crowds[part.member].rows
        if sure:
            whole = len(crowd) == len(part.numbers)
            return crowd if whole else crowd.taken(np.array(part.numbers, np.int64))
        return TagRows.of(crowd.numbers, [self.start(self.dataset.items[place]) for place in part.places])

    def views(self, part: Part) -> Views:
        """What the rules may see of a part of the images."""
        poor = self.poor
        return Views(
            lambda row: self.view(self.dataset.items[part.places[row]]),
            names=part.names,
            taggers=part.taggers,
            scored=part.scored,
            told=part.told,
            poor=[name in poor for name in part.names],
        )

    def view(self, item: Item) -> View:
        """What the rules may see of an image."""
        raw = self.raw[item.name]
        poor = self.poor.get(item.name, "")
        return View(item.name, raw.scores, raw.categories, raw.sentence, poor, is_collage(item), raw.tagger)

    def start(self, item: Item) -> Tags:
        """The tags that the first rule sees: all that the tagger gave, or the caption's."""
        raw = self.raw[item.name]
        if raw.source != "tagger" or not raw.scores:
            return raw.tags
        sure, categories = frozenset(raw.tags), raw.categories
        unsure = [tag for tag in raw.scores if tag not in sure and categories.get(tag) not in _NO_TAGS]
        return (*raw.tags, *unsure)


@contextmanager
def without_collecting() -> Iterator[None]:
    """Many small tuples and no cycles are about to be made: looking for cycles among them takes a seventh of it all."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()  # what was made joins the old objects, unsearched: together these two calls cost nothing
            gc.unfreeze()
            gc.enable()


@without_collecting()
def read_inputs(project: Project, dataset: Dataset, *, kohya_compat: bool = False) -> CaptionInputs:
    """Read what captions are computed from.

    Raises RefusedError when raw tags, labels or additions combine minors with sexual content, whatever rules would
    drop; ProjectError for a wrong [tags] table. `kohya_compat` reads captions as kohya's trainer does.
    """
    settings = read_settings(project)
    rules = order_rules(settings, project.where("tags"))
    raw = read_raw_tags(project, dataset, kohya_compat=kohya_compat)
    own = _own_words(project, settings)
    if not is_harmless(raw.flags | speak_of(own)):
        refuse_images(raw.texts, own, project.root)
    return CaptionInputs(project, dataset, settings, raw, rules)


def order_rules(settings: TagsTable, where: str) -> tuple[CaptionRule, ...]:
    """The rules that work, in their order. Those that [tags] order names take turns in the places that they have by
    default; the others stay where they are. Raises ProjectError for a name that is no rule's."""
    known = {rule.name: rule for rule in RULES}
    for key, names in (("order", settings.order), ("off", settings.off)):
        for name in names:
            if name not in known:
                hint = did_you_mean(name, known) or f"Rules: {', '.join(known)}."
                raise ProjectError(f"{key}: {name}: no such rule.", where=where, hint=hint)
    if len(set(settings.order)) < len(settings.order):
        raise ProjectError("order: a rule is named twice.", where=where, hint="Name each once.")
    wanted = iter(settings.order)
    ordered = [known[next(wanted)] if rule.name in settings.order else rule for rule in RULES]
    return tuple(rule for rule in ordered if rule.name not in settings.off)


def _own_words(project: Project, settings: TagsTable) -> Sequence[str]:
    """What the project itself puts into captions, wherever a rule may drop it again."""
    images = [tag for entry in settings.images.values() for tag in entry.add]
    lists = (settings.add, settings.style, settings.background, settings.quality, images, settings.aliases.values())
    triggers = [project.lora.trigger, *(member.trigger for member in project.bundle.values())]
    return [*triggers, settings.core, settings.prefix, *(tag for tags in lists for tag in tags)]
