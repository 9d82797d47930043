"""Which family of bases an adapter was made for."""

from __future__ import annotations

from lorasmith.adapters.adapter import Adapter
from lorasmith.bases.families import asked_families
from lorasmith.bases.families.family import Family


def family_of_adapter(adapter: Adapter) -> Family | None:
    """By the shapes of its layers, by their names, by the metadata: in order of trust; None when nothing tells."""
    extents = {name: factors.extent for name, factors in adapter.layers.items()}
    for family in asked_families():
        if family.fits_extents(extents):
            return family
    for family in asked_families():
        if family.own_names and any(name.startswith(family.own_names) for name in adapter.layers):
            return family
    version = adapter.metadata.get("ss_base_model_version", "").replace("_v", "")
    return next((family for family in asked_families() if version.startswith(family.version_words or ("?",))), None)
