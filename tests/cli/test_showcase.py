"""`lorasmith showcase`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base
from lorasmith.cli.main import run
from tests.adapters.drawing import trained_adapter


def test_a_showcase_from_template_to_hit_rate(
    tiny_base: Base, tiny_base_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "zbk.safetensors"
    save_adapter(file, trained_adapter(tiny_base, rank=2), torch.float32)
    words = ["showcase", "zbk, {red|blue} {hat|hair}", "--adapter", str(file), "--base", str(tiny_base_folder)]
    words += ["--n", "2", "--steps", "1", "--out", str(tmp_path / "shows"), "--name", "one"]
    assert run([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    folder = tmp_path / "shows" / "one"
    assert document["showcase"] == str(folder)
    assert [(each["number"], each["seed"], each["mark"]) for each in document["pictures"]] == [
        (1, 0, None),
        (2, 1, None),
    ]
    assert all(Path(each["path"]).is_file() for each in document["pictures"])
    assert document["hit_rate"]["n"] == 0

    marks = tmp_path / "marks.json"
    identity = json.loads((folder / "showcase.json").read_text("utf-8"))["id"]
    given = {document["pictures"][0]["key"]: "keep"}
    marks.write_text(json.dumps({"kind": "lorasmith marks", "of": identity, "marks": given}))
    assert run(["showcase", "mark", str(folder), str(marks), "--reject", "2", "--json"]) == 0
    judged = json.loads(capsys.readouterr().out)
    assert (judged["hit_rate"]["value"], judged["hit_rate"]["n"], judged["not_judged"]) == (0.5, 2, 0)
    assert run(["showcase", "mark", str(folder)]) == 0
    assert "1 of 2 kept, 50%" in capsys.readouterr().out
    marks.write_text(json.dumps({"kind": "lorasmith marks", "of": "another", "marks": {}}))
    assert run(["showcase", "mark", str(folder), str(marks)]) == 2
    assert "another showcase" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["zbk", "--n", "0"], "at least one picture"),
        (["zbk", "--name", "../a"], "is not a folder's name"),
        (["zbk", "--adapter", "nowhere"], "no such file"),
        (["__nowhere__"], "wildcard __nowhere__ is unknown"),
        (["mark", "nowhere", "--keep", "x"], "is not a number"),
    ],
)
def test_wrong_calls(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["showcase", *words]) != 0
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
