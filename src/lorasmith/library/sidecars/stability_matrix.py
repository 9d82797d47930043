"""`name.cm-info.json` of Stability Matrix: a model of Civitai's as it was when it was imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lorasmith.library.entry import HubFacts
from lorasmith.library.sidecars.sidecar import SidecarFacts
from lorasmith.library.sidecars.values import hash_of, plain_text, strength_of, table_of, text_of, texts_of

SUFFIX = ".cm-info.json"


def read(table: Mapping[str, Any]) -> SidecarFacts:
    """What such a file says."""
    hashes = table_of(table.get("Hashes"))
    model_id = text_of(table.get("ModelId"))
    hub = None
    if model_id not in ("", "0"):
        hub = HubFacts(
            source="civitai",
            model_id=model_id,
            version_id=text_of(table.get("VersionId")),
            name=text_of(table.get("ModelName")),
            version=text_of(table.get("VersionName")),
            creator=text_of(table.get("AuthorUsername")),
            base=text_of(table.get("BaseModel")),
            mature=table.get("Nsfw") is True,
        )
    defaults = table_of(table.get("InferenceDefaults"))
    return SidecarFacts(
        triggers=texts_of(table.get("TrainedWords")),
        tags=texts_of(table.get("Tags")),
        title=text_of(table.get("UserTitle")) or text_of(table.get("ModelName")),
        base=text_of(table.get("BaseModel")),
        description=plain_text(table.get("ModelDescription")),
        strength=strength_of(defaults.get("LoraWeight", defaults.get("Weight"))),
        mature=table.get("Nsfw") is True,
        sha256=hash_of(hashes.get("SHA256"), 64),
        hub=hub,
    )
