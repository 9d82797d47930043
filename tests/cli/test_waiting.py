"""Threads wait asleep where others compute, and only there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lorasmith.cli import waiting
from lorasmith.cli.main import VERBS
from lorasmith.cli.waiting import COMPUTING, wait_softly


@pytest.fixture
def stat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two cores, of which one is taken."""
    file = tmp_path / "stat"
    file.write_text("cpu  1 2 3\nprocs_running 2\nprocs_blocked 0\n")
    monkeypatch.setattr(waiting, "_STAT", file)
    monkeypatch.setattr(waiting, "_TOPOLOGY", tmp_path / "nowhere")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    return file


def waits(verb: str = "train", **environment: str) -> dict[str, str]:
    wait_softly(verb, environment)
    return environment


def test_threads_sleep_where_others_compute(stat: Path) -> None:
    assert set(VERBS) > COMPUTING
    soft = waits()
    assert set(soft) == {"GOMP_SPINCOUNT"}
    assert waits("plan") == {}
    assert waits(OMP_NUM_THREADS="1") == {"OMP_NUM_THREADS": "1"}, "nobody waits for a single thread"
    assert waits(OMP_WAIT_POLICY="active") == {"OMP_WAIT_POLICY": "active"}
    assert waits(GOMP_SPINCOUNT="5") == {"GOMP_SPINCOUNT": "5"}, "what the user states stays"
    assert waits(OMP_NUM_THREADS="some") == {"OMP_NUM_THREADS": "some"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", waiting)
        assert waits() == {}, "its library has read the environment"
    stat.write_text("procs_running 1\n")
    assert waits() == {}, "the cores are free"
    assert waits(**soft) == {}, "what a program of ours found when it started is not true for ever"
    stat.write_text("procs_running 3\n")
    topology = stat.parent
    for core in range(8):
        file = topology / f"cpu{core}" / "topology" / "thread_siblings_list"
        file.parent.mkdir(parents=True)
        file.write_text(f"{core % 4},{core % 4 + 4}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waiting, "_TOPOLOGY", topology)
        patch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
        assert waits() == {}, "four threads and two others have eight halves of cores"
        stat.write_text("procs_running 6\n")
        assert waits() == soft
        assert waits(OMP_NUM_THREADS="2") == {"OMP_NUM_THREADS": "2"}
        stat.write_text("procs_running 4\n")
        assert waits(OMP_NUM_THREADS="8") == {"OMP_NUM_THREADS": "8"}, "three of eight are no crowd"
    for text in ("", "procs_running\n", "procs_running many\n"):
        stat.write_text(text)
        assert waits() == {}
    stat.unlink()
    assert waits() == {}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux tells")
def test_the_library_of_threads_is_told_in_time() -> None:
    """The environment is set before anything of torch is there."""
    script = (
        "import os, sys\n"
        "from lorasmith.cli import waiting\n"
        "waiting._others, os.sched_getaffinity = lambda: 9, lambda _: {0, 1}\n"
        "os.environ['OMP_NUM_THREADS'] = '2'\n"
        "from lorasmith.cli.main import run\n"
        "run(['train', '/nowhere'])\n"
        "print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in waiting._STATED}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == [waiting.ROUNDS, "False"]
