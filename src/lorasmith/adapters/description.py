"""What an adapter file says about itself, and whether that is true."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.family import family_of_adapter
from lorasmith.adapters.files import load_adapter, read_tensors
from lorasmith.adapters.header import HashReport, check_hashes
from lorasmith.bases.families import is_text_layer

TOP_TAGS = 12


@dataclass(frozen=True)
class Description:
    """An adapter file, looked at. `family` is None when neither shapes nor metadata tell it."""

    path: Path
    adapter: Adapter
    keys: int
    dtype: str
    family: str | None
    hashes: HashReport
    tags: tuple[tuple[str, int], ...]

    @property
    def trigger(self) -> str:
        return self.adapter.metadata.get("modelspec.trigger_phrase", "")

    def as_json(self) -> dict[str, Any]:
        """JSON-ready; `hashes.ok` is null when the header records none."""
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
            "bytes": self.path.stat().st_size,
            "hashes": {"ok": self.hashes.ok, **self.hashes.computed},
            "tags": [list(tag) for tag in self.tags],
        }


def describe(path: Path | str) -> Description:
    """Read a file whole and describe it. Raises AdapterError when it is not a sound adapter."""
    file = Path(path)
    adapter = load_adapter(file)
    tensors = read_tensors(file)
    family = family_of_adapter(adapter)
    return Description(
        path=file,
        adapter=adapter,
        keys=len(tensors),
        dtype=Counter(str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()).most_common(1)[0][0],
        family=None if family is None else family.name,
        hashes=check_hashes(tensors, adapter.metadata),
        tags=_tags(adapter),
    )


def problems_of(description: Description) -> list[str]:
    """What a reader of the file would be misled by; empty when it is in order."""
    problems: list[str] = []
    for key, recorded in description.hashes.recorded.items():
        computed = description.hashes.computed[key]
        if recorded.removeprefix("0x").lower() != computed:
            problems.append(f"{key} says {recorded[:12]}, its tensors give {computed[:12]}.")
    if not description.hashes.recorded:
        problems.append("it records no hash of its tensors (sshs_model_hash): galleries may attribute it wrongly.")
    recorded_rank = description.adapter.metadata.get("ss_network_dim")
    if recorded_rank not in (None, "Dynamic", "None", str(description.adapter.rank)):
        problems.append(f"its metadata say rank {recorded_rank}, its tensors have {description.adapter.rank}.")
    return problems


def _tags(adapter: Adapter) -> tuple[tuple[str, int], ...]:
    """The commonest tags of its training captions, over all folders; none where the record is missing, broken."""
    total: Counter[str] = Counter()
    try:
        for counts in json.loads(adapter.metadata.get("ss_tag_frequency", "{}")).values():
            total.update({str(tag).strip(): int(count) for tag, count in counts.items()})
    except (ValueError, TypeError, AttributeError):
        return ()
    return tuple(total.most_common(TOP_TAGS))
