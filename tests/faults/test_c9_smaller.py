"""C9: small differences from A1111, and what our faces did not say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lorasmith.cli.main import run
from lorasmith.errors import UsageError
from lorasmith.generation.grids.axes import Draft
from lorasmith.generation.grids.typed import read_axis
from lorasmith.generation.spec import GREATEST_SEED, PictureSpec
from lorasmith.prompts.attention import Span, parse_attention
from tests.server.running import Plain, finished, plain_settings, running

Capture = pytest.CaptureFixture[str]


def test_a_bracket_that_is_not_closed_weighs_all_behind_it() -> None:
    """A1111, modules/prompt_parser.py, parse_prompt_attention: a weight needs its closing bracket."""
    assert parse_attention("(a:1.5") == [Span("a:1.5", 1.1)]
    assert parse_attention("x (a:1.5") == [Span("x "), Span("a:1.5", 1.1)]
    assert parse_attention("[a:1.5") == [Span("a:1.5", 1 / 1.1)]


def test_a_comma_too_many_is_no_number() -> None:
    """A1111, scripts/xyz_grid.py, process_axis: an empty value of numbers is passed over."""
    assert read_axis("seed=1,2,").labels == read_axis("seed=1,2").labels
    assert read_axis("cfg=,4,,7.5").labels == read_axis("cfg=4,7.5").labels
    with pytest.raises(UsageError, match=r"none is given"):
        read_axis("seed=,")


def test_a_seed_of_minus_one_is_any() -> None:
    """A1111, scripts/xyz_grid.py, fix_axis_seeds: each -1 is drawn, and stands in the grid as what it became."""
    axis = read_axis("seed=-1,-1,3")
    seeds = [edit(Draft(PictureSpec("a"))).spec.seed for edit in axis.edits]
    assert seeds[2] == 3
    assert len(set(seeds)) == 3
    assert all(0 <= seed <= GREATEST_SEED for seed in seeds)
    assert [str(seed) in label for seed, label in zip(seeds, axis.labels, strict=True)] == [True] * 3


def test_the_cost_says_why_cells_cannot_be_drawn(tmp_path: Path, capsys: Capture, tiny_base_folder: Path) -> None:
    words = ["grid", "--prompt", "a hat", "--x", "width=100,64,70", "--cost", "--out", str(tmp_path)]
    words += ["--base", str(tiny_base_folder)]
    assert run(words) == 0
    told = capsys.readouterr().out
    assert "not drawn (1 cell): --size: 100 is not a multiple of 8" in told
    assert "--size: 70 is not a multiple of 8" in told
    assert run([*words, "--json"]) == 0
    cost = json.loads(capsys.readouterr().out)["cost"]
    assert cost["impossible"] == 2
    assert sum(cost["reasons"].values()) == 2


def test_prompts_of_several_lines_stand_apart(capsys: Capture) -> None:
    assert run(["prompt", "expand", "{a|b}\nsecond line", "--mode", "combinatorial"]) == 0
    assert capsys.readouterr().out == "a\nsecond line\n\nb\nsecond line\n"
    assert run(["prompt", "expand", "{a|b}", "--mode", "combinatorial"]) == 0
    assert capsys.readouterr().out == "a\nb\n"


def test_a_second_pass_of_no_words_can_be_said_by_http(tmp_path: Path) -> None:
    with running(plain_settings(tmp_path), Plain()) as (client, _):
        body = {"prompt": "a hat", "steps": 1, "hires": {"prompt": "", "negative": ""}}
        job = finished(client, client.post("/api/v1/jobs", json=body).json()["id"])
        (drawn,) = job["pictures"]
        spec = client.get(f"/api/v1/pictures/{drawn['picture']}").json()["document"]["request"]
        assert (spec["hires"]["prompt"], spec["hires"]["negative"]) == ("", "")
