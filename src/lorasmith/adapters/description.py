"""What an adapter file says about itself, and whether that is true."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.files import adapter_files, load_adapter, read_tensors
from lorasmith.adapters.header import HashReport, check_hashes
from lorasmith.adapters.spelling.names import origin_of
from lorasmith.bases.families import is_text_layer

TOP_TAGS = 12
LOST_MAGNITUDES = "diffusers drops DoRA's magnitudes under these names; in its own spelling it reads them"


@dataclass(frozen=True)
class Description:
    """An adapter file, looked at. `family` is its family's name, or what the header calls one that is not known; None
    when nothing tells."""

    path: Path
    bytes: int
    adapter: Adapter
    keys: int
    dtype: str
    family: str | None
    hashes: HashReport
    tags: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]

    @property
    def trigger(self) -> str:
        return self.adapter.metadata.get("modelspec.trigger_phrase", "")

    def as_json(self) -> dict[str, Any]:
        """JSON-ready; `hashes.ok` is null when none that can be checked is recorded, `hashes.kind` says which."""
        adapter = self.adapter
        text = sum(is_text_layer(name) for name in adapter.layers)
        return {
            "path": str(self.path),
            "name": adapter.metadata.get("ss_output_name", adapter.name),
            "title": adapter.metadata.get("modelspec.title", ""),
            "trigger": self.trigger,
            "family": self.family,
            "base": adapter.metadata.get("ss_sd_model_name", ""),
            "algorithms": sorted({factors.algorithm for factors in adapter.layers.values()}),
            "rank": adapter.rank,
            "alpha": adapter.alpha,
            "layers": {
                "unet": len(adapter.layers) - text,
                "text_encoder": text,
            },
            "keys": self.keys,
            "dtype": self.dtype,
            "bytes": self.bytes,
            "hashes": {"ok": self.hashes.ok, "kind": self.hashes.kind, **self.hashes.computed},
            "embeddings": sorted({key.split(".")[1] for key in adapter.embeddings}),
            "skipped": sorted(adapter.skipped),
            "notes": list(self.notes),
            "tags": [list(tag) for tag in self.tags],
        }


def describe(path: Path | str, skip_unknown: bool = False) -> Description:
    """Read a file whole and describe it. Raises AdapterError when it is not a sound adapter, or, without
    `skip_unknown`, has keys that cannot be used."""
    whole = Path(path)
    adapter = load_adapter(whole, skip_unknown)
    files = adapter_files(whole)
    parts = [read_tensors(file) for file in files]
    tensors = [tensor for part in parts for tensor in part.values()]
    return Description(
        path=whole,
        bytes=sum(file.stat().st_size for file in files),
        adapter=adapter,
        keys=len(tensors),
        dtype=Counter(str(tensor.dtype).removeprefix("torch.") for tensor in tensors).most_common(1)[0][0],
        family=origin_of(adapter).name,
        hashes=check_hashes(parts[0], adapter.metadata) if len(parts) == 1 else HashReport({}, {}),
        tags=_tags(adapter),
        notes=(LOST_MAGNITUDES,) if any(key.endswith(".dora_scale") for part in parts for key in part) else (),
    )


def problems_of(description: Description) -> list[str]:
    """What a reader of the file would be misled by; empty when it is in order."""
    problems: list[str] = []
    hashes = description.hashes
    for key, recorded in hashes.recorded.items() if hashes.ok is False else ():
        computed = hashes.computed[key]
        if recorded.removeprefix("0x").lower() != computed:
            problems.append(f"{key} says {recorded[:12]}, its tensors give {computed[:12]}.")
    recorded_rank = description.adapter.metadata.get("ss_network_dim")
    # A rank that LyCORIS was given may be any number above what its factors can have.
    plain = all(set(factors.parts) <= _RANKED for factors in description.adapter.layers.values())
    if plain and recorded_rank not in (None, "Dynamic", "None", str(description.adapter.rank)):
        problems.append(f"its metadata say rank {recorded_rank}, its tensors have {description.adapter.rank}.")
    return problems


_RANKED = {"lora", "dora", "tucker", "norm", "biased"}
"""Algorithms whose tensors have the rank that was asked for."""


def _tags(adapter: Adapter) -> tuple[tuple[str, int], ...]:
    """The commonest tags of its training captions, over all folders; none where the record is missing, broken."""
    total: Counter[str] = Counter()
    try:
        for counts in json.loads(adapter.metadata.get("ss_tag_frequency", "{}")).values():
            total.update({str(tag).strip(): int(count) for tag, count in counts.items()})
    except (ValueError, TypeError, AttributeError):
        return ()
    return tuple(total.most_common(TOP_TAGS))
