"""What became of one image's tags, rule by rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lorasmith.dataset.folders import composed
from lorasmith.dataset.reading import Dataset
from lorasmith.errors import UsageError, did_you_mean
from lorasmith.project import Project
from lorasmith.tags.inputs import CaptionInputs, read_inputs
from lorasmith.tags.refusal import refuse
from lorasmith.tags.rules.rule import CaptionRule, Fate, Ruling, Source
from lorasmith.tags.words import join_tags


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


def explain_caption(project: Project, dataset: Dataset, image: str) -> Explanation:
    """What each rule did to one image's tags. `image` is its name, or the end of its path. Raises UsageError."""
    return explain(read_inputs(project, dataset), image)


def explain(inputs: CaptionInputs, image: str) -> Explanation:
    """What each rule did to the tags of one image."""
    name = _find(image, inputs.raw)
    item = next(one for one in inputs.dataset.items if one.name == name)
    scene, view, tags = inputs.scene(item), inputs.view(item), inputs.start(item)
    start, stories = tags, [_Story(tag) for tag in tags]
    for rule in inputs.rules:
        work = rule.prepare(scene)
        outcome = work(tags, view) if work is not None else None
        if outcome is not None:
            for ruling in outcome.rulings:
                _tell(stories, rule, ruling)
            tags = outcome.tags
    refuse(tags, inputs.project.where("tags"))
    raw, fates = inputs.raw[name], tuple(story.end() for story in stories)
    return Explanation(name, raw.source, start, fates, join_tags(tags), raw.imported)


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


def _find(image: str, names: Mapping[str, object]) -> str:
    if image in names:
        return image
    wanted = composed(image)
    forms = {name: composed(name) for name in names}
    matches = [name for name, form in forms.items() if form == wanted] or [
        name for name, form in forms.items() if form.endswith(f"/{wanted}") or wanted.endswith(f"/{form}")
    ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(f"{image}: several images of that name: {', '.join(matches)}.", hint="Give the folder too.")
    raise UsageError(f"{image}: no such image in the dataset.", hint=did_you_mean(image, names))
