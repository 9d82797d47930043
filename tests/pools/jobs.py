"""Jobs for the tests of pools: importable by every worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lorasmith.errors import ImageError

POISON = "poison"


def open_square() -> Callable[[int], int]:
    return lambda number: number * number


def open_pid() -> Callable[[int], int]:
    return lambda _: os.getpid()


def open_careful(folder: Path) -> Callable[[Any], Any]:
    """Doubles numbers; "poison" ends its process, "wrong" raises, "slow" takes its time. Each doing is written down."""

    def work(item: Any) -> Any:
        with (folder / f"{os.getpid()}.txt").open("a", encoding="utf-8") as file:
            file.write(f"{item}\n")
        if item == POISON:
            os.kill(os.getpid(), signal.SIGKILL)
        if item == "wrong":
            raise ImageError("cannot be read.", where="a.png", hint="Save it again.")
        if item == "slow":
            time.sleep(0.3)
            return "slow"
        return 2 * item

    return work


def open_never() -> Callable[[int], int]:
    raise ImageError("no model.", where="m.onnx")


def open_unlike() -> Callable[[int], int]:
    class Own(Exception):
        pass

    def work(number: int) -> int:
        raise Own(f"about {number}")

    return work


def done_in(folder: Path) -> list[str]:
    """What was begun, by any worker."""
    return [line for file in folder.glob("*.txt") for line in file.read_text("utf-8").split()]


def open_stuck(folder: Path) -> Callable[[int], int]:
    """Triples; whoever comes first sleeps for ten minutes over its item."""

    def work(number: int) -> int:
        with (folder / f"{os.getpid()}.txt").open("a", encoding="utf-8") as file:
            file.write(f"{number}\n")
        try:
            (folder / "first").touch(exist_ok=False)
        except FileExistsError:
            return 3 * number
        time.sleep(600)
        return 3 * number

    return work
