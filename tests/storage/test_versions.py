"""Files of every version that was shipped are read by this one, and no row is lost.

The statements are those of the version that wrote such files, not of the code of today.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from lorasmith.dataset.index import FILE_NAME as INDEX
from lorasmith.dataset.index import open_index
from lorasmith.jobs.queue import JobQueue
from lorasmith.server.store import FILE_NAME as RECORDS
from lorasmith.server.store import Store
from lorasmith.tags.scores import StoredTags
from lorasmith.tags.store import FILE_NAME as TAGS
from lorasmith.tags.store import read_sentences, read_stored, read_vocabulary, store
from tests.dataset.projects import make_project

ORDER = json.dumps({"prompt": "a hat", "seed": 3, "base": "doodle"})

TAGS_1 = """
create table if not exists tagger (
    id integer primary key, identity text not null unique, used integer not null, words blob not null
);
create table if not exists word (
    id integer primary key, name text not null, category integer not null, unique (name, category)
);
create table if not exists scored (
    sha256 text not null, tagger integer not null, words blob not null, scores blob not null,
    primary key (sha256, tagger)
) without rowid;
create table if not exists captioner (id integer primary key, command text not null unique, used integer not null);
create table if not exists sentence (
    sha256 text not null, captioner integer not null, text text not null, primary key (sha256, captioner)
) without rowid;
pragma user_version = 1;
insert into word values (1, 'blue eyes', 0), (2, 'general', 9);
insert into sentence values ('aa', 1, 'A hat.');
insert into captioner values (1, 'prog', 1);
"""

QUEUE_1 = """
pragma journal_mode = wal;
create table jobs (
  id integer primary key autoincrement, project text not null, assignments text not null,
  run text not null default '', state text not null, device text not null default '', created real not null,
  started real, ended real, step integer not null default 0, steps integer not null default 0,
  message text not null default ''
);
pragma user_version = 1;
insert into jobs (project, assignments, run, state, created) values ('/p', '["rank=4"]', '/p/runs/a', 'waiting', 5.0);
insert into jobs (project, assignments, run, state, created, step) values ('/q', '[]', '/q/runs/b', 'failed', 6.0, 7);
"""

#: The index had no number in its first version.
INDEX_0 = """
create table if not exists known (
    topic text not null, path blob not null, size integer not null, mtime_ns integer not null, facts text not null,
    primary key (topic, path)
) without rowid;
insert into known values ('pairs', x'6b6579', 0, 0, '[1, 2]');
"""

RECORDS_1 = """
pragma journal_mode = wal;
create table job (
    id text primary key, client text not null, face text not null, kind text not null, state text not null,
    created real not null, finished real, detail text not null default '{}'
) without rowid;
create index job_by_state on job (state, created);
create index job_by_time on job (created);
create table item (
    job text not null references job (id) on delete cascade, number integer not null, wanted text not null,
    state text not null, picture text, error text, primary key (job, number)
) without rowid;
create table picture (
    id text primary key, job text, number integer not null, created real not null, width integer not null,
    height integer not null, seed integer not null, prompt text not null, base text not null,
    document text not null, infotext text not null, thumbnail blob not null, bytes integer not null
);
create index picture_by_time on picture (created desc, id desc);
create table option (name text primary key, value text not null) without rowid;
pragma user_version = 1;
insert into job (id, client, face, kind, state, created) values
  ('one', 'me', 'native', 'pictures', 'done', 1.0), ('two', 'me', 'webui', 'pictures', 'queued', 2.0);
insert into picture values ('00ff', 'one', 0, 1.5, 8, 8, 3, 'a hat', 'doodle', '{}', 'text', x'6a7067', 3);
insert into option values ('emphasis', '"None"');
"""
RECORDS_2 = """
alter table picture add column kind text not null default 'picture';
create index picture_by_job on picture (job);
pragma user_version = 2;
"""
RECORDS_3 = """
alter table picture add column wanted text;
pragma user_version = 3;
"""
RECORDS_4 = """
alter table job add column emptied integer;
update job set emptied = counted.number from (
    select id, row_number() over (order by created, id) as number from job
    where state not in ('queued', 'running') and id not in (select job from picture where job is not null)
) as counted where job.id = counted.id;
create index job_by_emptied on job (emptied) where emptied is not null;
create index item_by_picture on item (picture) where picture is not null;
create index item_by_image on item (json_extract(wanted, '$.start.image'));
create index item_by_mask on item (json_extract(wanted, '$.start.mask'));
create index picture_by_image on picture (json_extract(wanted, '$.start.image'));
create index picture_by_mask on picture (json_extract(wanted, '$.start.mask'));
pragma user_version = 4;
"""


def write(file: Path, *scripts: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(file)
    for script in scripts:
        db.executescript(script)
    db.close()
    return file


def test_tags_of_version_1(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    file = write(project.cache / TAGS, TAGS_1)
    words, scores = np.array([1, 2], "<u4").tobytes(), np.array([0.9, 0.25], "<f4").tobytes()
    db = sqlite3.connect(file)
    db.execute("insert into tagger values (1, 'wd abc', 1, ?)", (words,))
    db.execute("insert into scored values ('aa', 1, ?, ?)", (words, scores))
    db.commit()
    db.close()
    for _ in range(2):
        assert read_stored(project)["aa"][0].tags == (("blue eyes", 0, 0.9), ("general", 9, 0.25))
        assert read_vocabulary(project) == {"blue eyes": 0, "general": 9}
        assert read_sentences(project) == {"aa": "A hat."}
        store(project, [StoredTags("bb", "wd abc", ())])  # opened for writing, too


def test_a_queue_of_version_1(tmp_path: Path) -> None:
    write(tmp_path / "queue.db", QUEUE_1)
    queue = JobQueue(tmp_path)
    first, second = queue.jobs()
    assert (first.id, first.assignments, first.run, first.state) == (1, ("rank=4",), "/p/runs/a", "waiting")
    assert (second.id, second.step, second.state, second.created) == (2, 7, "failed", 6.0)
    assert queue.claim("cpu") == queue.job(1)


def test_an_index_without_a_version(tmp_path: Path) -> None:
    write(tmp_path / INDEX, INDEX_0)
    for _ in range(2):
        with open_index(tmp_path) as index:
            assert index.recall("pairs", "key") == [1, 2]
            index.keep("others", "key", 3)


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_records_of_every_version(version: int, tmp_path: Path) -> None:
    write(tmp_path / RECORDS, *(RECORDS_1, RECORDS_2, RECORDS_3, RECORDS_4)[:version])
    db = sqlite3.connect(tmp_path / RECORDS)
    db.execute("insert into item values ('two', 0, ?, 'queued', null, null)", (ORDER,))
    db.commit()
    db.close()
    kept = Store(tmp_path)
    (waiting,) = kept.unfinished()
    assert (waiting.id, waiting.face, waiting.items[0].spec.prompt) == ("two", "webui", "a hat")
    done = kept.job("one")
    assert done is not None
    assert (done.client, done.state, done.created) == ("me", "done", 1.0)
    (picture,) = kept.pictures()
    assert (picture.id, picture.prompt, picture.kind, picture.spec) == ("00ff", "a hat", "picture", None)
    assert kept.thumbnail("00ff") == b"jpg"
    assert kept.options() == {"emphasis": "None"}
    kept.set_job("two", "failed")
    assert [job.id for job in kept.jobs("failed")] == ["two"]
    kept.close()
