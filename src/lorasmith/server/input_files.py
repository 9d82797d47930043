"""Pictures that clients send, to start from: files named by their hash, which stay as long as somebody needs them."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from lorasmith.errors import StorageError
from lorasmith.server.store import Store
from lorasmith.storage.files import write_file

_LOG = logging.getLogger("lorasmith.server")


class InputFiles:
    """A file stays while a record names it or somebody holds it: a request that is being read, or a job in the making
    that is not recorded. Any thread may ask."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()

    @contextmanager
    def request(self) -> Iterator[RequestInputs]:
        """Keeps what one request sends. At the end of the block only that stays which a job has taken by then."""
        request = RequestInputs(self)
        try:
            yield request
        finally:
            self.release(request.names)

    def keep(self, data: bytes) -> str:
        """Keep a picture's file and hold it; gives its name. Raises StorageError, and nothing is held."""
        name = hashlib.sha256(data).hexdigest()
        with self._lock:
            path = self._store.input_path(name)
            if not path.is_file():
                write_file(path, data)
            self._held[name] += 1
        return name

    def hold(self, names: Iterable[str]) -> None:
        """Hold what is kept."""
        with self._lock:
            self._held.update(names)

    def release(self, names: Iterable[str]) -> None:
        """Hold no longer; what nobody else holds and no record names is deleted."""
        with self._lock:
            names = list(names)
            self._held.subtract(names)
            self._held = +self._held
            self._drop({name for name in names if name not in self._held})

    def tidy(self) -> None:
        """Delete whatever a server that ended left behind."""
        with self._lock:
            self._drop({name for name in self._store.inputs() if name not in self._held})

    def _drop(self, names: set[str]) -> None:
        try:
            self._store.drop_inputs(names)
        except StorageError as error:  # the next start finds them
            _LOG.error("%s", error)


class RequestInputs:
    """What one request has sent so far."""

    def __init__(self, files: InputFiles) -> None:
        self._files = files
        self.names: list[str] = []
        self.known: dict[str, str] = {}
        """The names of what was sent, by its text: a batch may send one picture for all."""

    def keep(self, data: bytes) -> str:
        """Keep a picture's file; gives its name. Raises StorageError."""
        name = self._files.keep(data)
        self.names.append(name)
        return name
