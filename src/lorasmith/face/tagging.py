"""Changes of how captions are made, tried before they are written: [tags] of lora.toml, with a way back."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lorasmith.dataset.reading import Dataset
from lorasmith.errors import ProjectError, UsageError
from lorasmith.project import Project, make_project, open_project
from lorasmith.recipe.edits import edit_project
from lorasmith.storage.files import write_file
from lorasmith.tags.building import Change
from lorasmith.tags.endpoint import check_endpoint
from lorasmith.tags.inputs import CaptionInputs, order_rules, read_inputs
from lorasmith.tags.knowledge import find_conflicts
from lorasmith.tags.pipeline import Captioning, RuleEffect, compute_captions
from lorasmith.tags.settings import read_settings
from lorasmith.tags.words import split_tags, tag_key

Settings = Mapping[str, Any]
"""Keys of [tags] with their values; None takes a key out."""
_HISTORY = "page/captions.json"
_KEPT = 100


@dataclass(frozen=True)
class Trial:
    """What changed settings would do: the captions that become others, and what each rule then does."""

    changes: tuple[Change, ...]
    rules: tuple[RuleEffect, ...]


def try_settings(project: Project, dataset: Dataset, before: Captioning, settings: Settings) -> Trial:
    """The captions under changed settings against those `before`; nothing is written. Raises ProjectError."""
    tables = copy.deepcopy({name: dict(table) for name, table in project.tables.items()})
    table = tables.setdefault("tags", {})
    for key, value in settings.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
    after = compute_captions(read_inputs(make_project(project.root, tables), dataset))
    changes = (
        Change(name, before.captions.get(name, ""), caption)
        for name, caption in after.captions.items()
        if before.captions.get(name) != caption
    )
    return Trial(tuple(changes), after.rules)


def change_settings(project: Project, settings: Settings) -> Project:
    """Write keys of [tags] to lora.toml, its comments kept; `undo_settings` takes it back. Raises ProjectError, and
    UsageError for a captioner at no web address; nothing is written then."""
    before = project.file.read_text("utf-8")
    given = {f"tags.{key}": value for key, value in settings.items() if value is not None}
    tables = dict(project.tables)
    tables["tags"] = {
        key: value for key, value in (*project.table("tags").items(), *settings.items()) if value is not None
    }
    checked = read_settings(make_project(project.root, tables))
    order_rules(checked, project.where("tags"))
    if settings.get("captioner") and checked.captioner.url:
        check_endpoint(checked.captioner)
    changed = edit_project(project, given, [f"tags.{key}" for key, value in settings.items() if value is None])
    undo, _ = _history(project)
    after = project.file.read_text("utf-8")
    if after != before:
        _keep(project, [*undo, (before, after)][-_KEPT:], [])
    return changed


def correct_captions(
    project: Project, images: Sequence[str], add: Iterable[str] = (), remove: Iterable[str] = ()
) -> Project:
    """Give images tags, and take tags from them, whatever the rules say (T13). `images` are whole names."""
    adding = {tag_key(tag): tag for text in add for tag in split_tags(text)}
    removing = {tag_key(tag): tag for text in remove for tag in split_tags(text)}
    if not adding and not removing:
        raise UsageError("no tag was named.", field="tags", hint="Give one to add or to remove.")
    if both := set(adding) & set(removing):
        raise UsageError(f"{adding[min(both)]}: cannot be added and removed at once.", field="tags")
    entries = {name: dict(entry) for name, entry in project.table("tags").get("images", {}).items()}
    for name in images:
        entry = entries.get(name, {})
        entries[name] = {
            "add": _merged(entry.get("add", ()), adding, removing),
            "remove": _merged(entry.get("remove", ()), removing, adding),
        }
    kept = {name: {key: tags for key, tags in entry.items() if tags} for name, entry in entries.items()}
    left = {name: entry for name, entry in kept.items() if entry}
    return change_settings(project, {"images": left or None})


def undo_settings(project: Project, *, redo: bool = False) -> Project:
    """Take the last change of [tags] back, or let it be again. Raises ProjectError when there is none, or when
    lora.toml was changed by something else since."""
    undo, again = _history(project)
    stack = again if redo else undo
    if not stack:
        raise ProjectError(f"there is nothing to {'do again' if redo else 'undo'}.", where=project.file)
    before, after = stack[-1]
    now, then = (before, after) if redo else (after, before)
    if project.file.read_text("utf-8") != now:
        hint = "What was changed there stays; change the captions anew."
        raise ProjectError("was changed by something else since.", where=project.file, hint=hint)
    write_file(project.file, then)
    _keep(project, [*undo, stack[-1]] if redo else undo[:-1], again[:-1] if redo else [*again, stack[-1]])
    return open_project(project.root)


def count_changes(project: Project) -> tuple[int, int]:
    """How many changes of [tags] can be undone, and done again."""
    undo, redo = _history(project)
    return len(undo), len(redo)


def find_contradictions(inputs: CaptionInputs) -> list[dict[str, Any]]:
    """Tags that exclude each other and stand in one image, the most frequent first: what they are about, the tags, the
    images."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for item in inputs.dataset.items:
        keys = tuple(dict.fromkeys(map(tag_key, inputs.raw[item.name].tags)))
        for about, tags in find_conflicts(keys):
            found.setdefault((about, tuple(sorted(tags))), []).append(item.name)
    ranked = sorted(found.items(), key=lambda entry: -len(entry[1]))
    return [{"about": about, "tags": list(tags), "images": names} for (about, tags), names in ranked]


def images_with(inputs: CaptionInputs, captioning: Captioning, tag: str) -> dict[str, list[str]]:
    """The images whose raw tags have a tag, and those in whose captions it is left."""
    key = tag_key(tag)
    raw = [name for name, found in inputs.raw.items() if any(tag_key(each) == key for each in found.tags)]
    left = [
        name
        for name, caption in captioning.captions.items()
        if key in caption.casefold().replace("_", " ") and any(tag_key(each) == key for each in split_tags(caption))
    ]
    return {"raw": raw, "left": left}


def _merged(old: object, new: Mapping[str, str], gone: Mapping[str, str]) -> list[str]:
    listed = split_tags(old) if isinstance(old, str) else [tag for text in _texts(old) for tag in split_tags(text)]
    known = {tag_key(tag): tag for tag in listed if tag_key(tag) not in gone}
    return list((known | {key: known.get(key, tag) for key, tag in new.items()}).values())


def _texts(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else []


def _history(project: Project) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    try:
        known = json.loads((project.cache / _HISTORY).read_text("utf-8"))
        undo, redo = ([(str(before), str(after)) for before, after in known[way]] for way in ("undo", "redo"))
    except (OSError, ValueError, KeyError, TypeError):
        return [], []
    return undo, redo


def _keep(project: Project, undo: Sequence[tuple[str, str]], redo: Sequence[tuple[str, str]]) -> None:
    write_file(project.cache / _HISTORY, json.dumps({"undo": list(undo), "redo": list(redo)}))
