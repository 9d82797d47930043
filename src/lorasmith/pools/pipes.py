"""Things sent through pipes between processes, whole."""

from __future__ import annotations

import pickle
from typing import IO, Any


def send(pipe: IO[bytes], thing: object) -> None:
    """Write one thing, its length first: a pickle read from a pipe as it stands waits for what comes after it."""
    data = pickle.dumps(thing)
    pipe.write(len(data).to_bytes(8, "little") + data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Read what `send` wrote. Raises EOFError at the end."""
    length = int.from_bytes(_exactly(pipe, 8), "little")
    return pickle.loads(_exactly(pipe, length))


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return data
