"""Captions, computed from raw tags by the rules: pure, so that any rule can be changed or taken back (T13)."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, groupby
from typing import Any

from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import ProjectError, UsageError, did_you_mean
from lorasmith.project import Project
from lorasmith.tags.categories import QUALITY, RATING
from lorasmith.tags.measures import find_poor, is_collage
from lorasmith.tags.raw import RawTags, read_raw_tags
from lorasmith.tags.refusal import refuse, refuse_images
from lorasmith.tags.rules import RULES, thresholds
from lorasmith.tags.rules.rule import CaptionRule, Crowd, Fate, Ruling, Scene, Source, Tags, TagWork, View, Work
from lorasmith.tags.settings import TagsTable, read_settings
from lorasmith.tags.store import read_vocabulary
from lorasmith.tags.words import join_tags, split_tags, tag_key

_NO_TAGS = frozenset((RATING, QUALITY))


@dataclass(frozen=True)
class RuleEffect:
    """How many captions a rule changed."""

    name: str
    changed: int


@dataclass(frozen=True)
class Captioning:
    """The captions by `Item.name`, in the dataset's order, and what each rule did."""

    captions: Mapping[str, str]
    rules: tuple[RuleEffect, ...]

    def as_json(self) -> dict[str, Any]:
        """The document of all captions."""
        rules = [{"name": rule.name, "changed": rule.changed} for rule in self.rules]
        return {"captions": dict(self.captions), "rules": rules}


@dataclass(frozen=True)
class Step:
    """One thing that a rule did to a tag: the rule's name and domain id, what it did, and why."""

    rule: str
    id: str
    fate: Fate
    why: str
    became: str | None = None


