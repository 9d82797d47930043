"""A Hugging Face image folder on disk: `metadata.jsonl` or `metadata.csv` names the files and their captions."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from lorasmith.dataset.folders import Problem, composed, find_files, printable
from lorasmith.dataset.sources.folder import check_images, count, local_origin, pieces
from lorasmith.dataset.sources.source import Offer, SourceKind

_TABLES = ("metadata.jsonl", "metadata.csv")
_FILE = "file_name"
_TEXTS = ("text", "caption", "prompt", "additional_feature", "description", "tags")
_LONGEST = 1 << 20
Row = Mapping[str, Any]


def offer_table(path: Path) -> Offer | None:
    """The pictures of the folder; the table's text is the caption of those that have no sidecar. Rows that name no
    picture of the folder are named and left out. Raises DatasetError when there is no picture."""
    if not path.is_dir():
        return None
    found = find_files(path)
    tables = [place.path for place in found.others if place.path.name in _TABLES and _names_files(place.path)]
    if not tables:
        return None
    check_images(path, found)
    images = {composed(place.path): place.path for place in found.images} | {
        str(place.path): place.path for place in found.images
    }
    texts: dict[Path, str] = {}
    faults: list[Problem] = []
    for table in tables:
        for number, row in enumerate(_rows(table), start=1):
            name, text = row.get(_FILE), _text(row)
            target = _target(table.parent, name, images)
            if target is None:
                shown = f"{printable(table.name)} row {number}"
                faults.append(Problem("table", shown, table, f"names no picture of the folder: {_short(name)}."))
            elif text is not None:
                texts[target] = " ".join(text.split())
    label = path.resolve().name
    own = pieces(path, found, lambda place: local_origin(label, place), texts, used=set(tables))
    return Offer("image folder with a table", label, count(found) + len(texts), chain(faults, own))


def _text(row: Row) -> str | None:
    """The first text that is not empty, else an empty one; None without any."""
    texts = [row[key] for key in _TEXTS if isinstance(row.get(key), str)]
    return next((text for text in texts if text.strip()), texts[0] if texts else None)


def _target(folder: Path, name: object, images: Mapping[str, Path]) -> Path | None:
    """The picture that a row names, also with the separators of Windows or an accent in another form."""
    if not isinstance(name, str) or "\0" in name:
        return None
    for path in (folder / name, folder / name.replace("\\", "/")):
        if found := images.get(str(path)) or images.get(composed(path)):
            return found
    return None


def _names_files(table: Path) -> bool:
    return any(_FILE in row for _, row in zip(range(3), _rows(table), strict=False))


def _rows(table: Path) -> Iterator[Row]:
    """The rows that can be read; damaged ones come as empty rows, so that they are named by their number."""
    try:
        with table.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            lines = iter(partial(file.readline, _LONGEST), "")
            yield from _csv_rows(lines) if table.suffix == ".csv" else _json_rows(lines)
    except OSError:
        return


def _json_rows(lines: Iterable[str]) -> Iterator[Row]:
    for line in lines:
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        yield row if isinstance(row, dict) else {}


def _csv_rows(lines: Iterable[str]) -> Iterator[Row]:
    rows = csv.DictReader((line.replace("\0", "") for line in lines), strict=False)
    while True:
        try:
            yield next(rows)
        except StopIteration:
            return
        except csv.Error:  # a field that is too long
            yield {}


def _short(name: object) -> str:
    text = printable(str(name))
    return text if len(text) <= 60 else f"{text[:57]}..."


KIND = SourceKind("a Hugging Face image folder", offer_table)
