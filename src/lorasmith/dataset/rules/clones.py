"""D7: few clones."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding, Rule
from lorasmith.remedies import Action, Do, Sentence

MOST = 0.03


def check(evidence: Evidence) -> Iterator[Finding]:
    """A warning when more than 3 % of the images are identical copies of others. Altered copies are none."""
    clones = tuple(name for group in evidence.groups if group.kind == "same" for name in group.images[1:])
    share = len(clones) / len(evidence.items) if evidence.items else 0.0
    if share > MOST:
        altered = sum(1 for item in evidence.items if item.lineage is not None)
        beside = f" (and {altered} altered ones)" if altered else ""
        message = f"{len(clones)} of {len(evidence.items)} images are identical copies ({share:.0%}){beside}."
        replace = Do(Action.ALTER, project="PROJECT", replace_clones=True)
        advice = Sentence(f"Over {MOST:.0%}, replace them by altered copies: ", replace, ".")
        yield Finding("D7", "warning", message, advice, clones)


RULE = Rule("D7", "few clones", check)
