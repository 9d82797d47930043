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
    if settings.stores:
        return _open_stored(settings)
    return AdapterCache(settings.adapters, skip_unknown=settings.skip_unknown, elsewhere=LibraryLookup())


@cache
def _open_stored(settings: ServerSettings) -> StoredAdapters:
    other = AdapterCache(settings.adapters, skip_unknown=settings.skip_unknown, elsewhere=LibraryLookup())
    files = open_file_cache(settings.cache or data_folder() / FILES, settings.cache_bytes)
    stores = [AdapterStore(url) for url in settings.stores]
    return StoredAdapters(
        settings.adapters, stores, files, settings.factor_bytes, other, skip_unknown=settings.skip_unknown
    )


def read_figures(settings: ServerSettings) -> Mapping[str, float]:
    """The figures of this process's caches by their names in `COUNTED` and `MEASURED`; none without stores."""
    if not settings.stores:
        return {}
    source = _open_stored(settings)
    counts, files = source.counts, source.files
    values = (
        *(counts.hits, counts.misses, files.counts.hits, files.counts.misses, files.counts.fetched),
        *(source.bytes, files.bytes),
    )
    return dict(zip((*COUNTED, *MEASURED), map(float, values), strict=True))
