"""Where every picture of a project is from: one JSON line each in `sources.jsonl`, by the file's sha256."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from lorasmith.errors import StorageError
from lorasmith.project import Project
from lorasmith.storage.files import write_file

FILE_NAME = "sources.jsonl"


@dataclass(frozen=True)
class Provenance:
    """Origin of the file with this sha256. `name` is what it was called when it came in; `source` an address, or a
    file's name where it is the user's own; dates are YYYY-MM-DD. "" is what is not known."""

    sha256: str
    name: str = ""
    source: str = ""
    author: str = ""
    licence: str = ""
    published: str = ""
    retrieved: str = ""


def read_provenance(project: Project) -> Mapping[str, Provenance]:
    """What is known of each picture, by its sha256; lines that cannot be read are left out.

    The author, licence and source of [provenance] in lora.toml stand for what a line does not say.
    """
    given = project.provenance
    known = _read(project.root / FILE_NAME)
    return {
        one.sha256: Provenance(
            one.sha256,
            one.name,
            one.source or given.source,
            one.author or given.author,
            one.licence or given.licence,
            one.published,
            one.retrieved,
        )
        for one in known
    }


def record_provenance(root: Path, new: Iterable[Provenance], into: Path | None = None) -> Path:
    """Add lines to the file in `root`; a picture that is known already keeps its first line.

    With `into` the file with them is written there, and that of `root` stays. Raises StorageError.
    """
    file = (into or root) / FILE_NAME
    known = {one.sha256: one for one in _read(root / FILE_NAME)}
    for one in new:
        known.setdefault(one.sha256, one)
    return write_file(file, "".join(_line(one) for one in known.values()))


def _line(one: Provenance) -> str:
    return json.dumps({key: value for key, value in asdict(one).items() if value}, ensure_ascii=True) + "\n"


def _read(file: Path) -> list[Provenance]:
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as fault:
        raise StorageError(f"cannot be read: {fault.strerror}.", where=file, hint="Correct its rights.") from None
    return [one for line in lines if (one := _parse(line)) is not None]


def _parse(line: bytes) -> Provenance | None:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not isinstance(values.get("sha256"), str):
        return None
    names = [field.name for field in fields(Provenance)]
    return Provenance(**{name: values[name] for name in names if isinstance(values.get(name), str)})
