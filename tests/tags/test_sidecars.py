"""Caption files to the byte as kohya's trainer reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lorasmith.errors import DatasetError
from lorasmith.tags.sidecars import read_as_kohya


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: paths are relative, for underscores of the whole path count."""
    monkeypatch.chdir(tmp_path_factory.mktemp("data"))
    return Path()


@pytest.mark.parametrize(
    ("text", "first", "all_lines"),
    [
        (b"a, b\n", "a, b", "a, b"),
        (b"  a, b \r\nsecond\r\n", "a, b", "a, b\nsecond"),
        (b"\nsecond line\n", "", "second line"),
        (b"\xef\xbb\xbfa", "\ufeffa", "\ufeffa"),
        (b"a {x|y} ,, b", "a {x|y} ,, b", "a {x|y} ,, b"),
        (b"\n", "", ""),
    ],
)
def test_first_line_or_all_lines(folder: Path, text: bytes, first: str, all_lines: str) -> None:
    (folder / "1.txt").write_bytes(text)
    assert read_as_kohya(folder / "1.png") == first
    assert read_as_kohya(folder / "1.png", wildcard=True) == all_lines


def test_the_extension_is_the_one_that_is_asked_for(folder: Path) -> None:
    (folder / "1.caption").write_text("of caption")
    assert read_as_kohya(folder / "1.png") is None
    assert read_as_kohya(folder / "1.png", ".caption") == "of caption"


def test_a_long_name_may_take_the_caption_of_a_short_one(folder: Path) -> None:
    (folder / "a.txt").write_text("a's")
    assert read_as_kohya(folder / "a_b_c_d_e.png") == "a's"
    assert read_as_kohya(folder / "a_b_c_d.png") is None
    (folder / "a_b_c_d_e.txt").write_text("its own")
    assert read_as_kohya(folder / "a_b_c_d_e.png") == "its own"


def test_underscores_of_the_whole_path_count(folder: Path) -> None:
    deep = folder / "one_two_three_four"
    deep.mkdir()
    (folder / "one.txt").write_text("of the path")
    (deep / "x.txt").write_text("x's")
    assert read_as_kohya(deep / "y_z.png") == "of the path"
    assert read_as_kohya(deep / "x.png") == "x's"


@pytest.mark.parametrize(("text", "message"), [(b"", "empty"), (b"a\xff", r"not UTF-8 text \(byte 1\)")])
def test_where_the_trainer_stops(folder: Path, text: bytes, message: str) -> None:
    (folder / "1.txt").write_bytes(text)
    with pytest.raises(DatasetError, match=message):
        read_as_kohya(folder / "1.png")
