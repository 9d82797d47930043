"""A question sheet as a file (TOML): prompts by kind, with what must be seen. It is written from the questions that an
exam finds by itself, changed by hand, and read in their place.

    trigger = "zbk"

    [[hit]]
    prompt = "zbk, 1person, portrait, smile, red background"

    [[flexibility]]
    prompt = "zbk, 1person, purple background"
    base_prompt = "1person, purple background"   # what the bare base is asked; left out: the same prompt
    asked = { background = "purple background" }  # by the judge's groups
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from lorasmith.errors import ExamError, did_you_mean, first_line
from lorasmith.exam.judges import Group
from lorasmith.exam.questions import REPORTING, Kind, Paper, Question
from lorasmith.exam.sheets.kinds import KINDS
from lorasmith.schema import TableModel, read_table

#: Prompts written for each kind.
WRITTEN: Mapping[Kind, int] = {"hit": 24, "flexibility": 24, "override": 12, "leakage": 16, "untriggered": 12}
_EXPLAINED: Mapping[Kind, str] = {
    "hit": "The subject is called: all its traits must be seen (C2).",
    "flexibility": "Something it was never trained with is asked for; `asked` must be seen, and the subject (C4).",
    "override": "One of its traits is contradicted; `asked` must be seen, and its other traits (C4).",
    "leakage": "Nobody calls it: nothing may change against the bare base (C6).",
    "untriggered": "Prompts like its captions, without the trigger: none of its traits may come (C6).",
}


class QuestionTable(TableModel):
    """One question. `hidden`: the judge's groups that a picture of this prompt cannot show."""

    prompt: str
    base_prompt: str | None = None
    asked: dict[str, str] = Field(default_factory=dict)
    hidden: tuple[str, ...] = ()


class SheetTable(TableModel):
    """The whole sheet; a kind that is left out is asked what the exam finds by itself, an empty one nothing."""

    trigger: str = ""
    hit: tuple[QuestionTable, ...] = ()
    flexibility: tuple[QuestionTable, ...] = ()
    override: tuple[QuestionTable, ...] = ()
    leakage: tuple[QuestionTable, ...] = ()
    untriggered: tuple[QuestionTable, ...] = ()


def read_sheet(file: Path, trigger: str, groups: Mapping[str, Group]) -> dict[Kind, Sequence[Question]]:
    """The questions of a file. Raises ExamError naming every fault: an unknown key, a group or value that the judge
    does not know, a hit without the trigger, a sheet without hits."""
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise ExamError("no such question sheet.", where=file) from None
    except (OSError, ValueError) as fault:
        raise ExamError(f"cannot be read: {first_line(fault)}", where=file) from None
    table = read_table(SheetTable, values, where=str(file), error=ExamError)
    found: dict[Kind, Sequence[Question]] = {}
    for kind in WRITTEN:
        rows: Sequence[QuestionTable] = getattr(table, kind)
        if kind in table.model_fields_set:
            found[kind] = [_question(kind, row, groups, file) for row in rows]
    if "hit" in found and not found["hit"]:
        raise ExamError("asks for no hits, and without them nothing can be said.", where=file)
    strange = next((q.prompt for q in found.get("hit", ()) if trigger.casefold() not in q.prompt.casefold()), None)
    if strange is not None:
        raise ExamError(f"a hit does not call {trigger!r}: {strange}", where=file)
    return found


def _question(kind: Kind, row: QuestionTable, groups: Mapping[str, Group], file: Path) -> Question:
    asked: dict[str, str] = {}
    for name, value in row.asked.items():
        group = groups.get(name)
        if group is None:
            raise ExamError(f"the judge has no group {name!r}.", where=file, hint=did_you_mean(name, groups))
        spelling = group.of(value)
        if spelling is None:
            raise ExamError(
                f"{name}: the judge does not know {value!r}.", where=file, hint=did_you_mean(value, group.tags)
            )
        asked[name] = spelling
    if kind in ("flexibility", "override") and not asked:
        raise ExamError(
            f"{kind}: nothing is asked for by {row.prompt!r}.",
            where=file,
            hint="Say what must be seen: asked = { GROUP = VALUE }.",
        )
    return Question(kind, row.prompt, row.base_prompt or row.prompt, 0, asked, frozenset(row.hidden))


def write_sheet(paper: Paper) -> str:
    """The questions that an exam finds by itself, as a file to change."""
    subject = paper.subject
    lines = [
        f"# Questions for the {subject.kind} {subject.trigger}. Change, remove or add what you like: every",
        "# picture takes the next prompt of its kind on a fresh seed. A kind that you remove is asked what the exam",
        "# finds by itself.",
        f"# A hit is {KINDS[subject.kind].hits if subject.kind in KINDS else 'the subject'}.",
        f"# Its traits, as the judge sees them: {', '.join(subject.identity.values()) or 'no words for them'}.",
        "",
        f"trigger = {_text(subject.trigger)}",
    ]
    for kind, count in WRITTEN.items():
        questions = paper.ask(kind, count, REPORTING)
        if not questions:
            continue
        lines += ["", f"# {_EXPLAINED[kind]}"]
        for prompt, question in {question.prompt: question for question in questions}.items():
            lines += ["", f"[[{kind}]]", f"prompt = {_text(prompt)}"]
            if question.base_prompt != prompt:
                lines.append(f"base_prompt = {_text(question.base_prompt)}")
            if question.asked:
                pairs = ", ".join(f"{_text(name)} = {_text(value)}" for name, value in question.asked.items())
                lines.append(f"asked = {{ {pairs} }}")
            if question.hidden:
                lines.append(f"hidden = [{', '.join(map(_text, sorted(question.hidden)))}]")
    return "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    """A TOML basic string."""
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'
