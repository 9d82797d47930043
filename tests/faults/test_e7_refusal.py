"""One judge for every face and pass (E7): what is drawn together is judged together, negatives only make safer.

The rule is domain.md's (Responsibility); the words come from the one list by id (tests/refusal_words.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from lorasmith.bases.base import Base
from lorasmith.cli.main import run
from lorasmith.errors import LorasmithError, RefusedError
from lorasmith.generation.judging import refuse_picture
from lorasmith.generation.pipeline import Pipeline
from lorasmith.generation.spec import Hires, PictureSpec
from lorasmith.prompts.dynamic import expand, read_template
from lorasmith.prompts.dynamic.wildcards import Wildcards
from tests.refusal_words import age, refused_words
from tests.server.running import Plain, plain_settings, running

MINOR, SEXUAL = refused_words()
HALF = len(SEXUAL) // 2
REFUSED = {
    "one prompt": PictureSpec(f"{MINOR}, {SEXUAL}"),
    "an age": PictureSpec(f"{age('twelve')}, {SEXUAL}"),
    "hires prompt": PictureSpec(MINOR, hires=Hires(prompt=SEXUAL)),
    "hires prompt, turned": PictureSpec(SEXUAL, hires=Hires(prompt=MINOR)),
    "parts of AND": PictureSpec(f"{MINOR} AND {SEXUAL} :0.2"),
    "a schedule": PictureSpec(f"[{MINOR}:{SEXUAL}:0.5]"),
    "later steps": PictureSpec(f"[{MINOR}::0.2] and [{SEXUAL}:0.9]"),
    "an alternation": PictureSpec(f"[{MINOR}|{SEXUAL}]"),
    "put together by a schedule": PictureSpec(f"{MINOR}, [{SEXUAL[:HALF]}:red:0.5]{SEXUAL[HALF:]}"),
    "brackets inside": PictureSpec(f"{MINOR}, {SEXUAL[:HALF]}(({SEXUAL[HALF:]}))"),
    "an adapter's name": PictureSpec(f"{SEXUAL} <lora:{MINOR}:1>"),
    "no emphasis": PictureSpec(f"({MINOR}:1.2), {SEXUAL}", emphasis="none"),
    "a negative that guidance below 1 draws": PictureSpec(MINOR, negative=SEXUAL, cfg=0.5),
    "a negative that a negative weight draws": PictureSpec(f"{MINOR} AND red :-2", negative=SEXUAL, cfg=7),
    "the second pass's negative so": PictureSpec(MINOR, cfg=0.0, hires=Hires(negative=SEXUAL)),
}
DRAWN = {
    "the usual negative": PictureSpec(MINOR, negative=f"lowres, {SEXUAL}", cfg=7),
    "both in the negative": PictureSpec("a park", negative=f"{MINOR}, {SEXUAL}", cfg=7),
    "turned": PictureSpec(SEXUAL, negative=MINOR, cfg=7),
    "hires negative": PictureSpec(MINOR, cfg=7, hires=Hires(negative=SEXUAL)),
    "a part that is guided away from": PictureSpec(f"{MINOR} AND {SEXUAL} :-0.5", cfg=7),
    "guidance 1": PictureSpec(MINOR, negative=SEXUAL, cfg=1.0),
    "one side": PictureSpec(f"{MINOR}, park", hires=Hires(prompt=MINOR)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_drawn_together_is_judged_together(case: str, tiny_base: Base) -> None:
    with pytest.raises(RefusedError):
        refuse_picture(REFUSED[case])
    with pytest.raises(RefusedError):
        Pipeline(tiny_base).check(replace(REFUSED[case], width=64, height=64))


@pytest.mark.parametrize("case", DRAWN)
def test_what_only_guides_away_is_no_reason(case: str, tiny_base: Base) -> None:
    refuse_picture(DRAWN[case])
    Pipeline(tiny_base).check(replace(DRAWN[case], width=64, height=64))


def test_very_many_texts_of_steps_are_judged_all_the_same() -> None:
    filling = ", ".join(f"[{'|'.join(f'w{row}x{number}' for number in range(row))}]" for row in range(2, 12)) * 4
    refuse_picture(PictureSpec(f"{filling}, {MINOR}", steps=200))
    with pytest.raises(RefusedError):
        refuse_picture(PictureSpec(f"{filling}, {MINOR}, [{SEXUAL[:HALF]}:red:0.9]{SEXUAL[HALF:]}", steps=200))


def test_templates_and_wildcards(tmp_path: Path) -> None:
    (tmp_path / "what.txt").write_text(f"{SEXUAL}\n", "utf-8")
    for template in (f"{MINOR}, __what__", f"{{{MINOR}}} {{{SEXUAL}}}"):
        with pytest.raises(RefusedError):
            list(expand(read_template(template, Wildcards(tmp_path)), 1))


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prompt", f"{MINOR}, {SEXUAL}"]) == 12
    assert run(["prompt", f"[{MINOR}:{SEXUAL}:3]"]) == 12
    out = ["--steps", "1", "--size", "64x64", "--out", str(tmp_path / "a")]
    assert run(["generate", f"{MINOR} AND {SEXUAL}", *out]) == 12
    assert "no setting" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.png"))
    assert run(["generate", MINOR, "--negative", f"{SEXUAL}", *out]) == 0


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    with running(plain_settings(tmp_path), Plain()) as (client, _):
        yield client


def test_both_interfaces_of_the_server(client: httpx.Client) -> None:
    small = {"width": 64, "height": 64, "steps": 1}
    hires = {"enable_hr": True, "hr_scale": 2, "hr_prompt": SEXUAL}
    refused = (
        ("/api/v1/jobs", {"prompt": f"{MINOR}, {SEXUAL}", **small}),
        ("/api/v1/jobs", {"prompt": MINOR, "hires": {"scale": 2, "prompt": SEXUAL}, **small}),
        ("/api/v1/jobs", {"prompt": f"{MINOR} AND {SEXUAL}", **small}),
        ("/sdapi/v1/txt2img", {"prompt": MINOR, **hires, **small, "sampler_name": "Euler"}),
        ("/sdapi/v1/txt2img", {"prompt": f"[{MINOR}|{SEXUAL}]", **small, "sampler_name": "Euler"}),
    )
    for path, body in refused:
        answer = client.post(path, json=body)
        assert answer.status_code == 422, body
        assert answer.json()["error"]["kind"] == "RefusedError"
    assert client.post("/api/v1/jobs", json={"prompt": MINOR, "negative": SEXUAL, **small}).status_code == 202
    body = {"prompt": MINOR, "negative_prompt": SEXUAL, **small, "sampler_name": "Euler"}
    assert client.post("/sdapi/v1/txt2img", json=body).status_code == 200


def test_what_is_learnt_is_judged_with_what_is_drawn_of_it(tmp_path: Path) -> None:
    from lorasmith.events import finish
    from lorasmith.project import open_project
    from lorasmith.recipe.recipe import read_recipe
    from lorasmith.training.inputs.reading import read_inputs
    from tests.dataset.projects import make_project
    from tests.images.drawings import save_drawings

    root = make_project(tmp_path, f"[recipe.sample]\nprompts = {json.dumps([SEXUAL])}\n").root
    save_drawings(root / "images", 2, caption=MINOR)
    project = open_project(root)
    with pytest.raises(LorasmithError) as caught:
        finish(read_inputs(project, [read_recipe(project)]))
    assert isinstance(caught.value, RefusedError)
