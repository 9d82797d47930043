"""Every command that speaks JSON keeps its stable shape; a script may rely on each of these keys.

A shape is a type, a list with one shape for all its members, a dict of shapes (more keys may be there), or a set of
alternatives.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lorasmith.cli.main import VERBS, run
from tests.projects import build_project

NUMBER = (int, float)
TEXT_OR_NOTHING = (str, type(None))
RECIPE = """
resolution = 64
bucket.step = 32
rank = 2
clip_skip = 1
epochs = 1
lr.text_encoder = 0
"""
SHAPES: dict[str, Any] = {
    "new": {"project": str},
    "inspect": {
        "images": int,
        "groups": [{"kind": str, "images": [str], "keep": str}],
        "findings": [
            {
                "rule": str,
                "level": str,
                "images": [str],
                "message": str,
                "advice": str,
                "waived": TEXT_OR_NOTHING,
            }
        ],
    },
    "tag": {"captions": dict, "rules": [{"name": str, "changed": int}]},
    "tag --diff": {
        "changes": [{"path": str, "before": str, "after": str}],
        "rules": [{"name": str, "changed": int}],
    },
    "tag --explain": {"image": str, "tags": [{"tag": str, "fate": str}], "caption": str},
    "plan": {
        "images": [{"path": str, "repeats": int, "bucket": [int], "resized": [int]}],
        "buckets": [{"size": [int], "images": int, "batches": int}],
        "steps_per_epoch": int,
        "steps": int,
        "seconds": NUMBER,
        "bytes": int,
    },
    "train": {"event": str, "adapter": str, "run": str},
    "generate": {"pictures": [{"path": str, "seed": int, "prompt": str}]},
    "grid": {"grid": str, "cells": [{"x": object, "y": object, "z": object, "path": str}]},
    "prompt parse": {
        "networks": [{"name": str, "te": NUMBER, "unet": NUMBER, "dyn": object}],
        "text": str,
        "subprompts": [[object]],
        "schedule": [[object]],
        "attention": [[object]],
    },
    "adapter show": dict,
    "adapter verify": dict,
}


def assert_shape(value: Any, shape: Any, where: str = "document") -> None:
    """Fail at the first place where `value` has not the shape."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), where
        for key, inner in shape.items():
            assert key in value, f"{where}: no {key}"
            assert_shape(value[key], inner, f"{where}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        for place, member in enumerate(value):
            assert_shape(member, shape[0], f"{where}[{place}]")
    else:
        assert isinstance(value, shape), f"{where}: {value!r} is no {shape}"


@pytest.fixture(scope="module")
def documents(tiny_base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The last document that each command printed, on a road with a tiny base."""
    root = tmp_path_factory.mktemp("road")
    base, project, out = str(tiny_base_folder), str(root / "p"), str(root / "out")
    build_project(root / "p", RECIPE, base=base)
    twin = (root / "p" / "images" / "0.png").read_bytes()
    (root / "p" / "images" / "twin.png").write_bytes(twin)
    drawing = ["--base", base, "--steps", "1", "--size", "64x64", "--out", out, "--json"]
    words: dict[str, list[str]] = {
        "new": ["new", str(root / "other"), "--subject", "style", "--images", str(root / "p" / "images"), "--json"],
        "inspect": ["inspect", project, "--json"],
        "tag --diff": ["tag", project, "--diff", "--json"],
        "tag": ["tag", project, "--json"],
        "tag --explain": ["tag", project, "--explain", "0.png", "--json"],
        "plan": ["plan", project, "--set", "rank=1", "--json"],
        "train": ["train", project, "--json"],
        "generate": ["generate", "red hat", "--seed", "3", "--cfg", "2", "--sampler", "DDIM", *drawing],
        "grid": ["grid", project, "--prompt", "red hat", "--strengths", "1", *drawing],
    }
    found = {name: _printed(command) for name, command in words.items()}
    found["prompt parse"] = _printed(["prompt", "parse", "--jsonl"], '{"text": "(a) <lora:b:0.5>", "steps": 4}\n')
    for verb in ("show", "verify"):
        found[f"adapter {verb}"] = _printed(["adapter", verb, found["train"]["adapter"], "--json"])
    return found


def _printed(command: list[str], text: str = "") -> Any:
    """The last line or the whole of standard output, as JSON; `text` is the standard input."""
    out, before = io.StringIO(), (sys.stdout, sys.stdin)
    sys.stdout, sys.stdin = out, io.StringIO(text)
    try:
        run(command)
    finally:
        sys.stdout, sys.stdin = before
    printed = out.getvalue()
    try:
        return json.loads(printed)
    except ValueError:
        return json.loads(printed.splitlines()[-1])


@pytest.mark.parametrize("name", SHAPES)
def test_the_shape_is_kept(documents: dict[str, Any], name: str) -> None:
    assert_shape(documents[name], SHAPES[name], name)


def test_the_road_has_something_in_every_list(documents: dict[str, Any]) -> None:
    assert documents["inspect"]["groups"]
    assert documents["inspect"]["findings"]
    assert documents["tag"]["captions"]
    assert documents["tag --explain"]["tags"]
    assert documents["plan"]["images"]
    assert documents["plan"]["buckets"]
    assert documents["train"]["event"] == "done"
    assert documents["generate"]["pictures"][0]["seed"] == 3
    assert documents["grid"]["cells"]
    assert documents["prompt parse"]["networks"]


def test_a_shape_can_fail() -> None:
    with pytest.raises(AssertionError, match="no keep"):
        assert_shape({"images": 1, "groups": [{"kind": "same", "images": []}], "findings": []}, SHAPES["inspect"])
    with pytest.raises(AssertionError, match="rank"):
        assert_shape({"rank": "4"}, {"rank": int})


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_shows_an_example_and_speaks_json(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Example" in shown or "Commands" in shown, f"{verb} --help shows no example"
    if "Commands" not in shown:
        assert "--json" in shown, f"{verb} has no --json"
