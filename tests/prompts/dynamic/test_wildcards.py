"""Wildcard files: three formats, weights, and a folder that cannot be left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorasmith.errors import PromptError
from lorasmith.prompts.dynamic import Wildcards


def pairs(wildcards: Wildcards, path: str) -> list[tuple[str, float]]:
    return [(value.text, value.weight) for value in wildcards.values(path)]


def test_weights_in_all_formats(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("2::heavy\n.5::light\nplain\nx::y\nplain\n")
    (tmp_path / "b.yaml").write_text("b:\n- 2::heavy\n- {text: light, weight: 0.5}\n- no\n- 1:30\n- content: c\n")
    (tmp_path / "c.json").write_text(json.dumps({"c": ["2::heavy", {"text": "light", "weight": 0.5}, 7, "", None]}))
    wildcards = Wildcards(tmp_path)
    assert pairs(wildcards, "a") == [("heavy", 2), ("light", 0.5), ("plain", 2), ("x::y", 1)]
    assert pairs(wildcards, "b") == [("1:30", 1), ("c", 1), ("heavy", 2), ("light", 0.5), ("no", 1)]
    assert pairs(wildcards, "c") == [("7", 1), ("heavy", 2), ("light", 0.5)]


def test_trees_lists_and_folders(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "tree.yaml").write_text("base: &b [x, y]\nhats: {old: [cap], new: *b}\none: single\n")
    (tmp_path / "in" / "deep" / "flat.json").write_text('["p", "q"]')
    (tmp_path / "in" / ".hidden.txt").write_text("no\n")
    wildcards = Wildcards(tmp_path)
    assert wildcards.names() == ["in/base", "in/deep/flat", "in/hats/new", "in/hats/old", "in/one"]
    assert pairs(wildcards, "in/hats/*") == [("cap", 1), ("x", 1), ("y", 1)]
    assert pairs(wildcards, "flat") == [("p", 1), ("q", 1)]
    assert pairs(wildcards, "in/*e") == [("single", 1), ("x", 1), ("y", 1)]
    assert pairs(wildcards, "nothing") == []


def test_nothing_outside_the_folder_can_be_named(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret.txt").write_text("password\n")
    (inside / "file.txt").symlink_to(outside / "secret.txt")
    (inside / "folder").symlink_to(outside, target_is_directory=True)
    (inside / "own.txt").write_text("fine\n")
    (inside / "link.txt").symlink_to(inside / "own.txt")
    wildcards = Wildcards(inside)
    assert wildcards.names() == ["link", "own"]
    for path in ("../outside/secret", "secret", "folder/secret", "**", str(outside / "secret")):
        assert "password" not in [text for text, _ in pairs(wildcards, path)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.json", "{"),
        ("x.json", "[" * 100_000),
        ("x.yaml", "a: [b"),
        ("x.yaml", "a: " + "[" * 1_000 + "]" * 1_000),
        ("x.yaml", "a: *nobody"),
        ("x.yaml", "l0: &l0 {x: y}\n" + "".join(f"l{n}: &l{n} {{a: *l{n - 1}, b: *l{n - 1}}}\n" for n in range(1, 60))),
        ("x.yaml", "a: &a {b: *a}"),
        ("x.yaml", b"\xff\xfe\xff"),
    ],
)  # fmt: skip
def test_a_broken_file_hurts_only_those_who_need_it(tmp_path: Path, name: str, content: str | bytes) -> None:
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    (tmp_path / "good.txt").write_text("fine\n")
    wildcards = Wildcards(tmp_path)
    assert pairs(wildcards, "good") == [("fine", 1)]
    assert name in str(wildcards.missing("hats"))


def test_faults_of_a_list(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(PromptError, match="not UTF-8"):
        Wildcards(tmp_path).values("latin")
    with pytest.raises(PromptError, match="no such folder"):
        Wildcards(tmp_path / "nowhere")
