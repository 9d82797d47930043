"""Adapters of stores beside those of folders, as whoever checks requests sees them: by name, nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lorasmith.adapters.catalogue import AdapterEntry, Catalogue, Elsewhere
from lorasmith.adapters.stored.store import AdapterStore


class StoredCatalogue(Catalogue):
    """The adapters of folders, with those of stores. Of these, lists show what the store says without reading the
    files: names, sizes, triggers of a manifest."""

    def __init__(self, folders: Sequence[Path], stores: Sequence[AdapterStore], elsewhere: Elsewhere) -> None:
        super().__init__(folders, _Stores(stores, elsewhere))
        self._stores = tuple(stores)

    def entries(self) -> list[AdapterEntry]:
        """All of them by name; of the folders' headers are read. Raises StorageError where a store does not answer."""
        found = {
            each.name: AdapterEntry(
                each.name,
                Path(each.file),
                each.file,
                each.bytes,
                {"modelspec.trigger_phrase": each.trigger} if each.trigger else {},
            )
            for store in reversed(self._stores)
            for each in store.entries()
        }
        found |= {entry.name: entry for entry in super().entries()}
        return [found[name] for name in sorted(found)]


class _Stores:
    """What is known of names that no folder has."""

    def __init__(self, stores: Sequence[AdapterStore], then: Elsewhere) -> None:
        self._stores = tuple(stores)
        self._then = then

    def files(self, name: str) -> Sequence[Path]:
        found = next((stored for store in self._stores if (stored := store.find(name)) is not None), None)
        return self._then.files(name) if found is None else [Path(found.file)]

    def triggers(self, path: Path) -> Sequence[str]:
        name = path.as_posix().removesuffix(".safetensors")
        found = next((stored for store in self._stores if (stored := store.find(name)) is not None), None)
        if found is None:
            return self._then.triggers(path)
        return [found.trigger] if found.trigger else []

    def near(self, name: str) -> Sequence[str]:
        return [near for store in self._stores for near in store.near(name)] or self._then.near(name)
