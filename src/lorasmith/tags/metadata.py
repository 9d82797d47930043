"""Files in which other tools keep tags and captions, read into entries that name their image."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.dataset.encodings import NotTextError, decode
from lorasmith.dataset.folders import printable
from lorasmith.errors import DatasetError
from lorasmith.remedies import Give, Sentence
from lorasmith.tags.words import is_sentence

_LARGEST = 256 << 20  # bytes of one file
_LONGEST = 100_000  # characters of one caption
_FILE_KEYS = ("file_name", "image_path", "file", "filename", "image", "path", "image_key", "name", "key", "sha256")
_TAG_KEYS = ("tags", "tag_string", "wd_tags", "labels")
_TEXT_KEYS = ("caption", "text", "prompt", "description")
_HUB_LISTS = ("metadata.jsonl", "metadata.csv")
_SIDECARS = (".txt", ".caption")  # the first goes before the second


@dataclass(frozen=True)
class Entry:
    """What a file says of one image. `image`: its path, name, stem or sha256, with "/" between folders; `tags`: one
    comma-separated text; `sentence`: a description in words; `where`: file and line, for messages."""

    image: str
    tags: str | None
    sentence: str | None
    where: str


@dataclass(frozen=True)
class Unreadable:
    """A part of a file that is no entry, and why."""

    where: str
    message: str


def read_entries(source: Path, encoding: str = "") -> Iterator[Entry | Unreadable]:
    """The entries of a file or a folder; nothing is changed. `encoding`: of what is not UTF-8.

    A folder: the .txt and .caption files in it at any depth (where both stand, .txt), a metadata.jsonl or
    metadata.csv of an image-folder dataset. A file: .json (kohya's ``{key: {"tags", "caption"}}``, or a list of
    entries), .jsonl (one entry a line), .csv or .tsv (with or without a header; a file and its tags).
    Raises DatasetError when the whole cannot be read.
    """
    if source.is_dir():
        yield from _read_folder(source, encoding)
        return
    if not source.is_file():
        raise DatasetError("no such file or folder.", where=source, hint="Give a folder, or a .json, .jsonl or .csv.")
    readers = {".json": _read_json, ".jsonl": _read_lines, ".ndjson": _read_lines, ".csv": _read_csv, ".tsv": _read_csv}
    reader = readers.get(source.suffix.lower())
    if reader is None:
        raise DatasetError(
            f"{source.suffix or 'a file without extension'}: not a kind of tag list.",
            where=source,
            hint="Give a .json, .jsonl or .csv file, or the folder of the .txt files.",
        )
    if source.stat().st_size > _LARGEST:
        raise DatasetError(f"larger than {_LARGEST >> 20} MB, which may be a trap.", where=source, hint="Split it.")
    try:
        yield from reader(source, _read_text(source, encoding))
    except NotTextError as fault:
        remedy = Sentence("If so: ", Give("encoding", fault.guess), ". Else save it as UTF-8.")
        raise DatasetError(f"{fault}.", where=source, remedy=remedy) from None
    except OSError as fault:
        raise DatasetError(f"cannot be read: {fault.strerror}.", where=source) from None


def _read_text(file: Path, encoding: str) -> str:
    """The text of a list. NULs among rows that can be read are left to the rows."""
    data = file.read_bytes()
    stray = data.count(0) <= len(data) // 8
    return decode(data.replace(b"\0", b"") if stray else data, encoding)


def _read_folder(folder: Path, encoding: str) -> Iterator[Entry | Unreadable]:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SIDECARS and _is_inside(file, folder))
    chosen: dict[Path, Path] = {}
    for file in sorted(files, key=lambda file: _SIDECARS.index(file.suffix.lower())):
        chosen.setdefault(file.with_suffix(""), file)
    for file in sorted(chosen.values()):
        name = printable(file.relative_to(folder).as_posix())
        try:
            if file.stat().st_size > 4 * _LONGEST:
                yield Unreadable(name, "too long for a caption.")
                continue
            text = decode(file.read_bytes(), encoding)
        except NotTextError as fault:
            yield Unreadable(name, f"{fault}. {Sentence('If so: ', Give('encoding', fault.guess))}")
            continue
        except OSError as fault:
            yield Unreadable(name, f"{fault.strerror}.")
            continue
        yield _caption_entry(name[: -len(file.suffix)], text, name)
    for name in _HUB_LISTS:
        if (folder / name).is_file() and _is_inside(folder / name, folder):
            yield from read_entries(folder / name, encoding)


def _is_inside(file: Path, folder: Path) -> bool:
    """Whether it is a regular file that is not hidden; a link may not lead out of the folder."""
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return not hidden and file.is_file() and file.resolve().is_relative_to(folder.resolve())


def _read_json(file: Path, content: str) -> Iterator[Entry | Unreadable]:
    try:
        document: Any = json.loads(content)
    except RecursionError:
        raise DatasetError("nested too deeply for a tag list.", where=file) from None
    except ValueError as fault:
        raise DatasetError(f"not valid JSON: {fault}.", where=file) from None
    if isinstance(document, list):
        for number, values in enumerate(document, start=1):
            yield _entry(values, f"{file.name}, entry {number}")
    elif isinstance(document, dict):
        for key, values in document.items():
            where = f"{file.name}: {_clean(key)[:80]}"
            if isinstance(values, str | list):
                yield _entry({"file_name": key, "tags": values}, where)
            elif isinstance(values, dict):
                yield _entry({**values, "file_name": key}, where)
            else:
                yield Unreadable(where, f"{type(values).__name__} instead of tags.")
    else:
        raise DatasetError("neither a table of images nor a list of entries.", where=file)


def _read_lines(file: Path, content: str) -> Iterator[Entry | Unreadable]:
    for number, line in enumerate(io.StringIO(content), start=1):
        if not line.strip():
            continue
        where = f"{file.name}, line {number}"
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            yield Unreadable(where, "not valid JSON.")
            continue
        yield _entry(values, where)


def _read_csv(file: Path, content: str) -> Iterator[Entry | Unreadable]:
    rows = csv.reader(io.StringIO(content, newline=""), delimiter="\t" if file.suffix.lower() == ".tsv" else ",")
    header: Sequence[str] | None = None
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as fault:
            yield Unreadable(f"{file.name}, line {rows.line_num}", f"not a row of a table ({fault}).")
            continue
        where = f"{file.name}, line {rows.line_num}"
        if header is None:
            header = [cell.strip().casefold() for cell in row]
            if set(header) & set(_FILE_KEYS) and set(header) & {*_TAG_KEYS, *_TEXT_KEYS}:
                continue
            header = ()
        if not row:
            continue
        if header:
            yield _entry(dict(zip(header, row, strict=False)), where)
        elif len(row) == 1:
            yield Unreadable(where, "a file without tags.")
        else:  # without a header: the file, then its tags, in one cell or in many
            yield _entry({"file_name": row[0], "tags": [cell for cell in row[1:] if cell.strip()]}, where)


def _entry(values: Any, where: str) -> Entry | Unreadable:
    """The entry of one row; a caption that is a list of tags counts as tags."""
    if not isinstance(values, Mapping):
        return Unreadable(where, f"{type(values).__name__} instead of an entry.")
    image = next((value for key in _FILE_KEYS if isinstance(value := values.get(key), str) and value.strip()), None)
    if image is None:
        return Unreadable(where, f"names no image ({', '.join(_FILE_KEYS[:3])}, ...).")
    given = next((value for key in _TAG_KEYS if (value := values.get(key)) is not None), None)
    said = next((value for key in _TEXT_KEYS if (value := values.get(key)) is not None), None)
    if given is None and said is None:
        return Unreadable(where, f"{_clean(image)[:80]}: neither tags nor a caption.")
    tags, caption = _text(given), _text(said)
    if (given is not None and tags is None) or (said is not None and caption is None):
        return Unreadable(where, f"{_clean(image)[:80]}: its tags are no text, or too long.")
    image = _clean(image).replace("\\", "/").strip()
    if given is None:
        return _caption_entry(image, caption or "", where)
    return Entry(image, tags, caption or None, where)


def _caption_entry(image: str, text: str, where: str) -> Entry:
    """The entry of a caption: the lines in sentences apart, all others tags. A caption that is nothing but sentences
    stays as it is among the tags, in its own order."""
    lines = [line for line in map(str.strip, _clean(text).splitlines()) if line]
    sentences = [line for line in lines if is_sentence(line)]
    tags = [line for line in lines if not is_sentence(line)]
    if not tags or not sentences:
        return Entry(image, ", ".join(lines), None, where)
    return Entry(image, ", ".join(tags), " ".join(sentences), where)


def _text(value: Any) -> str | None:
    """A text, a list of texts, or a table of scores by tag, as one text; None for anything else."""
    if isinstance(value, Mapping):
        scored = [(score, tag) for tag, score in value.items() if isinstance(score, int | float)]
        value = [tag for _, tag in sorted(scored, key=lambda pair: -pair[0])] if len(scored) == len(value) else None
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = ", ".join(value)
    return _clean(value) if isinstance(value, str) and len(value) <= _LONGEST else None


def _clean(text: str) -> str:
    """Without what no UTF-8 file can hold, and without control characters other than line breaks and tabs."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return re.sub(r"[^\S\n\t ]|[\x00-\x08\x0e-\x1f\x7f]", " ", whole.replace("\r\n", "\n").replace("\r", "\n"))
