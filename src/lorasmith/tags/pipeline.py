"""Captions, computed from raw tags by the rules: pure, so that any rule can be changed or taken back (T13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lorasmith.dataset.reading import Dataset
from lorasmith.project import Project
from lorasmith.tags.inputs import CaptionInputs, read_inputs, without_collecting
from lorasmith.tags.refusal import is_harmless, refuse_images, speak_of
from lorasmith.tags.rules import thresholds
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
    ahead = bool(inputs.rules) and inputs.rules[0] is thresholds.RULE  # the raw tags are from the thresholds on already
    if ahead:
        changed[thresholds.RULE.name] = inputs.raw.unsure
    finished: list[Sequence[str]] = [()] * len(inputs.dataset.items)
    said: set[str] = set()
    for part in inputs.raw.parts:
        scene = inputs.scene_of(part.member, part.source)
        rows, views = inputs.rows(part, sure=ahead), inputs.views(part)
        for rule in inputs.rules[ahead:]:
            work = rule.prepare(scene)
            if work is not None:
                before, rows = rows, work.rows(rows, views)
                changed[rule.name] += before.count_differing(rows)
        said.update(rows.distinct_tags())
        for place, tags in zip(part.places, rows.all_tags(), strict=True):
            finished[place] = tags
    names = [item.name for item in inputs.dataset.items]
    if not is_harmless(speak_of(said)):
        refuse_images(dict(zip(names, finished, strict=True)), (), inputs.project.where("tags"))
    captions = dict(zip(names, map(join_tags, finished), strict=True))
    return Captioning(captions, tuple(RuleEffect(name, count) for name, count in changed.items()))
