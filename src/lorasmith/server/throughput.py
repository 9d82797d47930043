"""How fast pictures are made, lately."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

LAST = 32


class Throughput:
    """Seconds of drawing for each of the last pictures. Pictures of one batch come together: the first to come took the
    time of all, the others none, and the mean is right. Time with nothing to draw does not count.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: float | None = None
        self._spans: deque[float] = deque(maxlen=LAST)

    def begin(self) -> None:
        """The first picture after a pause is begun."""
        self._since = self._clock()

    def finish(self) -> None:
        """A picture is done."""
        now = self._clock()
        if self._since is not None:
            self._spans.append(now - self._since)
        self._since = now

    @property
    def seconds(self) -> float | None:
        """Seconds a picture; None before there was one."""
        return sum(self._spans) / len(self._spans) if self._spans else None
