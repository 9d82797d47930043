"""A lock is held by one, tells by whom, and ends with its holder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lorasmith.storage.locks import HeldError, hold

_HOLDER = """
import sys, time
from pathlib import Path
from lorasmith.storage.locks import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with hold(file):
        with pytest.raises(HeldError) as caught, hold(file, wait=0.1):
            raise AssertionError("held twice")
        assert caught.value.holder == os.getpid()
        assert caught.value.whose == f"process {os.getpid()}"
    with hold(file) as descriptor:
        assert descriptor > 0


def test_a_lock_dies_with_its_holder(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    child = subprocess.Popen([sys.executable, "-c", _HOLDER, str(file)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(HeldError, match=str(child.pid)), hold(file):
            raise AssertionError("held twice")
        child.kill()
        child.wait()
        with hold(file, wait=5):
            assert file.read_text() == str(os.getpid())
    finally:
        child.kill()
        child.communicate()


def test_an_older_lock_file_names_nobody(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with hold(file):
        file.write_text("")
        with pytest.raises(HeldError) as caught, hold(file):
            raise AssertionError("held twice")
    assert caught.value.whose == "another process"


def test_a_place_without_a_folder_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), hold(tmp_path / "none" / "lock"):
        raise AssertionError("held")
