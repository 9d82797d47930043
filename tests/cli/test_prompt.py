"""`lorasmith prompt`: parse, expand, explain."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from lorasmith.cli.main import run
from tests.refusal_words import age, refused_words


def ask(lines: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[object]:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
    assert run(["prompt", "parse", "--jsonl"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_lines_in_lines_out(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answers = ask(
        [
            json.dumps({"text": "a [b:3] <lora:x:.8>", "steps": 10}),
            json.dumps({"text": "a [b:1.5] c", "steps": 10, "hires_steps": 10}),
            "",
            json.dumps({"text": "a, :3", "steps": 1, "compat": "a1111"}),
        ],
        monkeypatch,
        capsys,
    )
    assert answers == [
        {
            "networks": [{"name": "x", "te": 0.8, "unet": 0.8, "dyn": None}],
            "text": "a [b:3] ",
            "subprompts": [["a [b:3]", 1.0]],
            "schedule": [[3, "a "], [10, "a b"]],
            "attention": [["a ", 1.0]],
        },
        {
            "networks": [],
            "text": "a [b:1.5] c",
            "subprompts": [["a [b:1.5] c", 1.0]],
            "schedule": [[5, "a  c"], [10, "a b c"]],
            "attention": [["a  c", 1.0]],
        },
        {
            "networks": [],
            "text": "a, :3",
            "subprompts": [["a,", 3.0]],
            "schedule": [[1, "a,"]],
            "attention": [["a,", 1.0]],
        },
    ]


def test_a_wrong_line_is_an_error_in_its_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = [
        "no json",
        "[1]",
        json.dumps({"text": "a", "steps": 0}),
        json.dumps({"text": "<lora:x:y>", "steps": 2}),
        json.dumps({"text": "a", "steps": 2, "compat": "b"}),
        "[" * 100_000,
    ]
    answers = ask([*wrong, json.dumps({"text": "fine", "steps": 2})], monkeypatch, capsys)
    assert len(answers) == 7
    for answer in answers[:6]:
        assert isinstance(answer, dict)
        assert list(answer) == ["error"]
    assert isinstance(answers[6], dict)
    assert answers[6]["text"] == "fine"


def test_one_prompt_for_a_person_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prompt", "parse", "(a:1.5) [b:3] <lora:x:0.5>", "--steps", "5"]) == 0
    shown = capsys.readouterr().out
    assert "x: text 0.5, denoiser 0.5" in shown
    assert "1.5 x 'a'" in shown
    assert run(["prompt", "parse", "a AND b", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["subprompts"] == [["a", 1.0], [" b", 1.0]]


def test_what_a_tag_adds_is_shown_with_who_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    text = "zbk, <base:hat> <lora:zbk:0.8> <lora:ink:0.6:apart=ink style>"
    assert run(["prompt", "parse", text]) == 0
    shown = capsys.readouterr().out
    assert "ink: text 0.6, denoiser 0.6, apart ink style" in shown
    assert "part       1 x 'zbk, hat'\n" in shown
    assert "part       -1 x 'zbk', told to base alone" in shown
    assert "part       1 x 'ink style, zbk, hat', told to lora:ink alone" in shown


def test_nothing_to_parse(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prompt", "parse"]) == 2
    assert "--jsonl" in capsys.readouterr().err


def test_templates_by_the_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "colours.txt").write_text("red\nblue\n")
    lines = [
        {"template": "{2$$a|b|c}", "mode": "combinatorial", "n": 4, "seed": 1},
        {"template": "a __colours__", "mode": "combinatorial", "n": 9, "seed": 1, "wildcards": str(tmp_path)},
        {"template": "__nothing__", "mode": "random", "n": 1, "seed": 0},
        {"template": "a", "mode": "sideways", "n": 1, "seed": 0},
        {"template": f"{refused_words()[1]} {{{age(10)}|tree}}", "mode": "combinatorial", "n": 2, "seed": 0},
        {"template": 3},
        {"template": "{x|y}", "mode": "cyclical", "n": 3, "seed": 0},
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(map(json.dumps, lines))))
    assert run(["prompt", "expand", "--jsonl"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert answers[0] == {"prompts": ["a,b", "a,c", "b,a", "b,c"]}
    assert answers[1] == {"prompts": ["a blue", "a red"]}
    assert [list(answer) for answer in answers[2:6]] == [["error"]] * 4
    assert answers[6] == {"prompts": ["x", "y", "x"]}


def test_a_template_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prompt", "expand", "{a|b} [c]", "--mode", "combinatorial"]) == 0
    assert capsys.readouterr().out.splitlines() == ["a [c]", "b [c]"]
    assert run(["prompt", "expand", "{a|b}" * 20, "--count"]) == 0
    assert capsys.readouterr().out.strip() == "1,048,576"
    assert run(["prompt", "expand", "{a|b}", "--n", "2", "--seed", "4", "--prompt-seed", "9", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)["prompts"]
    assert [(each["seed"], each["prompt_seed"], each["template"]) for each in made] == [
        (4, 9, "{a|b}"),
        (5, 10, "{a|b}"),
    ]


def test_a_prompt_is_explained(tmp_path: Path, tiny_base_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--base", str(tiny_base_folder), "--adapters", str(tmp_path), "--json"]
    assert run(["prompt", "red, (blue:1.2) BREAK green", *words]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["advice"] == []
    assert len(document["chunks"]) == 2
    assert all(0 < count <= 75 for count in document["chunks"])
    assert run(["prompt", "explain", "red <lora:nobody:1>", *words]) == 1
    assert [each["level"] for each in json.loads(capsys.readouterr().out)["advice"]] == ["error"]
    assert run(["prompt", "(red <lora:nobody:1>", *words[:-1]]) == 1
    shown = capsys.readouterr().out
    assert 'adapter "nobody" is unknown' in shown
    assert "not closed" in shown


def test_tokens_are_counted_for_a_checkpoint_in_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = tmp_path / "model.safetensors"
    checkpoint.touch()  # its tokenizer is the one that all families share
    assert run(["prompt", "a (red:1.2) hat", "--base", str(checkpoint), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["chunks"] == [3]
