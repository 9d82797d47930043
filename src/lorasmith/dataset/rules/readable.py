"""L0 (ours): every file that calls itself an image is one."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding, Rule
from lorasmith.dataset.folders import DEADLY


def check(evidence: Evidence) -> Iterator[Finding]:
    """An error for every unreadable image; a warning for what else was left out: links, folders, lines."""
    for problem in evidence.problems:
        if problem.kind == "unreadable":
            yield Finding(
                "L0",
                "error",
                f"{problem.name} cannot be read: {problem.message}",
                "Training leaves it out.",
                (problem.name,),
            )
        elif problem.kind == DEADLY:
            advice = "Reject it, or get the file again: training reads it, too."
            yield Finding("L0", "error", f"{problem.name}: {problem.message}", advice, (problem.name,))
        elif problem.kind in ("link", "folder"):
            advice = "Copy the files into the folder if they are meant to be trained."
            yield Finding("L0", "warning", f"{problem.name}: {problem.message}", advice, (problem.name,))
        elif problem.kind != "caption":
            advice = "Mend it, or take the line out; the others stand."
            yield Finding("L0", "warning", f"{problem.name}: {problem.message}", advice, (problem.name,))


RULE = Rule("L0", "every image can be read", check)
