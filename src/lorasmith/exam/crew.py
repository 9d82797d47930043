"""Workers that draw one exam's batches beside this process. On a CPU each has one thread: small operations gain nothing
from a second one, and lose most of their time where other work disturbs it (docs/log.md). A picture is the same to the
bit whoever drew it, and nothing is lost but time when one of them dies.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from lorasmith.exam.drawing import Artist, PipelineArtist, Row, exam_base
from lorasmith.exam.settings import ExamTable
from lorasmith.pools.choosing import chosen_cluster, open_pool
from lorasmith.pools.pool import Job, Pool
from lorasmith.project import EMBEDDED

if TYPE_CHECKING:
    from PIL.Image import Image

    from lorasmith.bases.base import Base
    from lorasmith.diffusion.parametrisation import Prediction
    from lorasmith.recipe.recipe import Recipe

#: Starting a worker costs as much as about two batches of the embedded base: so many at once are worth it (a whole
#: exam begins with so many of the base's own).
MANY = 7
#: More workers than this on one machine only share the memory's bandwidth.
MOST = 8


@dataclass(frozen=True)
class Order:
    """What a worker draws with; the base is opened as the exam's own process opens it."""

    base: str
    files: Sequence[Path]
    settings: ExamTable
    clip_skip: int
    prediction: Prediction | None = None


def open_artist(order: Order) -> Callable[[Sequence[Row]], list[Image]]:
    """The drawing of a batch, with one thread."""
    import torch

    torch.set_num_threads(1)
    base = exam_base(order.base, order.settings, order.prediction)
    return PipelineArtist(base, order.files, order.settings, order.clip_skip).draw


def hire(recipe: Recipe, files: Sequence[Path], settings: ExamTable, base: Base | None = None) -> Crew:
    """A crew that draws on the recipe's base (or on `base`, then by itself) with the adapters of `files`. Raises
    BaseError."""
    order = Order(recipe.base, files, settings, settings.clip_skip or recipe.clip_skip, recipe.stated_prediction)
    opened = exam_base(order.base, settings, order.prediction) if base is None else base
    job = Job(open_artist, (order,)) if base is None else None
    artist = PipelineArtist(opened, files, settings, order.clip_skip)
    return Crew(artist, job, _more_hands(recipe.base), swaps=opened.device.type != "cpu" or opened.swap is not None)


def _more_hands(name: str) -> int:
    """How many processes can draw beside this one: for the embedded base, which is small, a core each, where there
    is no GPU; as many cores as torch was given."""
    import torch

    return torch.get_num_threads() - 1 if name == EMBEDDED and not torch.cuda.is_available() else 0


class Crew:
    """An artist with so many more `hands` of this machine that do the job, or those of a cluster where one is chosen;
    they start with the first MANY batches. Without a job there are none. Enter it, so that they end. `swaps`: blocks
    of the base can wait in another memory."""

    def __init__(self, artist: Artist, job: Job | None = None, hands: int = 0, *, swaps: bool = True) -> None:
        self.swaps = swaps
        self._artist, self._job, self._hands = artist, job, min(hands, MOST - 1)
        self._pool: Pool | None = None

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.__exit__(kind, fault, at)

    def draw(self, rows: Sequence[Row]) -> list[Image]:
        """One batch."""
        return next(self.draw_all([rows]))

    def develop(self, images: Sequence[Image]) -> list[Image]:
        with _one_thread():
            return self._artist.develop(images)

    def draw_all(self, batches: Sequence[Sequence[Row]]) -> Iterator[list[Image]]:
        """The pictures of each batch, in their order; this process draws, too. Raises what drawing raises."""
        most = None if chosen_cluster() else self._hands
        if self._job is None or most == 0:
            yield from map(self._draw, batches)
            return
        if self._pool is None and len(batches) >= MANY:
            self._pool = open_pool(len(batches), MANY)
        if self._pool is None:
            yield from map(self._draw, batches)
            return
        with contextlib.closing(self._pool.in_order(self._job, batches, 1, here=self._draw, most=most)) as answers:
            for batch, answer in zip(batches, answers, strict=True):
                # What ended workers, or failed there: this process meets the fault, and tells it.
                yield self._draw(batch) if answer.killed or answer.fault is not None else answer.result

    def _draw(self, rows: Sequence[Row]) -> list[Image]:
        with _one_thread():
            return self._artist.draw(rows)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
