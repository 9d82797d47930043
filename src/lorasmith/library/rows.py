"""What was found and told of a file, as the columns that keep it."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lorasmith.bases.families import family_on_hubs
from lorasmith.errors import RefusedError
from lorasmith.library.searching import trigger_keys
from lorasmith.library.sidecars.sidecar import SidecarFacts
from lorasmith.library.store import add_row, change_row, dump
from lorasmith.library.telling import Head
from lorasmith.library.walking import Found
from lorasmith.project import FILE_NAME
from lorasmith.tags.refusal import refuse

UNHASHED = {"sha256": "", "autov1": "", "payload": "", "blake3": "", "hashed": 0, "claimed": 0}
"""Of a file whose bytes changed."""
_MOST_TAGS = 128
_NAME_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


_HUB_IDS = ("source", "model_id", "version_id")


@dataclass(frozen=True)
class Told:
    """A file with all that is told of it at once: by its name, its header, its sidecars, its project's exam."""

    found: Found
    head: Head
    facts: SidecarFacts
    exam: Mapping[str, Any] | None = None


def write_told(db: sqlite3.Connection, folder: int | None, told: Told) -> tuple[int, bool]:
    """Keep what is told of a file; what the user noted stays. Gives its number, and whether it is new."""
    columns = _columns(told) | {"folder": folder}
    path = told.found.path
    row = db.execute(
        "select id, stamp, size, hub, source, model_id, version_id, notes from entries where path = ?", (path,)
    ).fetchone()
    if row is None:
        facts = told.facts
        columns |= {"path": path, "added": time.time(), "notes": facts.notes, "favourite": int(bool(facts.favourite))}
        number = add_row(db, columns)
    else:
        number = row["id"]
        if (row["stamp"], row["size"]) != (told.found.stamp, told.found.size):
            columns |= UNHASHED
        elif columns["hub"] is None or all(columns[key] == row[key] for key in _HUB_IDS):
            for key in (
                "hub",
                *_HUB_IDS,
            ):  # what a hub was asked stays with the same bytes: it says more than a sidecar
                del columns[key]
        if not row["notes"] and told.facts.notes:
            columns["notes"] = told.facts.notes
        change_row(db, number, columns)
        db.execute("delete from called where file = ?", (number,))
        db.execute("delete from words where rowid = ?", (number,))
    triggers = _triggers(told)
    keys = dict.fromkeys(key for phrase in triggers for key in trigger_keys(phrase))
    db.executemany("insert into called (key, file) values (?, ?)", [(key, number) for key in keys])
    notes = columns.get("notes", row["notes"] if row is not None else "")
    db.execute(
        "insert into words (rowid, name, triggers, tags, said, notes) values (?, ?, ?, ?, ?, ?)",
        (number, *_words(told, triggers), notes),
    )
    return number, row is None


def _columns(told: Told) -> dict[str, Any]:
    found, head, facts = told.found, told.head, told.facts
    family, reason = head.family, head.reason
    if family is None and facts.base and head.kind == "adapter":
        known = family_on_hubs(facts.base)
        family, reason = (facts.base if known is None else known.name), "by its sidecar"
    hub = facts.hub
    called = (found.name, head.alias, head.title, facts.title, hub.name if hub is not None else "", *_triggers(told))
    return {
        "name": found.name,
        "kind": head.kind,
        "state": "here",
        "size": found.size,
        "stamp": found.stamp,
        "beside": found.beside,
        "head": head.digest,
        "recorded": head.recorded.removeprefix("0x"),
        "alias": _clean(head.alias),
        "title": _clean(head.title or facts.title),
        "family": None if family is None else _clean(family),
        "reason": _clean(reason),
        "algorithms": dump(head.algorithms),
        "rank": head.rank,
        "base": _clean(head.base or facts.base),
        "triggers": dump(_triggers(told)),
        "tags": dump(head.tags or [(tag, 0) for tag in facts.tags]),
        "facts": dump(dict(head.facts or {}) | ({"negative": facts.negative} if facts.negative else {})),
        "description": _clean(facts.description or head.description),
        "preview": found.preview,
        "strength": facts.strength if facts.strength is not None else head.strength,
        "exam": None if told.exam is None else dump(told.exam),
        "mine": int(head.mine),
        "mature": int(facts.mature),
        "hub": None if hub is None else dump(asdict(hub)),
        "source": "" if hub is None else hub.source,
        "model_id": "" if hub is None else hub.model_id,
        "version_id": "" if hub is None else hub.version_id,
        "problem": _clean(head.problem),
        "broken": int(bool(head.problem)),
        "refused": int(is_refused((*called, *(tag for tag, _ in head.tags), *facts.tags))),
        "addnet": head.addnet,
    }


def _triggers(told: Told) -> tuple[str, ...]:
    phrases = (*told.head.triggers, *told.facts.triggers)
    first = {phrase.casefold(): phrase for phrase in reversed(phrases)}
    return tuple(_clean(phrase) for phrase in first.values())[::-1]


def is_refused(texts: Sequence[str]) -> bool:
    """Whether what a file is called and what it was trained on combine minors with sexual content."""
    try:
        refuse(texts, "the library")
    except RefusedError:
        return True
    return False


def _words(told: Told, triggers: tuple[str, ...]) -> tuple[str, str, str, str]:
    """What is searched: names (with their parts, as in ``blueHair2``), triggers, tags, and what else is said."""
    found, head, facts = told.found, told.head, told.facts
    hub = facts.hub
    names = [found.name, head.alias, head.title, facts.title, hub.name if hub is not None else ""]
    parts = [" ".join(_NAME_PARTS.findall(name)) for name in dict.fromkeys(names)]
    tags = [tag for tag, _ in head.tags[:_MOST_TAGS]] + list(facts.tags)
    training = head.facts or {}
    said = (head.base, facts.base, training.get("author", ""), hub.creator if hub is not None else "")
    text = (facts.description or head.description)[:2000]
    return (
        _clean(" ".join(dict.fromkeys((*names, *parts)))),
        " , ".join(triggers),
        _clean(" , ".join(tags)),
        _clean(" ".join((*said, text))),
    )


def _clean(text: str) -> str:
    """What SQLite can keep of a text: letters that stand for no letter are left out."""
    return text.encode("utf-8", "ignore").decode("utf-8") if not text.isascii() else text


def exam_of(path: Path) -> Mapping[str, Any] | None:
    """The figures of the newest exam that chose this file, of the project that it lies in; None where there is none."""
    root = next((folder for folder in path.parents if (folder / FILE_NAME).is_file()), None)
    if root is None:
        return None
    for file in sorted((root / "exams").glob("*/figures.json"), reverse=True):
        try:
            verdict = json.loads(file.read_text("utf-8"))
            chosen = Path(str(verdict.get("chosen", ""))).parts if isinstance(verdict, dict) else ()
            if chosen and path.parts[-len(chosen) :] == chosen:
                kept = {key: verdict.get(key) for key in ("figures", "verdict", "clear", "report")}
                return kept if len(dump(kept)) < 100_000 else None
        except (OSError, ValueError, RecursionError):
            continue
    return None
