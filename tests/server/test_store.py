"""The records: what is written is there after a reopening, in order, and old files become new ones."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lorasmith.errors import StorageError
from lorasmith.generation.spec import Hires, PictureSpec, StoredInit, Variation
from lorasmith.server.rows import PictureRow
from lorasmith.server.store import FILE_NAME, MIGRATIONS, Store
from lorasmith.server.stored_spec import read_stored, write_stored


def spec(prompt: str = "a hat", start: StoredInit | None = None) -> PictureSpec:
    return PictureSpec(prompt=prompt, seed=3, base="doodle", init=start)


def picture(number: int, created: float = 0.0, job: str | None = None) -> PictureRow:
    return PictureRow(
        id=f"{number:032x}",
        job=job,
        number=number,
        created=created or float(number),
        width=8,
        height=8,
        seed=2**63 - 1,
        prompt=f"Picture {number}",
        base="doodle",
        document={"request": {"prompt": "é"}},
        infotext="text",
        bytes=3,
        kind="picture",
        spec=spec(),
    )


def test_jobs_outlive_a_reopening(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_job("one", "me", "native", "pictures", [spec(), spec("another")], {"note": 1})
    store.set_item("one", 0, "done", picture="a" * 32)
    store.set_item("one", 1, "failed", error={"message": "no"})
    store.close()
    again = Store(tmp_path)
    (row,) = again.unfinished()
    assert (row.id, row.detail, row.state) == ("one", {"note": 1}, "queued")
    assert [(item.state, item.picture, item.error) for item in row.items] == [
        ("done", "a" * 32, None),
        ("failed", None, {"message": "no"}),
    ]
    assert row.items[1].spec == spec("another")
    again.set_job("one", "done")
    assert again.unfinished() == []
    found = again.job("one")
    assert found is not None
    assert found.finished == pytest.approx(time.time(), abs=60)
    assert [job.id for job in again.jobs("done")] == ["one"]
    assert again.jobs("failed") == []
    assert again.job("two") is None


def test_pictures_page_by_page(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(1, 8):
        store.add_picture(picture(number, created=float(number // 2)), b"png", b"jpg")
    seen: list[PictureRow] = []
    before = None
    while page := store.pictures(2, before):
        seen += page
        before = (page[-1].created, page[-1].id)
    assert [row.number for row in seen] == [7, 6, 5, 4, 3, 2, 1]
    assert seen[0] == picture(7, created=3.0)
    assert [row.number for row in store.pictures(search="PICTURE 3")] == [3]
    assert store.thumbnail(seen[0].id) == b"jpg"
    path = store.picture_path(seen[0].id)
    assert path.read_bytes() == b"png"
    assert store.remove_picture(seen[0].id)
    assert not path.exists()
    assert not store.remove_picture(seen[0].id)
    assert store.count_pictures() == 6


def test_inputs_stay_while_they_are_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    kept, lost = "a" * 64, "b" * 64
    for name in (kept, lost):
        store.input_path(name).parent.mkdir(exist_ok=True)
        store.input_path(name).write_bytes(b"png")
    store.add_job("one", "me", "native", "pictures", [spec(start=StoredInit(image=kept))], {})
    store.drop_inputs(store.inputs())
    assert store.inputs() == [kept]


def test_old_records_are_brought_up_to_date(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / FILE_NAME)
    old.executescript(f"{MIGRATIONS[0]}; pragma user_version = 1")
    old.execute("insert into option values ('emphasis', '\"None\"')")
    old.commit()
    old.close()
    store = Store(tmp_path)
    assert store.options() == {"emphasis": "None"}
    store.add_picture(picture(1), b"png", b"jpg")
    assert store.picture(picture(1).id) == picture(1)


def test_records_that_cannot_be_read(tmp_path: Path) -> None:
    newer = sqlite3.connect(tmp_path / FILE_NAME)
    newer.execute(f"pragma user_version = {len(MIGRATIONS) + 1}")
    newer.close()
    with pytest.raises(StorageError, match="newer version"):
        Store(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match="cannot be opened"):
        Store(tmp_path)


def test_old_jobs_without_pictures_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorasmith.server.store.JOBS_KEPT", 2)
    store = Store(tmp_path)
    names = ["shown", "a", "b", "c", "open"]
    for name in names:
        store.add_job(name, "me", "native", "pictures", [spec()], {})
    store.add_picture(picture(1, job="shown"), b"png", b"jpg")
    for name in names[:-1]:
        store.set_job(name, "done")
    assert {row.id for row in store.jobs()} == {"shown", "b", "c", "open"}
    assert store.remove_picture(picture(1).id)  # now it is empty, too, and the latest of those
    store.set_job("open", "failed")
    assert {row.id for row in store.jobs()} == {"shown", "open"}


OLD = """{"prompt":"a hat","negative":"","seed":3,"steps":20,"cfg":null,"sampler":"DDIM","schedule":"Automatic",
"width":null,"height":null,"clip_skip":1,"emphasis":"original","compat":null,"tiling":false,"eta":null,
"variation":{"seed":7,"strength":0.25},"hires":{"scale":1.5,"width":null,"height":null,"steps":0,"denoising":0.5,
"upscaler":"Latent","prompt":"","negative":""},"start":{"image":"%s","mask":null,"strength":0.5,"resize":"stretch"},
"base":"doodle"}"""


def test_pictures_that_an_older_version_queued_are_read(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / FILE_NAME)
    old.executescript(f"{MIGRATIONS[0]}; pragma user_version = 1")
    old.execute(
        "insert into job (id, client, face, kind, state, created) values ('one', '', 'native', '', 'queued', 1)"
    )
    old.execute("insert into item values ('one', 0, ?, 'queued', null, null)", (OLD % ("a" * 64),))
    old.commit()
    old.close()
    store = Store(tmp_path)
    ((item,),) = [row.items for row in store.unfinished()]
    assert item.spec == PictureSpec(
        "a hat",
        seed=3,
        variation=Variation(7, 0.25),
        init=StoredInit(image="a" * 64, strength=0.5, resize="stretch"),
        hires=Hires(1.5, denoising=0.5),
        base="doodle",
    )
    own = replace(item.spec, hires=Hires(prompt="", steps=3))
    assert read_stored(write_stored(own)) == own
    store.input_path("a" * 64).parent.mkdir(exist_ok=True)
    store.input_path("a" * 64).touch()
    store.drop_inputs(store.inputs())
    assert store.inputs() == ["a" * 64]
    for wrong in ("[]", "{", '{"prompt": 3}'):
        with pytest.raises(StorageError, match="does not say what to draw"):
            read_stored(wrong)


def test_jobs_of_older_records_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorasmith.server.store.JOBS_KEPT", 2)
    old = sqlite3.connect(tmp_path / FILE_NAME)
    for number, script in enumerate(MIGRATIONS[:3], start=1):
        old.executescript(f"{script}; pragma user_version = {number}")
    for number, state in enumerate(["done", "failed", "queued", "done"]):
        values = (f"old {number}", state, float(number))
        old.execute("insert into job (id, client, face, kind, state, created) values (?, '', '', '', ?, ?)", values)
    old.commit()
    old.close()
    store = Store(tmp_path)
    store.set_job("old 2", "cancelled")
    assert [row.id for row in store.jobs()] == ["old 3", "old 2"]


def test_nothing_is_looked_for_row_by_row(tmp_path: Path) -> None:
    store = Store(tmp_path)
    start = StoredInit(image="a" * 64, mask="b" * 64)
    store.add_job("one", "me", "native", "pictures", [spec(start=start)], {})
    store.add_picture(picture(1, job="one"), b"png", b"jpg")
    said: list[str] = []
    store._db.set_trace_callback(said.append)
    store.mark_job("one", "running")
    store.set_item("one", 0, "done", picture(1).id)
    store.drop_inputs(["c" * 64])
    store.jobs("queued", 1, 5.0)
    store.remove_picture(picture(1).id)
    store.set_job("one", "done", {})
    store._db.set_trace_callback(None)
    asked = [each for each in said if each.startswith(("select", "update", "delete"))]
    assert len(asked) >= 10
    for statement in asked:
        plan = [str(row[3]) for row in store._db.execute(f"explain query plan {statement}")]
        steps = [step for step in plan if step.startswith(("SCAN", "SEARCH")) and step != "SCAN CONSTANT ROW"]
        assert all("=?)" in step or ">?)" in step or "<?)" in step for step in steps), (statement, steps)


def fill_disk(store: Store) -> None:
    """From here on SQLite finds no more space than it has."""
    (pages,) = store._db.execute("pragma page_count").fetchone()
    store._db.execute(f"pragma max_page_count = {pages}")


def empty_disk(store: Store) -> None:
    store._db.execute("pragma max_page_count = 1000000")


def test_a_full_disk_is_told_and_the_records_stay_usable(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_job("one", "me", "native", "pictures", [spec()], {})
    fill_disk(store)
    with pytest.raises(StorageError, match="full"):
        store.add_job("two", "me", "native", "pictures", [spec("x" * 100_000)], {})
    with pytest.raises(StorageError, match="full"):
        store.add_picture(picture(1), b"png", b"jpg" * 100_000)
    assert not store.picture_path(picture(1).id).exists()
    assert [row.id for row in store.jobs()] == ["one"]
    empty_disk(store)
    store.add_job("two", "me", "native", "pictures", [spec()], {})
    store.add_picture(picture(1), b"png", b"jpg")
    assert {row.id for row in store.jobs()} == {"one", "two"}


def test_what_was_half_written_goes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_picture(picture(1), b"png", b"jpg")
    kept = store.picture_path(picture(1).id)
    half = kept.with_name(f".{kept.name}.123-4.partial")
    half.write_bytes(b"p")
    theirs = kept.with_name("their own.png")
    theirs.write_bytes(b"png")
    store.remove_partials()
    assert sorted(kept.parent.iterdir()) == sorted([kept, theirs])
