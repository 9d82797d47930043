"""Several processes draw one exam: the same pictures in the same order, whatever becomes of one of them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

import pytest
import torch
from PIL import Image

from lorasmith.errors import PromptError
from lorasmith.exam import crew
from lorasmith.exam.crew import MANY, Crew
from lorasmith.exam.drawing import PipelineArtist, Row
from lorasmith.exam.hand import Order
from lorasmith.exam.settings import ExamTable

#: A hand that paints a picture's seed in red. It dies at seed 99 and fails at 98; in green it says that it was it.
TOY = """
import os, sys
from PIL import Image
from lorasmith.pools.pipes import receive, send
order = receive(sys.stdin.buffer)
send(sys.stdout.buffer, "ready")
while True:
    try:
        number, rows = receive(sys.stdin.buffer)
    except EOFError:
        break
    if rows[0].seed == 99:
        os._exit(1)
    answer = None if rows[0].seed == 98 else [Image.new("RGB", (2, 2), (row.seed, 255, 0)) for row in rows]
    send(sys.stdout.buffer, (number, answer))
"""


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
        return [Image.new("RGB", (2, 2), (row.seed, 0, 0)) for row in rows]

    def develop(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        return list(images)


@pytest.fixture
def toy_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_hand.py").write_text(TOY, "utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    monkeypatch.setattr(crew, "HAND", "toy_hand")


ORDER = Order("doodle", (), ExamTable.model_validate({}), 1)


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


def _green(pictures: Sequence[Image.Image]) -> bool:
    return all(picture.getpixel((0, 0))[1] == 255 for picture in pictures)  # type: ignore[index]


def _red(pictures: Sequence[Image.Image]) -> list[int]:
    return [picture.getpixel((0, 0))[0] for picture in pictures]  # type: ignore[index]


@pytest.mark.usefixtures("toy_hand")
def test_pictures_come_in_order_from_all_processes() -> None:
    seeds = range(40)
    with Crew(Painter(), ORDER, 2) as crew:
        _wait_until_ready(crew, seeds)
        assert [_red(pictures) for pictures in crew.draw_all(_rows(seeds))] == [[seed, seed] for seed in seeds]
    assert crew._hands == []


@pytest.mark.usefixtures("toy_hand")
def test_a_hand_that_is_done_first_is_not_waited_for() -> None:
    painter = Painter()
    with Crew(painter, ORDER, 1) as crew:
        _wait_until_ready(crew, range(40))
        painter.pause = 1.0  # while this process draws the second batch, the hand gives the first one back
        assert [_red(pictures) for pictures in crew.draw_all(_rows([1, 2]))] == [[1, 1], [2, 2]]


@pytest.mark.usefixtures("toy_hand")
def test_what_a_hand_loses_is_drawn_all_the_same() -> None:
    painter = Painter()
    seeds = [1, *[99] * MANY, 2, 3]
    with Crew(painter, ORDER, 1) as crew:
        _wait_until_ready(crew, range(40))
        assert [_red(pictures) for pictures in crew.draw_all(_rows(seeds))] == [[seed, seed] for seed in seeds]
        assert painter.drew.count(99) == MANY  # those, too, with which the hand died
        assert [_red(pictures) for pictures in crew.draw_all(_rows(range(9)))] == [[seed, seed] for seed in range(9)]


@pytest.mark.usefixtures("toy_hand")
def test_a_fault_is_told_by_the_exams_own_process() -> None:
    with Crew(Painter(fails=98), ORDER, 1) as crew:
        _wait_until_ready(crew, range(40))
        with pytest.raises(PromptError, match="nothing can be drawn"):
            list(crew.draw_all(_rows([98] * MANY)))


@pytest.mark.usefixtures("toy_hand")
def test_a_call_that_is_given_up_leaves_nothing_in_the_next() -> None:
    with Crew(Painter(), ORDER, 1) as crew:
        _wait_until_ready(crew, range(40))
        next(crew.draw_all(_rows(range(40))))
        assert [_red(pictures) for pictures in crew.draw_all(_rows(range(50, 90)))] == [[n, n] for n in range(50, 90)]


def test_few_batches_start_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "_Hand", None)
    with Crew(Painter(), ORDER, 3) as small:
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

    said: SimpleQueue[tuple[crew._Hand, object]] = SimpleQueue()
    hand = crew._Hand(Order(str(tiny_base_folder), (), settings, 1), said)
    try:
        assert said.get(timeout=300) == (hand, "ready")
        for number, rows in enumerate(batches):
            hand.ask((1, number), rows)
        for number in range(MANY):
            _, answer = said.get(timeout=300)
            assert isinstance(answer, tuple)
            assert answer[0] == (1, number)
            assert [picture.tobytes() for picture in answer[1]] == expected[number]
    finally:
        hand.end()
    assert said.get(timeout=60) == (hand, None)
