"""Look at a whole dataset and let every rule speak."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lorasmith.dataset.built import read_built_captions
from lorasmith.dataset.coverage import Subset, cover, divide
from lorasmith.dataset.cropped_copies import KEYPOINTS, group_cropped_copies
from lorasmith.dataset.decisions import read_decisions
from lorasmith.dataset.evidence import Evidence, Group
from lorasmith.dataset.findings import LEVELS, Finding
from lorasmith.dataset.fingerprinting import FINGERPRINT, remember_groups, take_signatures
from lorasmith.dataset.folders import DEADLY, Problem
from lorasmith.dataset.index import Index, open_index
from lorasmith.dataset.measuring import ENDS_PROCESS, read_stat
from lorasmith.dataset.provenance import read_provenance
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.dataset.rules import RULES
from lorasmith.dataset.settings import read_settings
from lorasmith.errors import ProjectError, did_you_mean
from lorasmith.events import Progress, Work
from lorasmith.images.keypoints import can_see
from lorasmith.project import Project

_GROUPING = "comparing look-alikes"


@dataclass(frozen=True)
class Inspection:
    """How many images can be read, which of them are the same, what the rules found, the worst first, and what they
    looked at (`evidence`)."""

    images: int
    groups: tuple[Group, ...]
    findings: tuple[Finding, ...]
    evidence: Evidence

    @property
    def passed(self) -> bool:
        """Whether no error stands that was not waived."""
        return not any(finding.level == "error" and finding.waived is None for finding in self.findings)

    @property
    def removable(self) -> tuple[str, ...]:
        """The images that the standing findings' fixes would take out."""
        fixes = [finding.fix for finding in self.findings if finding.fix and finding.waived is None]
        return tuple(dict.fromkeys(name for each in fixes if each.verb == "reject" for name in each.images))

    def as_json(self) -> dict[str, Any]:
        """The inspection's document; images are named by their path in the images folder."""
        return {
            "images": self.images,
            "groups": [
                {"kind": group.kind, "images": list(group.images), "keep": group.keep, "reason": group.reason}
                for group in self.groups
            ],
            "findings": [finding.as_json() for finding in self.findings],
            "coverage": [
                _named(subset) | entry.as_json()
                for subset in divide(self.evidence)
                for entry in cover(self.evidence.subject, subset)
            ],
            "rejected": [item.name for item in self.evidence.rejected],
        }


def inspect(
    project: Project,
    dataset: Dataset,
    captions: Mapping[str, tuple[str, ...]],
    also: Sequence[Finding] = (),
    also_rules: Sequence[str] = (),
    seen: Mapping[str, tuple[str, ...]] | None = None,
    apart: Mapping[str, float] | None = None,
) -> Work[Inspection]:
    """Run every rule. `captions` are the raw tags by item name, `seen` what a tagger sees whatever the caption says,
    `apart` how far each image lies from its like (`Evidence`).

    `also` are findings of other rooms, whose rules are `also_rules`: they are waived and sorted like our own. Cropped
    copies are looked for where OpenCV is installed (`can_see`). Raises ProjectError for a wrong `waive`.
    """
    waive = _checked_waivers(project, also_rules)
    decisions = read_decisions(project)
    with open_index(project.cache) as index:
        signatures = yield from take_signatures(index, dataset)
        altered = {item.name for item in dataset.items if _is_altered(item)}
        own = [signature for signature in signatures if signature.name not in altered]
        yield Progress(_GROUPING, 0, 1)
        groups = remember_groups(index, own, decisions.distinct)
        yield Progress(_GROUPING, 1, 1)
        if can_see():
            lesser = {name for group in groups for name in group.images[1:]}
            left = [item for item in dataset.items if item.name not in altered | lesser]
            groups += yield from group_cropped_copies(index, left, decisions.distinct)
        deadly = tuple(_deadly(index, dataset))
    evidence = Evidence(
        subject=project.lora.subject,
        items=dataset.items,
        problems=(*dataset.problems, *deadly),
        orphans=dataset.orphans,
        tags=captions,
        blur={signature.name: signature.fingerprint.blur for signature in own},
        groups=groups,
        exposure={signature.name: signature.fingerprint.exposure for signature in own},
        rejected=dataset.rejected,
        bundle=project.bundle,
        provenance=read_provenance(project),
        trigger=project.lora.trigger,
        seen=seen or {},
        apart=apart or {},
        built={name: tuple(caption.split(",")) for name, caption in read_built_captions(project).items()},
        kept=frozenset(item.name for item in dataset.items if decisions.about(item.facts.sha256).kept),
    )
    found = [*_findings(evidence), *also]
    waived = [replace(finding, waived=waive.get(finding.rule)) for finding in found]
    return Inspection(len(dataset.items), groups, tuple(sorted(waived, key=_urgency)), evidence)


def _deadly(index: Index, dataset: Dataset) -> Iterator[Problem]:
    """Images that were read, and then ended every process that measured them."""
    for item in dataset.items:
        stat = read_stat(item.path)
        if any(measure.is_lost(index, item, stat) for measure in (FINGERPRINT, KEYPOINTS)):
            yield Problem(DEADLY, item.name, item.path, ENDS_PROCESS)


def _is_altered(item: Item) -> bool:
    """Whether it is a changed copy, so that likeness and blur are meant; adopted pictures are new ones."""
    return item.lineage is not None and not item.is_adopted


def _named(subset: Subset) -> dict[str, str]:
    return {"member": subset.name} if subset.name else {}


def _findings(evidence: Evidence) -> Iterator[Finding]:
    for rule in RULES:
        yield from rule.check(evidence)


def _urgency(finding: Finding) -> tuple[bool, int]:
    return finding.waived is not None, LEVELS.index(finding.level)


def _checked_waivers(project: Project, also_rules: Sequence[str]) -> Mapping[str, str]:
    waive = read_settings(project).waive
    known = [*(rule.id for rule in RULES), *also_rules]
    for rule in waive:
        if rule not in known:
            raise ProjectError(
                f"waive.{rule}: no such rule.",
                where=project.where("dataset"),
                hint=did_you_mean(rule, known) or f"Rules: {', '.join(known)}.",
            )
    return waive
