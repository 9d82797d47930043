"""Checks of tags and captions (T1 to T14, and P1 for real persons): findings of an inspection."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lorasmith.dataset.findings import Finding
from lorasmith.dataset.reading import Dataset
from lorasmith.project import Project
from lorasmith.tags.inputs import CaptionInputs, read_inputs
from lorasmith.tags.pipeline import compute_captions
from lorasmith.tags.review import accuracy, features, lists, person, trigger, wording
from lorasmith.tags.review.check import Case, TagCheck, Vocabulary

CHECKS: tuple[TagCheck, ...] = (
    trigger.PLACE,
    trigger.UNIQUE,
    trigger.FORM,
    features.ABSORBED,
    lists.LISTS,
    features.UNIFIED_TAGS,
    accuracy.QUALITY,
    features.RARE,
    accuracy.AGREEMENT,
    features.SHARED,
    wording.STYLE,
    wording.SENTENCES,
    lists.CORRECTIONS,
    wording.BACKGROUND,
    person.PERSON,
)
RULE_IDS: tuple[str, ...] = tuple(check.id for check in CHECKS)
RULE_TITLES: Mapping[str, str] = MappingProxyType({check.id: check.title for check in CHECKS})

__all__ = ["CHECKS", "RULE_IDS", "RULE_TITLES", "TagCheck", "Vocabulary", "review_desk", "review_tags"]


def review_tags(project: Project, dataset: Dataset, vocabulary: Vocabulary | None = None) -> tuple[Finding, ...]:
    """What is wrong with the raw tags, the rules in [tags] and the captions computed from them.

    `vocabulary` is what is known outside of the project (T2). Raises what `write_captions` raises.
    """
    return review_inputs(read_inputs(project, dataset), vocabulary)


def review_inputs(inputs: CaptionInputs, vocabulary: Vocabulary | None = None) -> tuple[Finding, ...]:
    """`review_tags` of inputs that are at hand."""
    case = Case(inputs, compute_captions(inputs), vocabulary or Vocabulary())
    return tuple(finding for check in CHECKS for finding in check.check(case))
