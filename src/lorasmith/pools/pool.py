"""Deal a pure function out over workers, chunk by chunk.

A worker that dies costs time and nothing else: what it held is dealt out again, in halves, until an item is alone; one
that then ends its worker DEATHS times is given back as `killed`. Whatever a slow or a lost worker says too late is not
heard, so that every item is answered once.
"""

from __future__ import annotations

import pickle
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from statistics import median
from types import TracebackType
from typing import Any, Protocol

#: So often an item may be alone in a worker that ends before it is called the reason: a worker also ends because
#: somebody ends it, or with its machine.
DEATHS = 3
PATIENCE, MANY_TIMES = 5.0, 4.0
"""Seconds, and times the median, after which a chunk on a machine elsewhere is asked of another, too."""
_LOOK = 0.5  # seconds
_tokens = count(1)
"""Of chunks, whoever asks: calls that are given up must not answer others, also where they share workers."""


@dataclass(frozen=True)
class Job:
    """What workers do: `open(*given)` is called once in each of them, where a model may be loaded, and gives the
    function of one item. Both must be importable by name, pure, and alike on every machine."""

    open: Callable[..., Callable[[Any], Any]]
    given: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What became of the item at `place`: its result, or what was raised; `killed` when it ends every process that
    takes it."""

    place: int
    result: Any = None
    fault: Exception | None = None
    killed: bool = False

    def get(self) -> Any:
        """The result. Raises what the job raised."""
        if self.fault is not None:
            raise self.fault
        return self.result


class NoWorkers(Exception):
    """No worker can be started: the process that asks does the work itself."""


Said = tuple[bool, Any]
"""(True, result) or (False, exception) of one item."""


class Body(Protocol):
    """Where the workers are. `elsewhere`: on other machines, which may be slow by themselves."""

    elsewhere: bool

    @property
    def workers(self) -> int:
        """How many chunks are worked on at once; may change as workers come and go."""

    def free(self) -> int:
        """How many chunks can be asked now."""

    def ask(self, token: int, job: bytes, items: Sequence[Any]) -> None:
        """Give a chunk to a free worker; `job` is a pickled Job."""

    def hear(self, seconds: float) -> list[tuple[int, list[Said] | None]]:
        """What has been answered, waiting up to `seconds` for the first; None of a chunk whose worker died."""

    def close(self) -> None:
        """End the workers, whatever they are at."""


@dataclass
class _Chunk:
    """Items by their places, how often their worker died, and since when they are asked."""

    places: range
    deaths: int = 0
    since: float = 0.0
    tokens: set[int] = field(default_factory=set)


class Pool:
    """Workers of one body; without one, this process does all. Enter it, so that they end, unless they are `lent`."""

    def __init__(self, body: Body | None = None, *, lent: bool = False) -> None:
        self._body, self._lent = body, lent

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        if self._body is not None and not self._lent:
            self._body.close()

    @property
    def helped(self) -> bool:
        """Whether others than this process do the work."""
        return self._body is not None

    @property
    def workers(self) -> int:
        """How many items are worked on at once."""
        return 1 if self._body is None else self._body.workers

    def each(self, job: Job, items: Sequence[Any], chunk: int = 8) -> Generator[Answer, None, None]:
        """An answer for every item, once, as they come. Leave it at any time: what is still worked on is not heard."""
        if self._body is None:
            work = job.open(*job.given)
            yield from (answer_of(place, *say(work, item)) for place, item in enumerate(items))
            return
        yield from _Deal(self._body, job, items, chunk).answers()

    def in_order(self, job: Job, items: Sequence[Any], chunk: int = 8) -> Generator[Answer, None, None]:
        """Like `each`, in the order of the items."""
        waiting: dict[int, Answer] = {}
        following = 0
        for answer in self.each(job, items, chunk):
            waiting[answer.place] = answer
            while following in waiting:
                yield waiting.pop(following)
                following += 1


class _Deal:
    """One call's chunks on their way."""

    def __init__(self, body: Body, job: Job, items: Sequence[Any], size: int) -> None:
        self._body, self._items = body, items
        self._call, self._job = job, pickle.dumps(job)
        places = range(len(items))
        self._todo = deque(_Chunk(places[start : start + size]) for start in range(0, len(items), size))
        self._asked: dict[int, _Chunk] = {}
        self._took: deque[float] = deque(maxlen=64)

    def answers(self) -> Iterator[Answer]:
        try:
            yield from self._hear_all()
        except NoWorkers:
            work = self._call.open(*self._call.given)
            left = [*self._asked.values(), *self._todo]
            for place in sorted({place for chunk in left for place in chunk.places}):
                yield answer_of(place, *say(work, self._items[place]))

    def _hear_all(self) -> Iterator[Answer]:
        while self._todo or self._asked:
            self._hand_out()
            for token, said in self._body.hear(_LOOK):
                chunk = self._asked.pop(token, None)
                if chunk is None:  # of a call that was given up, or answered by another worker first
                    continue
                chunk.tokens.discard(token)
                if said is not None:
                    for other in chunk.tokens:
                        self._asked.pop(other, None)
                    self._took.append(time.monotonic() - chunk.since)
                    yield from (answer_of(place, *one) for place, one in zip(chunk.places, said, strict=True))
                elif not chunk.tokens:
                    yield from self._bury(chunk)

    def _hand_out(self) -> None:
        while self._body.free() > 0:
            chunk = self._todo.popleft() if self._todo else self._late()
            if chunk is None:
                return
            token = next(_tokens)
            chunk.tokens.add(token)
            chunk.since = chunk.since or time.monotonic()
            self._asked[token] = chunk
            self._body.ask(token, self._job, [self._items[place] for place in chunk.places])

    def _late(self) -> _Chunk | None:
        """A chunk that one worker has for long, where another may be quicker."""
        if not self._body.elsewhere or not self._took:
            return None
        limit = time.monotonic() - max(PATIENCE, MANY_TIMES * median(self._took))
        return next((one for one in self._asked.values() if one.since < limit and len(one.tokens) == 1), None)

    def _bury(self, chunk: _Chunk) -> Iterator[Answer]:
        """What a dead worker held: alone again, or given up."""
        chunk.since = 0.0
        middle = len(chunk.places) // 2
        if middle:
            self._todo.extendleft((_Chunk(chunk.places[middle:]), _Chunk(chunk.places[:middle])))
            return
        chunk.deaths += 1
        if chunk.deaths < DEATHS:
            self._todo.appendleft(chunk)
        else:
            yield Answer(chunk.places[0], killed=True)


def say(work: Callable[[Any], Any], item: Any) -> Said:
    """What a job says of one item."""
    try:
        return True, work(item)
    except Exception as fault:  # whatever it is, it is told by the process that asked
        return False, fault


def answer_of(place: int, good: bool, thing: Any) -> Answer:
    """What was said, as an answer."""
    return Answer(place, result=thing) if good else Answer(place, fault=thing)
