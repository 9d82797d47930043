"""The stores of adapters behind a server: opened once in a process that draws, and how well their caches do."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.stored.files import open_file_cache
from lorasmith.adapters.stored.source import StoredAdapters
from lorasmith.adapters.stored.store import AdapterStore
from lorasmith.library.lookup import LibraryLookup
from lorasmith.server.settings import ServerSettings
from lorasmith.storage.places import data_folder

FILES = "adapter-files"
"""Below the user's data, where no other place is given."""
COUNTED = {
    "lorasmith_adapter_factors_hits_total": "Adapters of stores whose factors were in memory.",
    "lorasmith_adapter_factors_misses_total": "Adapters of stores whose factors had to be read.",
    "lorasmith_adapter_files_hits_total": "Files of stores that were on disk.",
    "lorasmith_adapter_files_misses_total": "Files of stores that had to be fetched.",
    "lorasmith_adapter_fetched_bytes_total": "Bytes fetched from stores.",
}
MEASURED = {
    "lorasmith_adapter_factors_bytes": "Memory of the stores' factors.",
    "lorasmith_adapter_files_bytes": "Disk of the stores' files.",
}


def open_source(settings: ServerSettings) -> AdapterCache | StoredAdapters:
    """The adapters that a server draws with, by name. Raises StorageError where the place for files cannot be used."""
    stored = open_stored(settings)
    return _read_folders(settings) if stored is None else stored


@cache
def open_stored(settings: ServerSettings) -> StoredAdapters | None:
    """Those with the stores' among them, the same in all of a process; None without stores. Raises StorageError."""
    if not settings.stores:
        return None
    return StoredAdapters(
        settings.adapters,
        [AdapterStore(url) for url in settings.stores],
        open_file_cache(settings.cache or data_folder() / FILES, settings.cache_bytes),
        settings.factor_bytes,
        _read_folders(settings),
        skip_unknown=settings.skip_unknown,
    )


def read_figures(settings: ServerSettings) -> Mapping[str, float]:
    """The figures of this process's caches by their names in `COUNTED` and `MEASURED`; none without stores."""
    source = open_stored(settings)
    if source is None:
        return {}
    counts, files = source.counts, source.files
    values = (
        *(counts.hits, counts.misses, files.counts.hits, files.counts.misses, files.counts.fetched),
        *(source.bytes, files.bytes),
    )
    return dict(zip((*COUNTED, *MEASURED), map(float, values), strict=True))


def _read_folders(settings: ServerSettings) -> AdapterCache:
    return AdapterCache(settings.adapters, skip_unknown=settings.skip_unknown, elsewhere=LibraryLookup())
