"""A Hugging Face image folder on disk: `metadata.jsonl` or `metadata.csv` names the files and their captions."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from lorasmith.dataset.encodings import NotTextError, decode
from lorasmith.dataset.folders import Problem, composed, find_files, printable
from lorasmith.dataset.sources.folder import check_images, count, local_origin, pieces
from lorasmith.dataset.sources.source import PLAIN, Offer, SourceKind, SourceOptions
from lorasmith.remedies import Give, Sentence

_TABLES = ("metadata.jsonl", "metadata.csv")
_FILE = "file_name"
_TEXTS = ("text", "caption", "prompt", "additional_feature", "description", "tags")
_LONGEST, _LARGEST = 1 << 20, 256 << 20
_RAW = re.compile("[\udc80-\udcff]")
"""A byte that is no UTF-8, as Python keeps it."""
Row = Mapping[str, Any]


def offer_table(path: Path, options: SourceOptions = PLAIN) -> Offer | None:
    """The pictures of the folder; the table's text is the caption of those that have no sidecar. Rows that name no
    picture of the folder are named and left out. Raises DatasetError when there is no picture."""
    if not path.is_dir():
        return None
    found = find_files(path, follow_links=options.follow_links)
    encoding = options.encoding
    listed = [place.path for place in found.others if place.path.name in _TABLES]
    tables = [table for table in listed if _names_files(table, encoding) or _is_foreign(table, encoding)]
    if not tables:
        return None
    check_images(path, found)
    images = {composed(place.path): place.path for place in found.images} | {
        str(place.path): place.path for place in found.images
    }
    texts: dict[Path, str] = {}
    faults: list[Problem] = []
    for table in tables:
        if _is_foreign(table, encoding):
            faults.append(Problem("table", printable(table.name), table, _not_text(table.read_bytes(), encoding)))
            continue
        for number, row in enumerate(_rows(table, encoding), start=1):
            if raw := next((text for text in row.values() if isinstance(text, str) and _RAW.search(text)), None):
                message = _not_text(os.fsencode(raw), encoding)
                faults.append(Problem("table", f"{printable(table.name)} row {number}", table, message))
                continue
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


def _names_files(table: Path, encoding: str) -> bool:
    return any(_FILE in row for _, row in zip(range(3), _rows(table, encoding), strict=False))


def _is_foreign(table: Path, encoding: str) -> bool:
    """Whether it is in an encoding of more than one byte a letter, that `encoding` does not read: no row of it can."""
    with table.open("rb") as file:
        head = file.read(1 << 12)
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or head.count(0) > len(head) // 4
    return wide and not _told(table, encoding)


def _told(table: Path, encoding: str) -> str:
    """The whole text in the encoding that was told; "" without one, or where it is another."""
    try:
        return decode(table.read_bytes(), encoding) if encoding and table.stat().st_size <= _LARGEST else ""
    except (NotTextError, OSError):
        return ""


def _not_text(data: bytes, encoding: str) -> str:
    try:
        decode(data, encoding)
    except NotTextError as fault:
        return f"{fault}. {Sentence('If so: ', Give('encoding', fault.guess))}"
    return "cannot be read."


def _rows(table: Path, encoding: str) -> Iterator[Row]:
    """The rows that can be read; damaged ones come as empty rows, so that they are named by their number. Bytes that
    are no UTF-8 stay what they are, as the file system's names do."""
    read = _csv_rows if table.suffix == ".csv" else _json_rows
    if text := _told(table, encoding):
        yield from read(io.StringIO(text, newline=""))
        return
    try:
        with table.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield from read(iter(partial(file.readline, _LONGEST), ""))
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
