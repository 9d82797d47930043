"""Pictures that clients send: they stay while somebody needs them, and not longer."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from lorasmith.server.errors import FieldError
from lorasmith.server.input_files import InputFiles
from lorasmith.server.store import Store


def name_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_what_no_job_takes_goes_with_its_request(tmp_path: Path) -> None:
    store = Store(tmp_path)
    files = InputFiles(store)
    with files.request() as request:
        name = request.keep(b"one")
        assert request.keep(b"one") == name == name_of(b"one")
        assert store.inputs() == [name]
    assert store.inputs() == []

    def refuse() -> None:
        with files.request() as request:
            request.keep(b"one")
            raise FieldError("refused")

    with pytest.raises(FieldError):
        refuse()
    assert store.inputs() == []
    store.close()


def test_who_holds_it_keeps_it_for_others_too(tmp_path: Path) -> None:
    store = Store(tmp_path)
    files = InputFiles(store)
    with files.request() as request:
        name = request.keep(b"one")
        files.hold([name, name])  # a job takes it, twice
        with files.request() as other:
            other.keep(b"one")
        assert store.inputs() == [name]
    files.release([name])
    assert store.inputs() == [name]
    files.tidy()
    assert store.inputs() == [name]
    files.release([name])
    assert store.inputs() == []
    store.input_path(name).write_bytes(b"left behind")
    files.tidy()
    assert store.inputs() == []
    store.close()


def test_many_requests_with_one_picture_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    files = InputFiles(store)
    faults: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(20):
                with files.request() as request:
                    assert store.input_path(request.keep(b"the same")).read_bytes() == b"the same"
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert store.inputs() == []
    assert list((tmp_path / "inputs").iterdir()) == []
    store.close()
