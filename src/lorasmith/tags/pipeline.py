"""Captions, computed from raw tags by the rules: pure, so that any rule can be changed or taken back (T13)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any

from lorasmith.dataset.reading import Dataset
from lorasmith.project import Project
from lorasmith.tags.inputs import CaptionInputs, read_inputs, without_collecting
from lorasmith.tags.refusal import refuse_images
from lorasmith.tags.rules import thresholds
from lorasmith.tags.rules.rule import CaptionRule, Scene, Tags, TagWork, Work
from lorasmith.tags.words import join_tags


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


def write_captions(project: Project, dataset: Dataset) -> Captioning:
    """Compute every caption; nothing is written to disk.

    Raises RefusedError when the dataset's raw tags combine minors with sexual content, whatever rules would drop;
    ProjectError for a wrong [tags] table.
    """
    return compute_captions(read_inputs(project, dataset))


@without_collecting()
def compute_captions(inputs: CaptionInputs) -> Captioning:
    """The captions of all images, and how many each rule changed."""
    changed = dict.fromkeys((rule.name for rule in inputs.rules), 0)
    prepared: dict[int, list[_Stage]] = {}
    captions: dict[str, str] = {}
    finished: dict[str, Tags] = {}
    ahead = bool(inputs.rules) and inputs.rules[0] is thresholds.RULE  # the raw tags are from the thresholds on already
    for item in inputs.dataset.items:
        scene, view = inputs.scene(item), inputs.view(item)
        if ahead:
            tags = inputs.raw[item.name].tags
            changed[thresholds.RULE.name] += inputs.raw[item.name].unsure
        else:
            tags = inputs.start(item)
        if id(scene) not in prepared:
            prepared[id(scene)] = _stages(inputs.rules[ahead:], scene)
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
    refuse_images(finished, (), inputs.project.where("tags"))
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
