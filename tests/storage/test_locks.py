"""Locks on files: one holder, who is named, and nothing outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Timer

import pytest

from lorasmith.storage.locks import HeldError, hold

HOLDER = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from lorasmith.storage.locks import hold\n"
    "held = hold(Path(sys.argv[1]))\n"
    "print('held', flush=True)\n"
    "time.sleep(600)\n"
)


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with hold(file):
        with pytest.raises(HeldError) as other:
            hold(file)
        assert other.value.process == os.getpid()
    hold(file).close()


@pytest.mark.parametrize("text", [b"", b"no number", b"9" * 100])
def test_what_stands_in_the_file_is_not_trusted(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "lock"
    with hold(file):
        file.write_bytes(text)
        with pytest.raises(HeldError):
            hold(file)
    with hold(file):
        assert file.read_bytes() == str(os.getpid()).encode()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_lock_dies_with_its_holder(tmp_path: Path, end: signal.Signals) -> None:
    file = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(HeldError) as other:
            hold(file)
        assert other.value.process == holder.pid
        holder.send_signal(end)
        holder.wait(60)
        hold(file).close()


def test_one_who_waits_gets_it(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    first = hold(file)
    Timer(0.2, first.close).start()
    with hold(file, wait=20):
        assert file.read_text() == str(os.getpid())
