"""The local pool: the same answers whatever the number of workers, each once, whoever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lorasmith.errors import ImageError
from lorasmith.events import finish
from lorasmith.pools import local
from lorasmith.pools.choosing import chosen_cluster, dealt_out, open_pool
from lorasmith.pools.dealing import deal_out
from lorasmith.pools.local import LocalBody
from lorasmith.pools.pool import DEATHS, Answer, Job, Pool
from tests.pools.jobs import POISON, done_in, open_careful, open_never, open_pid, open_square, open_unlike


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_answers_are_the_same_whatever_the_number_of_workers(workers: int, chunk: int) -> None:
    body = LocalBody(workers) if workers else None
    with Pool(body) as pool:
        answers = list(pool.in_order(Job(open_square), range(40), chunk))
        assert [answer.place for answer in answers] == list(range(40))
        assert [answer.get() for answer in answers] == [number * number for number in range(40)]
        assert sorted(answer.place for answer in pool.each(Job(open_square), range(40), chunk)) == list(range(40))
        assert list(pool.each(Job(open_square), [], chunk)) == []


def test_an_item_that_ends_its_process_is_given_back_and_the_others_are_done(tmp_path: Path) -> None:
    items = [1, 2, 3, POISON, 5, 6, 7, 8, 9]
    with Pool(LocalBody(2)) as pool:
        answers = list(pool.in_order(Job(open_careful, (tmp_path,)), items, chunk=4))
    assert [answer.place for answer in answers if answer.killed] == [3]
    assert [answer.get() for answer in answers if not answer.killed] == [2, 4, 6, 10, 12, 14, 16, 18]
    done = done_in(tmp_path)
    assert done.count(POISON) == DEATHS + 2  # in fours, in twos, and alone
    assert done.count("9") == 1


def test_what_a_killed_worker_held_is_done_by_another(tmp_path: Path) -> None:
    body = LocalBody(2)
    with Pool(body) as pool:
        answers: list[Answer] = []
        for answer in pool.each(Job(open_careful, (tmp_path,)), ["slow"] * 12, chunk=2):
            if not answers:
                os.kill(body.pids[0], signal.SIGKILL)
            answers.append(answer)
    assert sorted(answer.place for answer in answers) == list(range(12))
    assert {answer.get() for answer in answers} == {"slow"}


def test_a_fault_of_one_item_is_its_own_and_keeps_its_words(tmp_path: Path) -> None:
    with Pool(LocalBody(1)) as pool:
        one, two, three = pool.in_order(Job(open_careful, (tmp_path,)), [1, "wrong", 3])
        assert (one.get(), three.get()) == (2, 6)
        with pytest.raises(ImageError, match=r"a\.png: cannot be read\. Save it again\."):
            two.get()
        (unlike,) = pool.each(Job(open_unlike), [4])
        with pytest.raises(RuntimeError, match="Own: about 4"):
            unlike.get()
        faults = [answer.fault for answer in pool.each(Job(open_never), [4, 5])]
        assert [str(fault) for fault in faults] == ["m.onnx: no model."] * 2


def test_a_call_that_is_left_does_not_answer_the_next(tmp_path: Path) -> None:
    with Pool(LocalBody(2)) as pool:
        call = pool.each(Job(open_careful, (tmp_path,)), ["slow"] * 8, chunk=1)
        assert next(call).get() == "slow"
        call.close()
        assert [answer.get() for answer in pool.in_order(Job(open_square), range(5), 1)] == [0, 1, 4, 9, 16]


def test_processes_end_with_the_pool() -> None:
    body = LocalBody(2)
    with Pool(body) as pool:
        list(pool.each(Job(open_square), range(40), 1))
        pids = body.pids
        assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_where_no_process_starts_the_work_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "HAND", "lorasmith.nobody")
    with Pool(LocalBody(2)) as pool:
        assert list(pool.in_order(Job(open_square), range(9), 2)) == [Answer(n, n * n) for n in range(9)]


def test_a_few_items_call_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LORASMITH_CLUSTER", raising=False)
    with open_pool(10) as few, open_pool(5000) as many:
        assert few.workers == 1
        assert many.workers == local.usable_cores()
    monkeypatch.setattr("lorasmith.pools.choosing.usable_cores", lambda: 1)
    with open_pool(5000) as alone:
        assert alone.workers == 1


def test_a_cluster_is_chosen_by_word_then_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LORASMITH_CLUSTER", raising=False)
    assert chosen_cluster() == ""
    monkeypatch.setenv("LORASMITH_CLUSTER", "ray.example:6379")
    with dealt_out("local"), dealt_out(None):
        assert chosen_cluster() == "local"
    assert chosen_cluster() == "ray.example:6379"


def test_pools_of_one_deal_share_their_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LORASMITH_CLUSTER", raising=False)
    monkeypatch.setattr("lorasmith.pools.choosing.usable_cores", lambda: 2)
    pids = set()
    with dealt_out():
        for _ in range(2):
            with open_pool(40, 1) as pool, dealt_out(), open_pool(40, 1) as again:
                pids |= {answer.get() for answer in pool.each(Job(open_pid), range(40), 4)}
                pids |= {answer.get() for answer in again.each(Job(open_pid), range(40), 4)}
    assert 1 <= len(pids) <= 2
    assert os.getpid() not in pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_script_without_a_guard_starts_no_second_self(tmp_path: Path) -> None:
    script = tmp_path / "plain.py"
    script.write_text(
        "from lorasmith.pools.local import LocalBody\n"
        "from lorasmith.pools.pool import Job, Pool\n"
        "from tests.pools.jobs import open_square\n"
        "with Pool(LocalBody(2)) as pool:\n"
        "    print(sum(answer.get() for answer in pool.each(Job(open_square), range(10), 1)))\n",
        "utf-8",
    )
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert (done.stdout, done.stderr) == ("285\n", "")


def test_items_are_spelt_out_only_where_that_is_written_down(tmp_path: Path) -> None:
    """Of arrays it takes longer than many a job."""
    learnt: dict[int, int] = {}
    items = [Unspeakable(number) for number in range(3)]
    finish(deal_out(Job(open_square), items, "squaring", learnt.__setitem__))
    assert learnt == {0: 0, 1: 1, 2: 4}
    with pytest.raises(AssertionError, match="spelt out"):
        finish(deal_out(Job(open_square), items, "squaring", learnt.__setitem__, at_work=tmp_path / "at_work"))


class Unspeakable(int):
    def __repr__(self) -> str:
        raise AssertionError("spelt out")


def test_an_interruption_ends_the_workers_and_keeps_what_was_learnt(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom lorasmith.events import finish\n"
        "from lorasmith.pools import choosing\nfrom lorasmith.pools.dealing import deal_out\n"
        "from lorasmith.pools.pool import Job\nfrom tests.pools.jobs import open_careful\n"
        "choosing.usable_cores = lambda: 2\nfolder = Path(sys.argv[1])\n"
        "job = Job(open_careful, (folder,))\n"
        "with choosing.dealt_out(''):\n"
        "    finish(deal_out(job, ['slow'] * 2000, 'x', lambda place, _: print(place, flush=True), chunk=1, many=1))\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as asking:
        assert asking.stdout is not None
        assert asking.stdout.readline().strip().isdecimal()
        asking.send_signal(signal.SIGINT)
        _, said = asking.communicate(timeout=120)
    assert asking.returncode != 0
    assert said.rstrip().endswith("KeyboardInterrupt")
    workers = [int(file.stem) for file in tmp_path.glob("*.txt")]
    assert workers
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
