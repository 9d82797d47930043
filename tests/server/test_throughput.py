from __future__ import annotations

from lorasmith.server.throughput import LAST, Throughput


def test_a_batch_counts_as_many_pictures_and_a_pause_not_at_all() -> None:
    now = 0.0
    throughput = Throughput(lambda: now)
    assert throughput.seconds is None
    now = 100.0
    throughput.begin()
    now = 108.0
    for _ in range(4):
        throughput.finish()
    assert throughput.seconds == 2.0, "a batch of four in eight seconds"
    now = 1000.0
    throughput.begin()
    now = 1002.0
    throughput.finish()
    assert throughput.seconds == 2.0, "the pause is nobody's time"
    for _ in range(LAST):
        now += 0.5
        throughput.finish()
    assert throughput.seconds == 0.5, "only the last pictures count"
