"""`name.civitai.info` of Civitai Helper: a version as Civitai's interface gives it, in one JSON table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.library.entry import HubFacts
from lorasmith.library.sidecars.sidecar import SidecarFacts
from lorasmith.library.sidecars.values import hash_of, plain_text, table_of, text_of, texts_of

SUFFIX = ".civitai.info"


def read(table: Mapping[str, Any]) -> SidecarFacts:
    """What a version says: words, base, hashes of its first file, and where it is from."""
    model = table_of(table.get("model"))
    files = table.get("files")
    first = table_of(files[0]) if isinstance(files, list) and files else {}
    hashes = table_of(first.get("hashes"))
    hub = _hub(table, model)
    return SidecarFacts(
        triggers=texts_of(table.get("trainedWords")),
        tags=texts_of(model.get("tags")),
        title=text_of(model.get("name")),
        base=text_of(table.get("baseModel")),
        description=plain_text(table.get("description")) or plain_text(model.get("description")),
        mature=model.get("nsfw") is True,
        sha256=hash_of(hashes.get("SHA256"), 64),
        autov3=hash_of(hashes.get("AutoV3"), 12),
        hub=hub,
    )


def _hub(table: Mapping[str, Any], model: Mapping[str, Any]) -> HubFacts | None:
    model_id, version_id = text_of(table.get("modelId")), text_of(table.get("id"))
    if not model_id:
        return None
    return HubFacts(
        source="civitai",
        model_id=model_id,
        version_id=version_id,
        name=text_of(model.get("name")),
        version=text_of(table.get("name")),
        creator=text_of(table_of(table.get("creator")).get("username")),
        base=text_of(table.get("baseModel")),
        mature=model.get("nsfw") is True,
    )
