"""Which family of bases an adapter was made for."""

from __future__ import annotations

from lorasmith.adapters.adapter import Adapter
from lorasmith.bases.families import asked_families
from lorasmith.bases.families.family import Family


def family_of_adapter(adapter: Adapter) -> Family | None:
    """By the width of the text that its cross-attention reads, by names, by the metadata: in order of trust; None when
    nothing tells."""
    widths = {family.text_width: family for family in asked_families() if family.text_width is not None}
    for name, factors in adapter.layers.items():
        if name.endswith("attn2_to_k"):
            width = factors.extent[1] if len(factors.extent) > 1 else None
            if width in widths:
                return widths[width]
    for family in asked_families():
        if family.own_names and any(name.startswith(family.own_names) for name in adapter.layers):
            return family
    version = adapter.metadata.get("ss_base_model_version", "").replace("_v", "")
    return next((family for family in asked_families() if version.startswith(family.version_words or ("?",))), None)
