"""Every form in which other tools keep tags; whatever a file holds, entries or one clear error."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from lorasmith.errors import DatasetError
from lorasmith.tags.metadata import Entry, Unreadable, read_entries


def entries_of(source: Path) -> list[tuple[str, str | None, str | None]]:
    read = list(read_entries(source))
    assert all(isinstance(entry, Entry) for entry in read), read
    return [(entry.image, entry.tags, entry.sentence) for entry in read if isinstance(entry, Entry)]


def faults_of(source: Path) -> list[str]:
    return [f"{part.where}: {part.message}" for part in read_entries(source) if isinstance(part, Unreadable)]


def save(file: Path, document: Any) -> Path:
    file.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    return file


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"a/1": {"tags": "hat, red", "train_resolution": [64, 64]}}, ("a/1", "hat, red", None)),
        ({"C:\\a\\1.png": {"tags": "hat", "image_size": [1, 1]}}, ("C:/a/1.png", "hat", None)),
        ({"1": {"tags": "hat", "caption": "a man with a red hat"}}, ("1", "hat", "a man with a red hat")),
        ({"1": {"caption": "hat, red"}}, ("1", "hat, red", None)),
        ({"1": {"caption": "a man with a red hat"}}, ("1", "a man with a red hat", None)),
        ({"1": "hat, red"}, ("1", "hat, red", None)),
        ({"1": ["hat", "red"]}, ("1", "hat, red", None)),
        ({"1": {"tags": {"red": 0.2, "hat": 0.9}}}, ("1", "hat, red", None)),
        ([{"file_name": "1.png", "text": "hat"}], ("1.png", "hat", None)),
        ({"1": {"tags": "a\ud800b\0c"}}, ("1", "a?b c", None)),
    ],
)
def test_json(tmp_path: Path, document: Any, expected: tuple[str, str | None, str | None]) -> None:
    assert entries_of(save(tmp_path / "meta.json", document)) == [expected]


def test_json_lines(tmp_path: Path) -> None:
    lines = [
        {"image_path": "/data/1.png", "caption": "hat, red", "image_size": [1, 1]},
        {"file_name": "train/2.jpg", "text": "a cat sits on the mat"},
    ]
    file = save(tmp_path / "metadata.jsonl", "\ufeff" + "\n\n".join(map(json.dumps, lines)))
    assert entries_of(file) == [
        ("/data/1.png", "hat, red", None),
        ("train/2.jpg", "a cat sits on the mat", None),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'file,tags\n1.png,"hat, red"\n'),
        ("a.csv", 'File_Name,Other,TAGS\n1.png,x,"hat, red"\n'),
        ("a.csv", '1.png,"hat, red"\n'),
        ("a.csv", "1.png,hat,red\n"),
        ("a.csv", "\ufefffile,tags\r\n1.png,hat, red\r\n".replace("hat, red", '"hat, red"')),
        ("a.tsv", "file\ttags\n1.png\that, red\n"),
        ("a.csv", '1.png,"hat, \0red"\n'),
    ],
)
def test_tables(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_bytes(text.encode())
    assert entries_of(file) == [("1.png", "hat, red", None)]


def test_a_folder_of_captions(tmp_path: Path) -> None:
    (tmp_path / "5_a").mkdir()
    (tmp_path / ".hidden").mkdir()
    save(tmp_path / "1.txt", "hat, red\n")
    save(tmp_path / "1.caption", "not this one")
    save(tmp_path / "5_a" / "b.c.caption", "hat, red\na man with a hat stands in the rain")
    save(tmp_path / ".hidden" / "2.txt", "not this one")
    save(tmp_path / "metadata.jsonl", json.dumps({"file_name": "3.png", "text": "cap"}))
    assert entries_of(tmp_path) == [
        ("1", "hat, red", None),
        ("5_a/b.c", "hat, red", "a man with a hat stands in the rain"),
        ("3.png", "cap", None),
    ]


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (inside / "1.txt").symlink_to(save(outside / "1.txt", "secret"))
    (inside / "2.txt").mkdir()
    save(inside / "3.txt", "hat")
    assert entries_of(inside) == [("3", "hat", None)]


def test_parts_that_are_no_entries_are_named_and_the_rest_kept(tmp_path: Path) -> None:
    lines = [
        "{",
        "[1]",
        '{"text": "no image"}',
        '{"file": "1"}',
        '{"file": "1", "tags": 5}',
        '{"file": "2", "tags": "hat"}',
    ]
    lines += ["[" * 100_000, json.dumps({"file": "3", "tags": "x" * 100_001})]
    file = save(tmp_path / "a.jsonl", "\n".join(lines))
    assert faults_of(file) == [
        "a.jsonl, line 1: not valid JSON.",
        "a.jsonl, line 2: list instead of an entry.",
        "a.jsonl, line 3: names no image (file_name, image_path, file, ...).",
        "a.jsonl, line 4: 1: neither tags nor a caption.",
        "a.jsonl, line 5: 1: its tags are no text, or too long.",
        "a.jsonl, line 7: not valid JSON.",
        "a.jsonl, line 8: 3: its tags are no text, or too long.",
    ]
    assert [entry for entry in read_entries(file) if isinstance(entry, Entry)] == [
        Entry("2", "hat", None, "a.jsonl, line 6")
    ]
    save(tmp_path / "b.json", {"1": 5, "2": None})
    assert faults_of(tmp_path / "b.json") == ["b.json: 1: int instead of tags.", "b.json: 2: NoneType instead of tags."]
    save(tmp_path / "c.csv", "1.png\n" + "x" * 200_000 + ",y\n")
    assert len(faults_of(tmp_path / "c.csv")) == 2
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "1.txt").write_bytes(b"\xff")
    save(folder / "2.txt", "x" * 500_000)
    assert faults_of(folder) == [
        "1.txt: not UTF-8 text (byte 0); it looks like cp1252. If so: encoding = cp1252",
        "2.txt: too long for a caption.",
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"{", "not valid JSON"),
        ("a.json", b"5", "neither a table"),
        ("a.json", b"[" * 100_000, "nested too deeply"),
        ("a.json", b"9" * 5000, "not valid JSON"),
        ("a.json", b"\xff", "not UTF-8"),
        ("a.jsonl", b"\xff\n", "not UTF-8"),
        ("a.csv", b"\xff,\xff\n", "not UTF-8"),
        ("a.png", b"", "not a kind of tag list"),
        ("a", b"", "not a kind of tag list"),
    ],
)
def test_what_cannot_be_read_at_all(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        list(read_entries(file))


def test_a_missing_and_a_huge_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file or folder"):
        list(read_entries(tmp_path / "nowhere.json"))
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(300 << 20)
    with pytest.raises(DatasetError, match="larger than 256 MB"):
        list(read_entries(tmp_path / "huge.json"))


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".tsv"])
def test_random_bytes_and_mutations_give_entries_or_one_clear_error(tmp_path: Path, suffix: str) -> None:
    chance = random.Random(suffix)
    seeds = [
        json.dumps({"1.png": {"tags": "hat, red", "caption": "x"}}).encode(),
        b"file,tags\n1.png,hat\n2.png,cap\n".replace(b",", b"\t" if suffix == ".tsv" else b","),
        os.fsencode('{"file_name": "1.png", "text": "hat"}\n' * 3),
    ]
    file = tmp_path / f"a{suffix}"
    outcomes: set[type] = set()
    for turn in range(150):
        content = bytearray(seeds[turn % 3])
        for _ in range(chance.randrange(1, 6)):
            place = chance.randrange(len(content))
            content[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(4))
        file.write_bytes(content)
        try:
            outcomes.update(type(part) for part in read_entries(file))
        except DatasetError:
            outcomes.add(DatasetError)
    assert {Entry, DatasetError} <= outcomes
