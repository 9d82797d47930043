"""A Hugging Face image folder."""

from __future__ import annotations

import json
from pathlib import Path

from tests.dataset.sources.pieces import Opened
from tests.images.drawings import save_drawings


def test_the_tables_text_is_the_caption_where_there_is_no_sidecar(tmp_path: Path) -> None:
    save_drawings(tmp_path / "train", 3)
    (tmp_path / "train" / "002.txt").write_text("mine")
    rows = [{"file_name": f"00{n}.png", "text": f"caption\n{n} \ud800"} for n in range(3)]
    (tmp_path / "train" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    opened = Opened(tmp_path)
    assert opened.kind == "image folder with a table"
    assert list(opened.files)[:4] == ["train/000.png", "train/000.txt", "train/001.png", "train/001.txt"]
    assert opened.files["train/000.txt"] == b"caption 0 ?"
    assert opened.files["train/002.txt"] == b"mine"
    assert opened.left_out == {}


def test_csv_with_other_column_names(tmp_path: Path) -> None:
    save_drawings(tmp_path, 1)
    (tmp_path / "metadata.csv").write_text('\ufefffile_name,caption\n000.png,"a, ""b"""\n', "utf-8")
    assert Opened(tmp_path).files["000.txt"] == b'a, "b"'


def test_rows_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    save_drawings(tmp_path / "here", 1)
    save_drawings(tmp_path, 1)
    rows = [
        *(
            json.dumps({"file_name": name, "text": "x"})
            for name in ("000.png", "../000.png", "/etc/passwd", "gone.png")
        ),
        *('{"file_name": 5}', "{broken", "[" * 100_000, "x" * 3_000_000),
    ]
    (tmp_path / "here" / "metadata.jsonl").write_text("\n".join(rows))
    opened = Opened(tmp_path / "here")
    assert opened.files["000.txt"] == b"x"
    assert len(opened.left_out) >= 7
    assert all("names no picture of the folder" in reason for reason in opened.left_out.values())
    assert "metadata.jsonl row 2" in opened.left_out


def test_a_table_of_something_else_is_no_source(tmp_path: Path) -> None:
    save_drawings(tmp_path, 1)
    (tmp_path / "metadata.csv").write_bytes(b"a\0,b\n1,2\n" + b'"' * 200_000)
    opened = Opened(tmp_path)
    assert opened.kind == "folder"
    assert list(opened.left_out) == ["metadata.csv"]
