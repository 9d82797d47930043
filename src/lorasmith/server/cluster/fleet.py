"""Where replicas run, as the worker that asks them sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lorasmith.server.cluster.messages import Lost, Order, Report


@dataclass(frozen=True)
class Greeted:
    """A replica can be given pictures; `process` is its id on its machine."""

    process: int


News = Report | Greeted | Lost


class Fleet(Protocol):
    """Starts replicas, talks to them, and tells when one has ended; its methods may be called from two threads. What
    is asked of one that has ended is nothing: `hear` tells of it once, and then it may be started again. `replicas` is
    how many there shall be at first."""

    replicas: int

    def start(self, name: str) -> None:
        """Start a replica of this name, unless there is one. Raises ClusterError when there is no room for it."""

    def ask(self, name: str, orders: Sequence[Order]) -> None:
        """Have pictures drawn."""

    def cancel(self, name: str, tokens: Sequence[int]) -> None:
        """Give pictures up."""

    def unload(self) -> None:
        """Let all of them let their bases go."""

    def hear(self, seconds: float, previews: bool) -> list[tuple[str, News]]:
        """What they say, waiting up to `seconds` for the first; whether previews are wanted from now on."""

    def end(self, name: str) -> None:
        """End one; nothing more is heard of it."""

    def close(self) -> None:
        """End all."""
