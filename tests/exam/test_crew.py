"""Several processes draw one exam: the same pictures in the same order, whatever becomes of one of them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from PIL import Image

from lorasmith.errors import PromptError
from lorasmith.exam import crew
from lorasmith.exam.crew import MANY, Crew, Order, open_artist
from lorasmith.exam.drawing import PipelineArtist, Row
from lorasmith.exam.settings import ExamTable
from lorasmith.pools.local import LocalBody
from lorasmith.pools.pool import Job, Pool
from tests.exam.painting import open_toy, paint


@dataclass
class Painter:
    """The exam's own process, as an artist."""

    drew: list[int] = field(default_factory=list)
    fails: int | None = None
    pause: float = 0.0

    def draw(self, rows: Sequence[Row]) -> list[Image.Image]:
        self.drew.append(rows[0].seed)
        time.sleep(self.pause)
        if rows[0].seed == self.fails:
            raise PromptError("nothing can be drawn.")
        return paint(rows)

    def develop(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        return list(images)


TOY = Job(open_toy)


@pytest.fixture
def toy_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LORASMITH_CLUSTER", raising=False)
    monkeypatch.setattr(crew, "open_pool", lambda *_: Pool(LocalBody(2)))


def _rows(seeds: Sequence[int]) -> list[list[Row]]:
    return [[Row("a", seed, None), Row("b", seed, None)] for seed in seeds]


def _wait_until_ready(crew: Crew, seeds: Sequence[int]) -> None:
    """Draw until a hand has taken part."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        if any(_green(pictures) for pictures in crew.draw_all(_rows(seeds))):
            return
        time.sleep(0.02)
    raise AssertionError("no hand ever drew")


def _pids(crew: Crew) -> list[int]:
    assert crew._pool is not None
    assert isinstance(crew._pool._body, LocalBody)
    return crew._pool._body.pids


def _green(pictures: Sequence[Image.Image]) -> bool:
    return all(picture.getpixel((0, 0))[1] == 255 for picture in pictures)  # type: ignore[index]


def _red(pictures: Sequence[Image.Image]) -> list[int]:
    return [picture.getpixel((0, 0))[0] for picture in pictures]  # type: ignore[index]


@pytest.mark.usefixtures("toy_hand")
def test_pictures_come_in_order_from_all_processes() -> None:
    seeds = range(40)
    with Crew(Painter(), TOY, 2) as crew:
        _wait_until_ready(crew, seeds)
        assert [_red(pictures) for pictures in crew.draw_all(_rows(seeds))] == [[seed, seed] for seed in seeds]
        pids = _pids(crew)
        assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.usefixtures("toy_hand")
def test_a_hand_that_is_done_first_is_not_waited_for() -> None:
    painter = Painter()
    with Crew(painter, TOY, 1) as crew:
        _wait_until_ready(crew, range(40))
        painter.pause = 1.0  # while this process draws the second batch, the hand gives the first one back
        assert [_red(pictures) for pictures in crew.draw_all(_rows([1, 2]))] == [[1, 1], [2, 2]]


@pytest.mark.usefixtures("toy_hand")
def test_what_a_hand_loses_is_drawn_all_the_same() -> None:
    painter = Painter()
    seeds = [1, *[99] * MANY, 2, 3]
    with Crew(painter, TOY, 1) as crew:
        _wait_until_ready(crew, range(40))
        assert [_red(pictures) for pictures in crew.draw_all(_rows(seeds))] == [[seed, seed] for seed in seeds]
        assert painter.drew.count(99) == MANY  # those, too, with which the hand died
        assert [_red(pictures) for pictures in crew.draw_all(_rows(range(9)))] == [[seed, seed] for seed in range(9)]


@pytest.mark.usefixtures("toy_hand")
def test_a_fault_is_told_by_the_exams_own_process() -> None:
    with Crew(Painter(fails=98), TOY, 1) as crew:
        _wait_until_ready(crew, range(40))
        with pytest.raises(PromptError, match="nothing can be drawn"):
            list(crew.draw_all(_rows([98] * MANY)))


@pytest.mark.usefixtures("toy_hand")
def test_a_call_that_is_given_up_leaves_nothing_in_the_next() -> None:
    with Crew(Painter(), TOY, 1) as crew:
        _wait_until_ready(crew, range(40))
        next(crew.draw_all(_rows(range(40))))
        assert [_red(pictures) for pictures in crew.draw_all(_rows(range(50, 90)))] == [[n, n] for n in range(50, 90)]


def test_few_batches_start_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "open_pool", None)
    with Crew(Painter(), TOY, 3) as small:
        assert [_red(pictures) for pictures in small.draw_all(_rows(range(MANY - 1)))] == [
            [seed, seed] for seed in range(MANY - 1)
        ]


def test_a_hand_draws_to_the_bit_what_the_exam_draws(tiny_base_folder: Path) -> None:
    from lorasmith.bases.base import open_base

    settings = ExamTable.model_validate({"steps": 2, "precision": "fp32"})
    base = open_base(tiny_base_folder, "fp32", "exam")
    artist = PipelineArtist(base, (), settings)
    batches = [[Row("red", 10 * number + row, None) for row in range(3)] for number in range(MANY)]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        expected = [[picture.tobytes() for picture in artist.draw(rows)] for rows in batches]
    finally:
        torch.set_num_threads(before)

    with Pool(LocalBody(1)) as pool:
        job = Job(open_artist, (Order(str(tiny_base_folder), (), settings, 1),))
        drawn = [answer.get() for answer in pool.in_order(job, batches, 1)]
    assert [[picture.tobytes() for picture in pictures] for pictures in drawn] == expected
