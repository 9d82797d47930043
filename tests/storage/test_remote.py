"""Folders behind URLs: mirrored as they are, fetched once, and never beyond their roots."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from lorasmith.errors import StorageError
from lorasmith.events import Event, Note, Progress, finish
from lorasmith.storage import remote
from lorasmith.storage.remote import RemoteFolder, bring, mirror, url_of

fsspec = pytest.importorskip("fsspec", reason="the [cluster] extra is not installed")


@pytest.fixture
def url() -> Iterator[str]:
    """Two files in memory."""
    files = fsspec.filesystem("memory")
    files.pipe({"/there/a.txt": b"one", "/there/in/b.txt": b"two", "/elsewhere/c.txt": b"three"})
    yield "memory://there"
    files.rm("/", recursive=True)


def fetch(url: str, folder: Path) -> list[Event]:
    events: list[Event] = []
    finish(mirror(url, folder, lambda place: place.suffix == ".txt", "fetching"), events.append)
    return events


def held(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_mirror_has_what_is_there_and_fetches_what_changed(url: str, tmp_path: Path) -> None:
    folder, files = tmp_path / "mirror", fsspec.filesystem("memory")
    events = fetch(url, folder)
    assert held(folder) == {"a.txt": "one", "in/b.txt": "two"}
    assert [event.as_json()["done"] for event in events if isinstance(event, Progress)] == [1, 2]
    assert fetch(url, folder) == [], "nothing is fetched twice"
    files.pipe({"/there/a.txt": b"1", "/there/new.txt": b"4", "/there/not.md": b"5"})
    files.rm("/there/in/b.txt")
    (folder / "new.txt").write_text("half")
    assert [type(event) for event in fetch(url, folder)] == [Progress, Progress]
    assert held(folder) == {"a.txt": "1", "new.txt": "4"}
    (folder / "a.txt").unlink()
    fetch(url, folder)
    assert held(folder) == {"a.txt": "1", "new.txt": "4"}


def test_what_was_fetched_before_an_interruption_is_not_fetched_again(url: str, tmp_path: Path) -> None:
    work = mirror(url, tmp_path / "mirror", lambda _: True, "fetching")
    next(work)
    work.close()
    (event,) = fetch(url, tmp_path / "mirror")
    assert event == Progress("fetching", 1, 1, 0.0)


def test_nothing_beyond_the_root_is_read(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.txt").write_text("mine")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "root" / "link.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "root" / "folder").symlink_to(tmp_path)
    events = fetch(f"file://{tmp_path}/root", tmp_path / "mirror")
    assert held(tmp_path / "mirror") == {"a.txt": "mine"}
    assert "leads out of it" in "".join(event.message for event in events if isinstance(event, Note))
    there = RemoteFolder(f"file://{tmp_path}/root")
    root = str(tmp_path / "root")
    for path in ("../secret.txt", "a/../../secret.txt", "/etc/passwd", "a\\..\\b", "c:/b", ""):
        assert there._place(f"{root}/{path}") is None, path
    assert there._place(f"{root}er/a.txt") is None
    assert there._place(f"{root}/a/b.txt") == PurePosixPath("a/b.txt")


def test_a_worker_elsewhere_fetches_what_it_is_asked_for(url: str, tmp_path: Path) -> None:
    remote.mirrors[str(tmp_path / "mirror")] = url
    try:
        bring(tmp_path / "mirror" / "in" / "b.txt")
        bring(tmp_path / "other" / "a.txt")
    finally:
        del remote.mirrors[str(tmp_path / "mirror")]
    assert held(tmp_path) == {"mirror/in/b.txt": "two"}


def test_a_file_goes_out(url: str, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("all of it")
    RemoteFolder(url).send(tmp_path / "x.zip", PurePosixPath("out/x.zip"))
    assert fsspec.filesystem("memory").cat_file("/there/out/x.zip") == b"all of it"
    with pytest.raises(StorageError, match=r"^memory://there/a\.txt: exists already\."):
        remote.send_file(tmp_path / "x.zip", "memory://there/a.txt")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("memory://nowhere", r"^memory://nowhere: nothing is there\. Check the spelling of the URL\.$"),
        ("nosuch://a/b", r"^nosuch://a/b: cannot be opened: Protocol not known: nosuch"),
    ],
)
def test_what_fails_is_one_sentence(wrong: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=said) as fault:
        fetch(wrong, tmp_path / "mirror")
    assert "\n" not in str(fault.value)


def test_a_file_that_cannot_be_fetched_is_one_sentence(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: RemoteFolder, place: PurePosixPath) -> object:
        raise PermissionError(f"Access Denied\nrequest 17 of {place}")

    monkeypatch.setattr(RemoteFolder, "open", refuse)
    with pytest.raises(StorageError, match=r"^memory://there/a\.txt: cannot be fetched: Access Denied$"):
        fetch(url, tmp_path / "mirror")
    assert held(tmp_path / "mirror") == {}


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "find_spec", lambda _: None)
    with pytest.raises(StorageError, match=r's3://a/b: a URL needs fsspec\. pip install "lorasmith\[cluster\]"'):
        RemoteFolder("s3://a/b/")


def test_what_is_a_url(tmp_path: Path) -> None:
    assert url_of("s3://bucket/a b") == "s3://bucket/a b"
    assert url_of(Path("s3://bucket/a")) == "s3://bucket/a"
    assert url_of(Path("file:///data/a")) == "file:///data/a"
    assert url_of("memory://a") == "memory://a"
    for place in ("images", "/a/b", "C:/a", "C:\\a", "./memory:/a", "~/a", ".", "s3:/a"):
        assert url_of(place) is None, place
    (tmp_path / "s3:").mkdir()
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        assert url_of(Path("s3:/")) is None, "a folder of that name lies here"
    finally:
        os.chdir(here)


def test_only_a_url_imports_fsspec(tmp_path: Path) -> None:
    code = (
        "import sys\nimport lorasmith.storage.remote, lorasmith.dataset.reading, lorasmith.dataset.sources\n"
        "assert 'fsspec' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
