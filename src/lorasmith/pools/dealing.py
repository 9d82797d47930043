"""Pure work over many items as work that tells how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from lorasmith.events import Progress, Work, eta
from lorasmith.pools.choosing import MANY, open_pool
from lorasmith.pools.pool import Answer, Job


def deal_out(
    job: Job,
    items: Sequence[Any],
    stage: str,
    learn: Callable[[int, Any], None],
    *,
    chunk: int = 8,
    many: int = MANY,
) -> Work[tuple[int, ...]]:
    """Have the job done on every item; `learn` is called with each one's place and result, once, as they come, so that
    what is kept there is not done again after an interruption. Gives the places of those that end every process that
    takes them.

    Raises what the job raised of the first item in their order, once all are done.
    """
    killed: list[int] = []
    faults: list[Answer] = []
    total, started = len(items), time.monotonic()
    step = max(1, total // 100)
    with open_pool(total, many) as pool:
        for done, answer in enumerate(pool.each(job, items, chunk), start=1):
            if answer.killed:
                killed.append(answer.place)
            elif answer.fault is not None:
                faults.append(answer)
            else:
                learn(answer.place, answer.result)
            if done % step == 0 or done == total:
                yield Progress(stage, done, total, eta(started, done, total))
    if faults:
        min(faults, key=lambda answer: answer.place).get()
    return tuple(sorted(killed))
