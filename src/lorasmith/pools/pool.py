"""Deal a pure function out over workers, chunk by chunk.

A worker that dies costs time and nothing else: what it held is dealt out again, in halves, until an item is alone; one
that then ends its worker DEATHS times is given back as `killed`. Whatever a slow or a lost worker says too late is not
heard, so that every item is answered once.
"""

from __future__ import annotations

import contextlib
import pickle
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
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
_awaited: dict[int, list[list[Said] | None]] = {}
"""By token what was said of chunks that are asked: another call that shares the workers may have heard it."""


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

    def free(self, job: bytes, wanted: int, ahead: int = 1) -> int:
        """How many chunks of a pickled Job can be asked now, when each worker may hold `ahead` of them; workers are
        started for as many as are `wanted`."""

    def ask(self, token: int, job: bytes, items: Sequence[Any]) -> None:
        """Give a chunk to a free worker."""

    def hear(self, seconds: float) -> list[tuple[int, list[Said] | None]] | None:
        """What has been answered, waiting up to `seconds` for the first: None of a chunk whose worker died over it, []
        of one that a dead worker had not begun. None when nothing was heard, [] when a worker got ready."""

    def drop(self, tokens: Collection[int]) -> None:
        """End the workers that have these chunks, which nobody wants any more: they may be at them for long."""

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

    def each(
        self,
        job: Job,
        items: Sequence[Any],
        chunk: int = 8,
        *,
        here: Callable[[Any], Any] | None = None,
        most: int | None = None,
    ) -> Generator[Answer, None, None]:
        """An answer for every item, once, as they come. Leave it at any time: what is still worked on is not heard.

        `here` is the function of one item as this process has it open: then it works, too, beside workers of its own
        machine. `most` workers help.
        """
        if self._body is None:
            work = here or job.open(*job.given)
            yield from (answer_of(place, *say(work, item)) for place, item in enumerate(items))
            return
        yield from _Deal(self._body, job, items, chunk, here, most).answers()

    def in_order(
        self,
        job: Job,
        items: Sequence[Any],
        chunk: int = 8,
        *,
        here: Callable[[Any], Any] | None = None,
        most: int | None = None,
    ) -> Generator[Answer, None, None]:
        """Like `each`, in the order of the items."""
        waiting: dict[int, Answer] = {}
        following = 0
        with contextlib.closing(self.each(job, items, chunk, here=here, most=most)) as answers:
            for answer in answers:
                waiting[answer.place] = answer
                while following in waiting:
                    yield waiting.pop(following)
                    following += 1


class _Deal:
    """One call's chunks on their way."""

    def __init__(
        self,
        body: Body,
        job: Job,
        items: Sequence[Any],
        size: int,
        here: Callable[[Any], Any] | None,
        most: int | None,
    ) -> None:
        self._body, self._items, self._here, self._most = body, items, here, most
        self._works = here is not None and not body.elsewhere
        self._call, self._job = job, pickle.dumps(job)
        places = range(len(items))
        self._todo = deque(_Chunk(places[start : start + size]) for start in range(0, len(items), size))
        self._asked: dict[int, _Chunk] = {}
        self._unheard: set[int] = set()
        self._took: deque[float] = deque(maxlen=64)

    def answers(self) -> Iterator[Answer]:
        try:
            yield from self._hear_all()
        except NoWorkers:
            work = self._here or self._call.open(*self._call.given)
            left = [*self._asked.values(), *self._todo]
            for place in sorted({place for chunk in left for place in chunk.places}):
                yield answer_of(place, *say(work, self._items[place]))
        finally:
            for token in self._unheard:
                del _awaited[token]
            self._body.drop(self._unheard)

    def _hear_all(self) -> Iterator[Answer]:
        while self._todo or self._asked:
            self._hand_out()
            heard = self._body.hear(0.0 if self._works and self._todo else _LOOK)
            for token, said in heard or ():
                if token in _awaited:  # else of a call that was given up
                    _awaited[token].append(said)
            for token in [token for token in self._unheard if _awaited[token]]:
                self._unheard.discard(token)
                (said,) = _awaited.pop(token)
                if token in self._asked:  # else it was answered by another worker first
                    yield from self._take(token, said)
            if heard is None and self._works and self._here is not None and self._todo:
                chunk = self._todo.popleft()
                for place in chunk.places:
                    yield answer_of(place, *say(self._here, self._items[place]))

    def _take(self, token: int, said: list[Said] | None) -> Iterator[Answer]:
        chunk = self._asked.pop(token)
        chunk.tokens.discard(token)
        if said:
            for other in chunk.tokens:
                self._asked.pop(other, None)
            self._took.append(time.monotonic() - chunk.since)
            yield from (answer_of(place, *one) for place, one in zip(chunk.places, said, strict=True))
        elif chunk.tokens:
            return
        elif said is None:
            yield from self._bury(chunk)
        else:
            chunk.since = 0.0
            self._todo.appendleft(chunk)

    def _hand_out(self) -> None:
        while True:
            chunk = self._todo[0] if self._todo else self._late()
            if chunk is None or self._free() <= 0:
                return
            if self._todo:
                self._todo.popleft()
            token = next(_tokens)
            chunk.tokens.add(token)
            chunk.since = chunk.since or time.monotonic()
            self._asked[token], _awaited[token] = chunk, []
            self._unheard.add(token)
            self._body.ask(token, self._job, [self._items[place] for place in chunk.places])

    def _free(self) -> int:
        """How many chunks can be asked now. This process is not there all the time: while there are many, each worker
        gets one more to go on with."""
        wanted = len(self._todo) + len(self._asked) + (not self._todo)  # one more than asked for what is late
        workers = min(self._body.workers, wanted if self._most is None else self._most)
        ahead = 2 if len(self._todo) > 2 * workers else 1
        return min(self._body.free(self._job, workers, ahead), workers * ahead - len(self._asked))

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
