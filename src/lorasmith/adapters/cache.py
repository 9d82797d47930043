"""The adapters and embeddings that a prompt can name: files in folders, the last used kept loaded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lorasmith.adapters.catalogue import AdapterEntry, Catalogue, Elsewhere, Stamp, stamp_of
from lorasmith.adapters.embeddings.catalogue import EmbeddingCatalogue, EmbeddingEntry
from lorasmith.adapters.spelling.keys import BUNDLED
from lorasmith.bases.text.embeddings import Vocabulary
from lorasmith.container import SIZES, read_container
from lorasmith.errors import AdapterError, LorasmithError
from lorasmith.storage.lru import ByteLru

if TYPE_CHECKING:
    from lorasmith.adapters.adapter import Adapter

DEFAULT_BYTES = 512 * 2**20


class AdapterCache:
    """Adapters by the names of the catalogue of `folders`, and those that are known `elsewhere`.

    With `skip_unknown` an adapter acts without what of it cannot be used (`Adapter.skipped`). Loaded factors are kept
    up to `capacity` bytes, the least recently used go first; a file changed on disk is read again.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        capacity: int = DEFAULT_BYTES,
        *,
        skip_unknown: bool = False,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._skip_unknown = skip_unknown
        self._catalogue = Catalogue(folders, elsewhere)
        self._embeddings = EmbeddingCatalogue(folders)
        self._loaded: ByteLru[Path, tuple[Stamp, Adapter]] = ByteLru(capacity)

    def names(self) -> list[str]:
        """The names, sorted."""
        return self._catalogue.names()

    def entries(self) -> list[AdapterEntry]:
        """All of them, with what their headers say."""
        return self._catalogue.entries()

    def embeddings(self) -> list[EmbeddingEntry]:
        """The embeddings' files in the folders, and in the folders `embeddings` that go with them."""
        return self._embeddings.entries()

    def words(self, adapters: Sequence[Adapter] = ()) -> Vocabulary:
        """The embeddings that a prompt can call, with those in the files of the adapters that it calls."""
        return self._embeddings.words(adapters)

    def words_of(self, names: Sequence[str]) -> Vocabulary:
        """`words` with the adapters of these names, as far as there are such; only those with embeddings are loaded."""
        called = []
        for name in names:
            try:
                path = self.path(name)
                holds = path.is_file() and any(key.startswith(BUNDLED) for key in _keys(path))
            except LorasmithError:
                continue  # whoever reads the prompt tells it
            if holds:
                called.append(self.get(name))
        return self.words(called)

    def trigger(self, name: str) -> str:
        """The trigger phrase of an adapter, "" for none. Raises PromptError naming the nearest names."""
        return self._catalogue.trigger(name)

    def path(self, name: str) -> Path:
        """The file of a name. Raises PromptError naming the nearest names."""
        return self._catalogue.find(name)[0]

    def get(self, name: str) -> Adapter:
        """The adapter of a name, loaded or kept. Raises PromptError, AdapterError."""
        path = self.path(name)
        stamp = stamp_of(path)
        kept = self._loaded.get(path)
        if kept is None or kept[0] != stamp:
            from lorasmith.adapters.files import load_adapter  # with torch, which prompts are explained without

            kept = (stamp, load_adapter(path, self._skip_unknown))
            self._loaded.put(path, kept, kept[1].bytes)
        return kept[1]

    @property
    def bytes(self) -> int:
        """Memory of the loaded factors."""
        return self._loaded.bytes


def _keys(path: Path) -> Collection[str]:
    """The keys of an adapter's file; none where it has types that adapters do not use. Raises AdapterError."""
    tensors = read_container(path, AdapterError, "an adapter").tensors
    return tensors if all(entry.dtype in SIZES for entry in tensors.values()) else ()
