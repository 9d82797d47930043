"""`lorasmith prompt parse`."""

from __future__ import annotations

import io
import json

import pytest

from lorasmith.cli.main import run


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


def test_nothing_to_parse(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prompt", "parse"]) == 2
    assert "--jsonl" in capsys.readouterr().err
