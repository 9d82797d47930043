"""D0: every file that calls itself an image is one."""

from __future__ import annotations

from collections.abc import Iterator

from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import Finding, Rule


def check(evidence: Evidence) -> Iterator[Finding]:
    """An error for every unreadable image; a warning for a link or folder that was left out."""
    for problem in evidence.problems:
        if problem.kind == "unreadable":
            yield Finding(
                "D0",
                "error",
                f"{problem.name} cannot be read: {problem.message}",
                "Training leaves it out.",
                (problem.name,),
            )
        elif problem.kind in ("link", "folder"):
            advice = "Copy the files into the folder if they are meant to be trained."
            yield Finding("D0", "warning", f"{problem.name}: {problem.message}", advice, (problem.name,))


RULE = Rule("D0", "every image can be read", check)
