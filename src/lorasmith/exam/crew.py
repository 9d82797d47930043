"""Several processes that draw one exam's batches on a CPU, a thread each: small operations gain nothing from a second
thread, and lose most of their time where other work disturbs it (docs/log.md). A picture is the same to the bit
whichever of them drew it, and nothing is lost but time when one of them dies.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lorasmith.exam.drawing import Artist, Row
from lorasmith.exam.hand import READY, Order
from lorasmith.pools.pipes import receive, send

if TYPE_CHECKING:
    from PIL.Image import Image

HAND = "lorasmith.exam.hand"
#: Starting a hand costs as much as about two batches of the embedded base: so many at once are worth it (a whole
#: exam begins with so many of the base's own).
MANY = 7
#: More hands than this only share the memory's bandwidth.
MOST = 8


class Crew:
    """An artist with so many more `hands`, which start with the first MANY batches; enter it, so that they end."""

    def __init__(self, artist: Artist, order: Order, hands: int) -> None:
        self._artist, self._order, self._wanted = artist, order, min(hands, MOST - 1)
        self._hands: list[_Hand] = []
        self._said: SimpleQueue[tuple[_Hand, Any]] = SimpleQueue()
        self._call = 0

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        for hand in self._hands:
            hand.end()
        self._hands.clear()

    def draw(self, rows: Sequence[Row]) -> list[Image]:
        """One batch."""
        return next(self.draw_all([rows]))

    def develop(self, images: Sequence[Image]) -> list[Image]:
        with _one_thread():
            return self._artist.develop(images)

    def draw_all(self, batches: Sequence[Sequence[Row]]) -> Iterator[list[Image]]:
        """The pictures of each batch, in their order; this process draws, too. Raises what drawing raises."""
        if len(batches) >= MANY and not self._hands:
            with contextlib.suppress(OSError):  # then this process draws all
                self._hands += [_Hand(self._order, self._said) for _ in range(self._wanted)]
        self._call += 1
        todo = deque(range(len(batches)))
        drawn: dict[int, list[Image]] = {}
        for number in range(len(batches)):
            while number not in drawn:
                while not self._said.empty():
                    self._listen(todo, drawn)
                self._hand_out(todo, batches)
                if number in drawn:
                    break
                if todo:
                    mine = todo.popleft()
                    with _one_thread():
                        drawn[mine] = self._artist.draw(batches[mine])
                else:
                    self._listen(todo, drawn)
            yield drawn.pop(number)

    def _hand_out(self, todo: deque[int], batches: Sequence[Sequence[Row]]) -> None:
        """Each hand that is ready gets a batch to draw, and one more to go on with while there are many."""
        ahead = 2 if len(todo) > 2 * len(self._hands) else 1
        for hand in self._hands:
            while todo and hand.ready and len(hand.holds) < ahead:
                number = todo.popleft()
                hand.ask((self._call, number), batches[number])

    def _listen(self, todo: deque[int], drawn: dict[int, list[Image]]) -> None:
        """Take what one hand says next; what a dead one held is to be drawn again."""
        hand, said = self._said.get()
        if said == READY:
            hand.ready = True
        elif said is None:
            todo.extendleft(number for call, number in reversed(hand.holds) if call == self._call)
            hand.holds.clear()
            hand.ready = False
        else:
            (call, number), pictures = said
            hand.holds.remove((call, number))
            if call != self._call:  # of a call that was given up
                return
            if pictures is None:
                todo.appendleft(number)
                hand.ready = False  # this process will meet the fault, and tell it
            else:
                drawn[number] = pictures


class _Hand:
    """One process: `holds` are the batches that it has not given back; a thread reads what it says into `said`, and
    None at its end."""

    def __init__(self, order: Order, said: SimpleQueue[tuple[_Hand, Any]]) -> None:
        self.ready = False
        self.holds: list[tuple[int, int]] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", HAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._send(order)
        threading.Thread(target=self._read, args=(said,), daemon=True).start()

    def ask(self, number: tuple[int, int], rows: Sequence[Row]) -> None:
        """Give it a batch. Should it be dead, its reader says so."""
        self.holds.append(number)
        self._send((number, list(rows)))

    def end(self) -> None:
        """Take its work away; what it is drawing nobody waits for."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError, ValueError):  # the reader may be at it
                pipe.close()

    def _send(self, thing: object) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            send(self._process.stdin, thing)

    def _read(self, said: SimpleQueue[tuple[_Hand, Any]]) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(EOFError, OSError, ValueError, pickle.UnpicklingError):
            while True:
                said.put((self, receive(self._process.stdout)))
        said.put((self, None))


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
