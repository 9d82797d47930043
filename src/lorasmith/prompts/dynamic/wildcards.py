"""Wildcards: lists of values in .txt, .yaml and .json files below one folder, by path and by glob.

A .txt file is a list: a value a line, `#` comments. A .yaml or .json file is a tree whose keys are parts of the path
(the file's own name is not), or a list under the file's name. A value may carry a weight: ``3::red``, or in trees
also ``{text: red, weight: 3}``. Nothing outside the folder can be named, and links that lead out of it are not
followed.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.errors import PromptError, near_names

MOST_BYTES = 32 * 2**20  # of one file
MOST_LISTS = 200_000
DEEPEST = 64  # levels of a tree
_WEIGHT = re.compile(r"\s*(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*::\s*")


class MissingWildcard(PromptError):
    """A template names a wildcard that is not there."""


@dataclass(frozen=True)
class Value:
    """One line of a wildcard: a template of its own, its weight, and the file that it stands in."""

    text: str
    weight: float = 1.0
    where: str = ""


class Wildcards:
    """The wildcards of a folder. Files are listed at the first look and read when they are needed."""

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = None if root is None else Path(root)
        if self.root is not None and not self.root.is_dir():
            raise PromptError("no such folder of wildcards.", where=self.root)
        self._lists: dict[str, Callable[[], list[Value]]] | None = None
        self._values: dict[str, tuple[Value, ...]] = {}
        self._unreadable: dict[str, str] = {}

    def names(self) -> list[str]:
        """The paths of all lists, sorted."""
        return sorted(self._index())

    def values(self, path: str) -> tuple[Value, ...]:
        """The values of a path or glob (`*` and `**` reach into folders), sorted and without repeats; () if none.

        A path that is found nowhere is looked for in every folder. Repeats add their weights.
        """
        if path not in self._values:
            self._values[path] = self._collect(path)
        return self._values[path]

    def missing(self, path: str) -> MissingWildcard:
        """The error for a path that is not there, naming the nearest."""
        names = self.names()
        near = near_names(path, names) or [name for name in names if path.rsplit("/", 1)[-1] in name][:3]
        if near:
            hint = f"Did you mean {' or '.join(f'__{name}__' for name in near)}?"
        elif names:
            hint = f"There are: {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}."
        else:
            hint = "No folder of wildcards was given." if self.root is None else f"No wildcards in {self.root}."
        for file, fault in self._unreadable.items():
            hint += f" {file} could not be read: {fault}"
        return MissingWildcard(
            f"wildcard __{path}__ is unknown.", where="template", hint=f"{hint} (\\__ is plain text.)"
        )

    def _collect(self, path: str) -> tuple[Value, ...]:
        index = self._index()
        if not any(letter in path for letter in "*?["):
            found = [path] if path in index else [name for name in index if name.endswith(f"/{path}")]
        else:
            found = _match(path, index) or _match(f"**/{path}", index)
        merged: dict[str, Value] = {}
        for name in found:
            for value in index[name]():
                seen = merged.get(value.text)
                if seen is None:
                    merged[value.text] = value
                else:
                    merged[value.text] = Value(value.text, seen.weight + value.weight, seen.where)
        return tuple(merged[text] for text in sorted(merged))

    def _index(self) -> dict[str, Callable[[], list[Value]]]:
        if self._lists is None:
            self._lists = {}
            if self.root is not None:
                for file in _files(self.root):
                    self._add(file, self.root)
        return self._lists

    def _add(self, file: Path, root: Path) -> None:
        assert self._lists is not None
        within = file.relative_to(root)
        if file.suffix == ".txt":
            self._lists[within.with_suffix("").as_posix()] = lambda: _read_lines(file, within.as_posix())
            return
        folder = "" if within.parent == Path() else f"{within.parent.as_posix()}/"
        try:
            tree = _read_tree(file)
            for name, values in _flatten(tree, file.stem, within.as_posix()):
                if len(self._lists) >= MOST_LISTS:
                    raise PromptError(f"more than {MOST_LISTS:,} lists of values.", where=root)
                self._lists[f"{folder}{name}"] = _always(values)
        except PromptError as fault:  # told when a wildcard is not found
            self._unreadable[within.as_posix()] = fault.message


def _always(values: list[Value]) -> Callable[[], list[Value]]:
    return lambda: values


def read_value(text: str, where: str = "") -> Value:
    """A value with its weight in front, if it has one: ``2.5::red``."""
    match = _WEIGHT.match(text)
    return Value(text[match.end() :], float(match[1]), where) if match else Value(text, 1.0, where)


def _files(root: Path) -> Iterator[Path]:
    """The wildcard files below `root`, in order; hidden ones and those that links lead out of it are left out."""
    inside = root.resolve()
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(folder, name)
            if not name.startswith(".") and file.suffix in (".txt", ".yaml", ".yml", ".json"):
                real = file.resolve()
                if real.is_relative_to(inside) and real.is_file():
                    yield file


def _match(pattern: str, names: Mapping[str, object]) -> list[str]:
    matches = re.compile(fnmatch.translate(pattern)).match
    return [name for name in names if matches(name)]


def _read_text(file: Path) -> str:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise PromptError(f"larger than {MOST_BYTES >> 20} MB.", where=file, hint="Split it.")
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise PromptError(f"not UTF-8 text (byte {fault.start}).", where=file, hint="Save it as UTF-8.") from None
    except OSError as fault:
        raise PromptError(f"cannot be read: {fault.strerror}.", where=file) from None


def _read_lines(file: Path, where: str) -> list[Value]:
    lines = (line.strip() for line in _read_text(file).splitlines())
    return [read_value(line, where) for line in lines if line and not line.startswith("#")]


def _read_tree(file: Path) -> Any:
    text = _read_text(file)
    if file.suffix == ".json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as fault:
            raise PromptError(f"not JSON: {fault}.", where=file) from None
    return _read_yaml(text, file)


def _read_yaml(text: str, file: Path) -> Any:
    """Mappings, lists and texts; every scalar is its own text, so that `no` and `1:30` stay what was written."""
    import yaml

    # NOTE: the library's constructors recurse; its events do not, whatever the nesting.
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    root: list[Any] = []
    stack: list[tuple[Any, list[str]]] = [(root, [])]
    anchors: dict[str, Any] = {}

    def put(value: Any, anchor: str | None) -> None:
        if anchor:
            anchors[anchor] = value
        holder, key = stack[-1]
        if isinstance(holder, list):
            holder.append(value)
        elif key:
            holder[key.pop()] = value
        else:
            key.append(value if isinstance(value, str) else "")

    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.ScalarEvent):
                put(event.value, event.anchor)
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in anchors:
                    raise PromptError(f"*{event.anchor} is not defined.", where=file)
                put(anchors[event.anchor], None)
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
                put(value, event.anchor)
                stack.append((value, []))
                if len(stack) > DEEPEST:
                    raise PromptError(f"nested more than {DEEPEST} deep.", where=file)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                stack.pop()
    except yaml.YAMLError as fault:
        raise PromptError(f"not YAML: {' '.join(str(fault).split())}.", where=file) from None
    return root[0] if root else None


def _flatten(tree: Any, stem: str, where: str) -> Iterator[tuple[str, list[Value]]]:
    """Every list of the tree by its path; a tree that is one list goes by the file's name."""
    if not isinstance(tree, dict):
        values = _read_items(tree, where)
        if values:
            yield stem, values
        return
    waiting: list[tuple[str, Any, int]] = [("", tree, 0)]
    seen = 0
    while waiting:
        prefix, branch, depth = waiting.pop()
        seen += 1
        if depth > DEEPEST or seen > MOST_LISTS:
            raise PromptError(f"more than {MOST_LISTS:,} keys, or nested in itself.", where=where)
        if isinstance(branch, dict):
            for key, child in reversed(branch.items()):
                waiting.append((f"{prefix}/{key}" if prefix else str(key), child, depth + 1))
        else:
            values = _read_items(branch, where)
            if values:
                yield prefix, values


def _read_items(items: Any, where: str) -> list[Value]:
    values = []
    for item in items if isinstance(items, list) else [items]:
        if isinstance(item, dict):
            text, weight = item.get("text", item.get("content")), _read_weight(item.get("weight", 1))
            if isinstance(text, str) and text and weight is not None:
                values.append(Value(text, weight, where))
        elif isinstance(item, str):
            if item.strip():
                values.append(read_value(item, where))
        elif isinstance(item, (int, float)):
            values.append(Value(json.dumps(item), 1.0, where))
    return values


def _read_weight(value: object) -> float | None:
    try:
        weight = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return weight if 0 <= weight < 1e9 else None
