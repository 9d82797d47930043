"""C8: what a prompt may not have meant is told wherever it stands in the prompt, by every face, by one function.

That brackets act on no adapter: A1111 takes the tags out first (`modules/extra_networks.py`, `parse_prompt`). That an
alias calls: `extensions-builtin/Lora/networks.py`, `available_network_aliases`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import lorasmith
from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.catalogue import Catalogue
from lorasmith.adapters.files import save_adapter
from lorasmith.bases.base import Base
from lorasmith.cli.main import run
from lorasmith.generation.advice import advise_specs
from lorasmith.generation.spec import Hires, PictureSpec
from lorasmith.prompts.advice import advise
from tests.adapters.drawing import trained_adapter
from tests.server.running import Plain, finished, plain_settings, running

Capture = pytest.CaptureFixture[str]
BRACKETS = 'brackets do not weigh or schedule an adapter: "zbk" keeps its own strength.'
TRIGGER = 'adapter "zbk" is called without its trigger "zbkword".'
NEGATIVE = "an adapter tag in a negative prompt has no effect."


@pytest.fixture
def folder(tmp_path: Path, tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An adapter with a trigger and another recorded name."""
    monkeypatch.chdir(tmp_path)
    made = trained_adapter(tiny_base)
    metadata = {"ss_output_name": "alias", "modelspec.trigger_phrase": "zbkword"}
    save_adapter(tmp_path / "adapters" / "zbk.safetensors", Adapter("zbk", made.layers, metadata), torch.float32)
    return tmp_path / "adapters"


def messages(text: str) -> list[str]:
    return [advice.message for advice in advise(text, 20)[1]]


@pytest.mark.parametrize(
    "text",
    [
        "(<lora:zbk:1>:1.2)",
        "(a hat <lora:zbk:1>:1.2)",
        "a, (hat, <lora:zbk:1> and a long text about many other things, so that it is far away, cat:1.2), dog",
        "[<lora:zbk:1>:0.5]",
        "[cat <lora:zbk:1>:dog:0.5]",
        "[a|<lora:zbk:1>|b]",
        "((big (cat) <lora:zbk:1>))",
        "[(a) <lyco:zbk:0.5:0.2> b::5]",
        "x (\n<lora:zbk:1>\n)",
    ],
)
def test_brackets_round_a_tag_are_told_wherever_it_stands(text: str) -> None:
    assert messages(text).count(BRACKETS) == 1


@pytest.mark.parametrize(
    "text",
    [
        "(cat) <lora:zbk:1> [dog]",
        r"\(cat <lora:zbk:1>\)",
        "<lora:zbk:1>",
        "[a:b:0.5] <lora:zbk:1> (c:1.2)",
        "a) <lora:zbk:1> (b)",
    ],
)
def test_brackets_elsewhere_are_not(text: str) -> None:
    assert BRACKETS not in messages(text)


def test_a_prompt_of_many_brackets_is_read_in_one_go() -> None:
    assert messages("(" * 50_000 + "<lora:zbk:1>" * 1000 + ")" * 50_000).count(BRACKETS) == 1


@pytest.mark.usefixtures("folder")
def test_an_alias_is_known_as_drawing_knows_it(tiny_base_folder: Path, capsys: Capture) -> None:
    base = ["--base", str(tiny_base_folder), "--json"]
    for name in ("zbk", "alias", "adapters/zbk"):
        assert run(["prompt", f"zbkword <lora:{name}:1>", *base]) == 0
        assert json.loads(capsys.readouterr().out)["advice"] == []
        assert run(["prompt", f"red <lora:{name}:1>", *base]) == 0
        (advice,) = json.loads(capsys.readouterr().out)["advice"]
        assert advice == {"level": "warning", "message": TRIGGER.replace('"zbk"', f'"{name}"'), "rule": "U2"}
        assert run(["generate", f"zbkword <lora:{name}:1>", *base, "--steps", "1"]) == 0
        capsys.readouterr()
    assert run(["prompt", "<lora:zkb:1>", *base]) == 1
    assert "Did you mean zbk" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_generate_tells_what_prompt_tells(tiny_base_folder: Path, capsys: Capture) -> None:
    words = ["--base", str(tiny_base_folder), "--steps", "1", "--n", "2", "--negative", "x <lora:zbk:1>"]
    for more in ([], ["--json"]):
        assert run(["generate", "red, (cat <lora:zbk:1>:1.2)", *words, *more]) == 0
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
        assert sorted(said) == sorted(
            [f"warning: {BRACKETS} [U1]", f"warning: {TRIGGER} [U2]", f"warning: {NEGATIVE} [U1]"]
        )


def test_grids_and_python_tell_it_too(folder: Path, tiny_base_folder: Path, capsys: Capture) -> None:
    words = ["--prompt", "red <lora:zbk:1>", "--x", "prompt=red,blue,zbkword red", "--steps", "1", "--json"]
    words += ["--base", str(tiny_base_folder)]
    assert run(["grid", str(folder / "zbk.safetensors"), *words]) == 0
    assert capsys.readouterr().err.splitlines().count(f"warning: {TRIGGER} [U2]") == 1
    assert run(["grid", str(folder / "zbk.safetensors"), *words]) == 0, "nothing is drawn, and it is told all the same"
    assert TRIGGER in capsys.readouterr().err
    with pytest.warns(UserWarning, match="without its trigger"):
        lorasmith.draw("red <lora:zbk:1>", base=tiny_base_folder, adapters=[folder], steps=1)


def test_the_second_pass_is_looked_at(folder: Path) -> None:
    spec = PictureSpec("zbkword", hires=Hires(prompt="(<lora:zbk:1>:1.1)", negative="<lora:zbk:1>"))
    assert {advice.message for advice in advise_specs([spec, spec], Catalogue([folder]))} == {
        BRACKETS,
        TRIGGER,
        NEGATIVE,
    }


def test_both_interfaces_and_the_page_s_linter_tell_it(folder: Path, tmp_path: Path) -> None:
    with running(plain_settings(tmp_path / "data", adapters=(folder,)), Plain()) as (client, _):
        prompt = "red (cat <lora:alias:1>:1.2)"
        expected = {BRACKETS.replace('"zbk"', '"alias"'), TRIGGER.replace('"zbk"', '"alias"')}
        job = client.post("/api/v1/jobs", json={"prompt": prompt, "steps": 1}).json()
        assert {each["message"] for each in job["detail"]["warnings"]} == expected
        assert {each["message"] for each in finished(client, job["id"])["detail"]["warnings"]} == expected
        fine = client.post("/api/v1/jobs", json={"prompt": "zbkword <lora:zbk:1>", "steps": 1}).json()
        assert fine["detail"] == {}
        answer = client.post("/sdapi/v1/txt2img", json={"prompt": prompt, "steps": 1, "width": 128, "height": 128})
        info: dict[str, Any] = json.loads(answer.json()["info"])
        assert set(info["warnings"]) == expected
        parsed = client.post("/api/v1/prompts/parse", json={"text": prompt}).json()
        assert {each["message"] for each in parsed["advice"]} == expected
        parsed = client.post("/api/v1/prompts/parse", json={"text": "<lora:qqq:1>"}).json()
        assert "GET /api/v1/adapters" in parsed["advice"][0]["message"]
        assert str(folder.parent) not in json.dumps(parsed)
        assert "/prompts/parse" in client.get("/web/studio/screens/draw/prompt.js").text
