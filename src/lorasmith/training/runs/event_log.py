"""A run's events.jsonl."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from lorasmith.errors import StorageError
from lorasmith.events import Event
from lorasmith.remedies import Give, Sentence


class EventLog:
    """events.jsonl: one event a line, appended; `size` in bytes is what a resumed run goes back to."""

    _FLUSH_EVERY = 1.0

    def __init__(self, file: Path, size: int = 0) -> None:
        self._file = file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            os.truncate(file, min(size, file.stat().st_size))
            self._out = file.open("ab")
        except OSError as fault:
            raise self._full(fault) from fault
        self._flushed = time.monotonic()

    def append(self, event: Event) -> None:
        """Add an event; it is on disk within about a second. Raises StorageError."""
        try:
            self._out.write((json.dumps(event.as_json(), ensure_ascii=False) + "\n").encode())
            if time.monotonic() - self._flushed > self._FLUSH_EVERY:
                self.flush()
        except OSError as fault:
            raise self._full(fault) from fault

    def flush(self) -> int:
        """Write everything out; the file's size."""
        try:
            self._out.flush()
            self._flushed = time.monotonic()
            return self._out.tell()
        except OSError as fault:
            raise self._full(fault) from fault

    def close(self) -> None:
        """Write out what can be written."""
        try:
            self._out.close()
        except OSError as fault:
            raise self._full(fault) from fault

    def _full(self, fault: OSError) -> StorageError:
        return StorageError(
            f"cannot write: {fault.strerror}.",
            where=self._file,
            remedy=Sentence("Free some space, then go on with ", Give("resume"), "."),
        )