@dataclass(frozen=True)
class TagFate:
    """What became of one tag in the end: `became` is the new form of a changed one; `rule` is the id and `why` the
    reason of the rule that decided, empty for a tag that nothing touched. `steps` is the whole story."""

    tag: str
    fate: Fate
    rule: str = ""
    why: str = ""
    became: str | None = None
    steps: tuple[Step, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """One entry of the "tags" of an explanation."""
        steps = [{"rule": step.rule, "id": step.id, "fate": step.fate, "why": step.why} for step in self.steps]
        return {
            "tag": self.tag,
            "fate": self.fate,
            "rule": self.rule,
            "why": self.why,
            "became": self.became,
            "steps": steps,
        }


@dataclass(frozen=True)
class Explanation:
    """The story of one caption. `imported` is the name of the import that the tags of source "caption" or "both" came
    from, empty when they are from the image's own caption."""

    image: str
    source: Source
    raw: tuple[str, ...]
    tags: tuple[TagFate, ...]
    caption: str
    imported: str = ""

    def as_json(self) -> dict[str, Any]:
        """The document that explains one caption."""
        return {
            "image": self.image,
            "source": self.source,
            "imported": self.imported or None,
            "raw": list(self.raw),
            "tags": [tag.as_json() for tag in self.tags],
            "caption": self.caption,
        }


@dataclass(frozen=True)
class Desk:
    """All that captions are computed from: raw tags and measures by `Item.name`, and the rules in their order."""

    project: Project
    dataset: Dataset
    settings: TagsTable
    raw: Mapping[str, RawTags]
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

    @cached_property
    def _crowds(self) -> Mapping[str | None, Crowd]:
        def crowd(items: Iterable[Item]) -> Crowd:
            return Crowd(lambda: tuple([self.raw[item.name].tags for item in items]))

        return {name: crowd(items) for name, items in self.members.items()}

    def scene(self, item: Item) -> Scene:
        """The scene of an image: its subject, and where its tags came from."""
        member, source = item.member, self.raw[item.name].source
        scene = self._scenes.get((member, source))
        if scene is None:
            trigger = self.project.bundle[member].trigger if member is not None else self.project.lora.trigger
            scene = self._scenes[member, source] = Scene(
                settings=self.settings,
                subject=self.project.lora.subject,
                trigger=split_tags(trigger),
                source=source,
                crowd=self._crowds[member],
                known=self.known,
            )
        return scene

    def view(self, item: Item) -> View:
        """What the rules may see of an image."""
        raw = self.raw[item.name]
        poor = self.poor.get(item.name, "")
        return View(item.name, raw.scores, raw.categories, raw.sentence, poor, is_collage(item))

    def start(self, item: Item) -> Tags:
        """The tags that the first rule sees: all that the tagger gave, or the caption's."""
        raw = self.raw[item.name]
        if raw.source != "tagger" or not raw.scores:
            return raw.tags
        sure, categories = frozenset(raw.tags), raw.categories
        unsure = [tag for tag in raw.scores if tag not in sure and categories.get(tag) not in _NO_TAGS]
        return (*raw.tags, *unsure)


@contextmanager
def _without_collecting() -> Iterator[None]:
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


@_without_collecting()
def open_desk(project: Project, dataset: Dataset, *, kohya_compat: bool = False) -> Desk:
    """Read what captions are computed from.

    Raises RefusedError when raw tags, labels or additions combine minors with sexual content, whatever rules would
    drop; ProjectError for a wrong [tags] table. `kohya_compat` reads captions as kohya's trainer does.
    """
    settings = read_settings(project)
    rules = order_rules(settings, project.where("tags"))
    raw = read_raw_tags(project, dataset, kohya_compat=kohya_compat)
    texts = {
        item.name: (*raw[item.name].tags, *raw[item.name].ratings, *item.facets, raw[item.name].sentence or "")
        for item in dataset.items
    }
    refuse_images(texts, _own_words(project, settings), project.root)
    return Desk(project, dataset, settings, raw, rules)


def write_captions(project: Project, dataset: Dataset) -> Captioning:
    """Compute every caption; nothing is written to disk.

    Raises RefusedError when the dataset's raw tags combine minors with sexual content, whatever rules would drop;
    ProjectError for a wrong [tags] table.
    """
    return compute_captions(open_desk(project, dataset))


@_without_collecting()
def compute_captions(desk: Desk) -> Captioning:
    """The captions of all images on the desk, and how many each rule changed."""
    changed = dict.fromkeys((rule.name for rule in desk.rules), 0)
    prepared: dict[int, list[_Stage]] = {}
    captions: dict[str, str] = {}
    finished: dict[str, Tags] = {}
    ahead = bool(desk.rules) and desk.rules[0] is thresholds.RULE  # the raw tags are from the thresholds on already
    for item in desk.dataset.items:
        scene, view = desk.scene(item), desk.view(item)
        if ahead:
            tags = desk.raw[item.name].tags
            changed[thresholds.RULE.name] += desk.raw[item.name].unsure
        else:
            tags = desk.start(item)
        if id(scene) not in prepared:
            prepared[id(scene)] = _stages(desk.rules[ahead:], scene)
        for stage in prepared[id(scene)]:
            if isinstance(stage, _Chain):
                now = stage.apply(tags)
                if now is not None:
                    for name in stage.changers(tags):
                        changed[name] += 1
                    tags = now
                continue
            name, work = stage
            outcome = work(tags, view)
            if outcome is not None and outcome.tags != tags:
                changed[name] += 1
                tags = outcome.tags
        finished[item.name] = tags
        captions[item.name] = join_tags(tags)
    refuse_images(finished, (), desk.project.where("tags"))
    return Captioning(captions, tuple(RuleEffect(name, count) for name, count in changed.items()))


def _stages(rules: Iterable[CaptionRule], scene: Scene) -> list[_Stage]:
    """The rules that have something to do in a scene. Neighbours that judge tag by tag become one stage, so that each
    distinct tag is led through them once."""
    works = [(rule.name, work) for rule in rules if (work := rule.prepare(scene)) is not None]
    stages: list[_Stage] = []
    for alike, group in groupby(works, key=lambda entry: isinstance(entry[1], TagWork)):
        members = list(group)
        if alike:
            stages.append(_Chain([(name, work) for name, work in members if isinstance(work, TagWork)]))
        else:
            stages += members
    return stages


class _Chain(dict[str, str | None]):
    """Rules that judge tag by tag, one after the other. For each tag that was asked for: what becomes of it, None for
    one that is dropped."""

    def __init__(self, works: Sequence[tuple[str, TagWork]]) -> None:
        super().__init__()
        self._works = works
        self._changers: dict[str, tuple[str, ...]] = {}

    def __missing__(self, tag: str) -> str | None:
        now: str | None = tag
        names: list[str] = []
        for name, work in self._works:
            ruling = work.memory[now] if now is not None else None
            if ruling is not None and ruling.fate != "kept":
                now = ruling.became
                names.append(name)
        if names:
            self._changers[tag] = tuple(names)
        self[tag] = now
        return now

    def apply(self, tags: Tags) -> Tags | None:
        """The tags after these rules; None when they are as before."""
        now = tuple(filter(None, map(self.__getitem__, tags)))  # no tag is empty
        return None if now == tags else now

    def changers(self, tags: Tags) -> Collection[str]:
        """The names of the rules that change any of these tags."""
        found = [*filter(None, map(self._changers.get, tags))]
        return found[0] if len(found) == 1 else set(chain.from_iterable(found))


_Stage = _Chain | tuple[str, Work]
"""What one image's tags go through at once: rules that judge tag by tag, or one rule with its name."""


def explain_caption(project: Project, dataset: Dataset, image: str) -> Explanation:
    """What each rule did to one image's tags. `image` is its name, or the end of its path. Raises UsageError."""
    return explain(open_desk(project, dataset), image)


def explain(desk: Desk, image: str) -> Explanation:
    """What each rule did to the tags of one image on the desk."""
    name = _find(image, desk.raw)
    item = next(one for one in desk.dataset.items if one.name == name)
    scene, view, tags = desk.scene(item), desk.view(item), desk.start(item)
    start, stories = tags, [_Story(tag) for tag in tags]
    for rule in desk.rules:
        work = rule.prepare(scene)
        outcome = work(tags, view) if work is not None else None
        if outcome is not None:
            for ruling in outcome.rulings:
                _tell(stories, rule, ruling)
            tags = outcome.tags
    refuse(tags, desk.project.where("tags"))
    raw, fates = desk.raw[name], tuple(story.end() for story in stories)
    return Explanation(name, raw.source, start, fates, join_tags(tags), raw.imported)


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


@dataclass
class _Story:
    """A tag on its way through the rules."""

    tag: str
    now: str = ""
    alive: bool = True
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now = self.now or self.tag

    def end(self) -> TagFate:
        """The fate that counts: gone, or in a new form, or added; else what kept it, if anything did."""
        telling: tuple[Fate, ...] = ("dropped",) if not self.alive else ("added", "changed", "kept", "moved")
        for fate in telling:
            last = next((step for step in reversed(self.steps) if step.fate == fate), None)
            if last is not None:
                became = self.now if self.alive and self.now != self.tag else None
                return TagFate(self.tag, fate, last.id, last.why, became, tuple(self.steps))
        return TagFate(self.tag, "kept", steps=tuple(self.steps))


def _tell(stories: list[_Story], rule: CaptionRule, ruling: Ruling) -> None:
    """Go on with the story of the tag that a ruling is about, or begin one. Of equal tags the last is dropped first."""
    if ruling.fate == "added":
        story = _Story(ruling.tag)
        stories.append(story)
    else:
        turn: Iterable[_Story] = reversed(stories) if ruling.fate == "dropped" else stories
        story = next(one for one in turn if one.alive and one.now == ruling.tag)
    story.steps.append(Step(rule.name, rule.id, ruling.fate, ruling.why or rule.why, ruling.became))
    story.alive = ruling.fate != "dropped"
    story.now = ruling.became or story.now


def _own_words(project: Project, settings: TagsTable) -> Sequence[str]:
    """What the project itself puts into captions, wherever a rule may drop it again."""
    images = [tag for entry in settings.images.values() for tag in entry.add]
    lists = (settings.add, settings.style, settings.background, settings.quality, images, settings.aliases.values())
    triggers = [project.lora.trigger, *(member.trigger for member in project.bundle.values())]
    return [*triggers, settings.core, settings.prefix, *(tag for tags in lists for tag in tags)]


def _find(image: str, names: Mapping[str, object]) -> str:
    if image in names:
        return image
    matches = [name for name in names if name.endswith(f"/{image}") or image.endswith(f"/{name}")]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(f"{image}: several images of that name: {', '.join(matches)}.", hint="Give the folder too.")
    raise UsageError(f"{image}: no such image in the dataset.", hint=did_you_mean(image, names))
