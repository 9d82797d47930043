"""Which decisions say what the user means: keeping and rejecting where there are identical copies, and what an
inspection would do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lorasmith.dataset.decisions import Decision, Decisions
from lorasmith.dataset.findings import Finding
from lorasmith.dataset.reading import Dataset, Item


@dataclass(frozen=True)
class Cure:
    """What the findings' remedies come to. `decisions` to record; `spared`: names of images that a remedy would reject
    and that the user keeps."""

    decisions: tuple[Decision, ...]
    spared: tuple[str, ...]


def reject_images(dataset: Dataset, chosen: Iterable[Item], reason: str = "") -> tuple[Decision, ...]:
    """Decisions that reject the `chosen` images and no others: identical copies that were not chosen stay."""
    names, now_in = {item.name for item in chosen}, {item.name for item in dataset.items}
    decisions = []
    for sha, copies in _copies(dataset, names).items():
        stay = [item.name for item in copies if item.name not in names and item.name in now_in]
        first = next(item for item in copies if item.name in names)
        decisions.append(Decision(sha, "reject", tuple(stay) or None, reason, name=first.name))
    return tuple(decisions)


def keep_images(dataset: Dataset, chosen: Iterable[Item], reason: str = "") -> tuple[Decision, ...]:
    """Decisions that take the `chosen` images in; rejected identical copies that were not chosen stay out."""
    names, now_in = {item.name for item in chosen}, {item.name for item in dataset.items}
    decisions = []
    for sha, copies in _copies(dataset, names).items():
        stay = [item.name for item in copies if item.name in names or item.name in now_in]
        first = next(item for item in copies if item.name in names)
        if len(stay) == len(copies):
            decisions.append(Decision(sha, "keep", None, reason, name=first.name))
        else:
            decisions.append(Decision(sha, "reject", tuple(stay), reason, name=first.name))
    return tuple(decisions)


def cure(dataset: Dataset, findings: Sequence[Finding], decided: Decisions) -> Cure:
    """The decisions that the remedies of `findings` ask for. Waived findings ask for nothing; an image that the user
    keeps is spared, and so are repeats that the user set; of what is left at least one image stays."""
    by_name = {item.name: item for item in dataset.items}
    reasons: dict[str, str] = {}
    spared: dict[str, None] = {}
    once: dict[str, Decision] = {}
    for finding in findings:
        if finding.waived is not None or finding.fix is None:
            continue
        for name in finding.fix.images:
            item, why = by_name.get(name), f"{finding.rule}: {finding.message}"
            if item is None or name in reasons:
                continue
            decision = decided.about(item.facts.sha256)
            if finding.fix.verb == "show once":
                if decision.repeats is None:
                    once[name] = Decision(item.facts.sha256, "repeats", 1, why, name=name)
            elif decision.kept:
                spared[name] = None
            elif len(reasons) + 1 < len(by_name):
                reasons[name] = why
    shown = tuple(decision for name, decision in once.items() if name not in reasons)
    return Cure((*_reject_with_reasons(dataset, by_name, reasons), *shown), tuple(spared))


def _reject_with_reasons(dataset: Dataset, by_name: dict[str, Item], reasons: dict[str, str]) -> tuple[Decision, ...]:
    decisions = reject_images(dataset, (by_name[name] for name in reasons))
    return tuple(
        Decision(decision.image, decision.verb, decision.value, reasons[decision.name], name=decision.name)
        for decision in decisions
    )


def _copies(dataset: Dataset, names: set[str]) -> dict[str, list[Item]]:
    """All images, rejected ones too, that are identical to one of the named, by content; in the order of names."""
    items = sorted((*dataset.items, *dataset.rejected), key=lambda item: item.name)
    wanted = {item.facts.sha256 for item in items if item.name in names}
    copies: dict[str, list[Item]] = {}
    for item in items:
        if item.facts.sha256 in wanted:
            copies.setdefault(item.facts.sha256, []).append(item)
    return copies
