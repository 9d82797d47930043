"""The metadata of an adapter file, edited into a new file. Its tensors are copied byte for byte."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from lorasmith.adapters.container import header_bytes, payload_bytes
from lorasmith.adapters.files import load_adapter, read_tensors
from lorasmith.adapters.header import payload_hashes
from lorasmith.errors import UsageError
from lorasmith.storage.files import refuse_existing, write_file

SHORT = {
    "name": "ss_output_name",
    "trigger": "modelspec.trigger_phrase",
    **{word: f"modelspec.{word}" for word in ("title", "author", "description", "license", "tags", "usage_hint")},
    "thumbnail": "modelspec.thumbnail",
    "comment": "ss_training_comment",
}
_PREFIXES = ("ss_", "modelspec.", "lorasmith")


def read_edits(values: Iterable[str]) -> dict[str, str]:
    """``KEY=VALUE`` pairs, short names spelled out. Raises UsageError."""
    edits: dict[str, str] = {}
    for pair in values:
        key, equals, value = pair.partition("=")
        full = SHORT.get(key.strip(), key.strip())
        if not equals or not full.startswith(_PREFIXES):
            raise UsageError(
                f'"{pair}": expected KEY=VALUE with a known key.',
                hint=f"Keys: {', '.join(SHORT)}, or any that begins with ss_ or modelspec.",
            )
        edits[full] = value
    return edits


def edit_metadata(file: Path, out: Path, edits: Mapping[str, str], removed: Sequence[str] = ()) -> list[str]:
    """Write the file anew with these fields set and those that match `removed` taken away; gives the changed keys.

    The recorded hashes are computed anew: that of the tensors stays, as it does not depend on metadata. Raises
    AdapterError when the file is no sound adapter, UsageError when nothing matches, StorageError where `out` exists.
    """
    refuse_existing(out)
    old = load_adapter(file).metadata
    tensors = read_tensors(file)
    patterns = [SHORT.get(pattern, pattern) for pattern in removed]
    gone = {key for key in old if any(fnmatchcase(key, pattern) for pattern in patterns)}
    unmatched = [pattern for pattern in patterns if not any(fnmatchcase(key, pattern) for key in old)]
    if unmatched:
        raise UsageError(f"{', '.join(unmatched)}: the file has no such field.")
    metadata = {key: value for key, value in old.items() if key not in gone and not key.startswith("sshs_")}
    metadata |= edits
    metadata |= payload_hashes(tensors, metadata)
    write_file(out, header_bytes(tensors, metadata) + payload_bytes(tensors))
    return sorted(key for key in old.keys() | metadata.keys() if old.get(key) != metadata.get(key))
