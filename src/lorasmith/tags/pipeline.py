"""Captions, computed from raw tags by the rules: pure, so that any rule can be changed or taken back (T13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lorasmith.dataset.reading import Dataset
from lorasmith.errors import UsageError, did_you_mean
from lorasmith.project import Project
from lorasmith.tags.raw import RawTags, read_raw_tags
from lorasmith.tags.refusal import refuse
from lorasmith.tags.rules import RULES
from lorasmith.tags.rules.rule import Context, Source
from lorasmith.tags.settings import read_settings
from lorasmith.tags.words import join_tags, split_tags, tag_key


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
        """The document of ``lorasmith tag --json``."""
        rules = [{"name": rule.name, "changed": rule.changed} for rule in self.rules]
        return {"captions": dict(self.captions), "rules": rules}


@dataclass(frozen=True)
class TagFate:
    """What became of one tag: `fate` is "kept", "dropped", "added" or "changed" (then `became` is its new form);
    `rule` is the id and `why` the reason of the rule that decided, empty for a tag that nothing touched."""

    tag: str
    fate: str
    rule: str = ""
    why: str = ""
    became: str | None = None


@dataclass(frozen=True)
class Explanation:
    """The story of one caption."""

    image: str
    source: Source
    raw: tuple[str, ...]
    tags: tuple[TagFate, ...]
    caption: str

    def as_json(self) -> dict[str, Any]:
        """The document of ``lorasmith tag --explain``."""
        tags = [
            {"tag": tag.tag, "fate": tag.fate, "rule": tag.rule, "why": tag.why, "became": tag.became}
            for tag in self.tags
        ]
        return {
            "image": self.image,
            "source": self.source,
            "raw": list(self.raw),
            "tags": tags,
            "caption": self.caption,
        }


def write_captions(project: Project, dataset: Dataset) -> Captioning:
    """Compute every caption; nothing is written to disk.

    Raises RefusedError when the dataset's raw tags combine minors with sexual content, whatever rules would drop;
    ProjectError for a wrong [tags] table.
    """
    raw = read_raw_tags(project, dataset)
    _refuse(project, raw)
    contexts = _contexts(project)
    changed = [0] * len(RULES)
    captions: dict[str, str] = {}
    for name, image in raw.items():
        tags, context = image.tags, contexts[image.source]
        for number, rule in enumerate(RULES):
            after = rule.apply(tags, context)
            changed[number] += after != tags
            tags = after
        captions[name] = join_tags(tags)
    refuse(captions.values(), project.where("tags"))
    effects = tuple(RuleEffect(rule.name, count) for rule, count in zip(RULES, changed, strict=True))
    return Captioning(captions, effects)


def explain_caption(project: Project, dataset: Dataset, image: str) -> Explanation:
    """What each rule did to one image's tags. `image` is its name, or the end of its path. Raises UsageError."""
    raw = read_raw_tags(project, dataset)
    _refuse(project, raw)
    name = _find(image, raw)
    context = _contexts(project)[raw[name].source]
    tags = raw[name].tags
    decided: dict[str, TagFate] = {}
    order = list(tags)
    for rule in RULES:
        after = rule.apply(tags, context)
        for fate in _compare(tags, after, rule.id, rule.why):
            decided[fate.tag] = fate
            if fate.fate == "added":
                order.append(fate.tag)
        tags = after
    fates = tuple(decided.get(tag, TagFate(tag, "kept")) for tag in dict.fromkeys(order))
    return Explanation(name, raw[name].source, raw[name].tags, fates, join_tags(tags))


def _compare(before: tuple[str, ...], after: tuple[str, ...], rule: str, why: str) -> list[TagFate]:
    """The fates that one rule decided; "changed" is a tag that goes on in another spelling."""
    if before == after:
        return []
    spelt = {tag_key(tag): tag for tag in after}
    fates = [
        TagFate(tag, "changed", rule, why, spelt[tag_key(tag)])
        if tag_key(tag) in spelt
        else TagFate(tag, "dropped", rule, why)
        for tag in before
        if tag not in after
    ]
    old = {tag_key(tag) for tag in before}
    fates += [TagFate(tag, "added", rule, why) for tag in after if tag_key(tag) not in old]
    return fates


def _contexts(project: Project) -> Mapping[Source, Context]:
    trigger, settings = split_tags(project.lora.trigger), read_settings(project)
    sources: tuple[Source, ...] = ("caption", "tagger", "folder", "none")
    return {source: Context(trigger, settings, source) for source in sources}


def _refuse(project: Project, raw: Mapping[str, RawTags]) -> None:
    """Look at one image after the other, so that the message can name it, then at the dataset as a whole."""
    for name, image in raw.items():
        refuse((*image.tags, *image.ratings), name)
    refuse((tag for image in raw.values() for tag in (*image.tags, *image.ratings)), project.root)


def _find(image: str, names: Mapping[str, object]) -> str:
    if image in names:
        return image
    matches = [name for name in names if name.endswith(f"/{image}") or image.endswith(f"/{name}")]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(f"{image}: several images of that name: {', '.join(matches)}.", hint="Give the folder too.")
    raise UsageError(f"{image}: no such image in the dataset.", hint=did_you_mean(image, names))
