"""A second round by requests: planned, drawn in a process of its own, stopped and gone on with, undone; the same
pictures and decisions as `lorasmith curate round` makes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from lorasmith.cli.main import run
from lorasmith.examples import copy_example, example_folder
from lorasmith.project import Project, open_project
from tests.server.running import wait_for

P = "projects/zbk/"
EXAM = """[exam]
pictures = 8
steps = 2
likeness = "none"
ask = ["sunglasses", "pink background"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The shipped character with its adapter as that of a run."""
    root = copy_example("character", tmp_path / "projects" / "zbk")
    trained = root / "runs" / "20260101-000000-zbk"
    trained.mkdir(parents=True)
    shutil.copyfile(example_folder("character") / "adapter.safetensors", trained / "zbk.safetensors")
    text = (root / "lora.toml").read_text("utf-8")
    (root / "lora.toml").write_text(re.sub(r"(?ms)^\[exam\].*?(?=^\[|\Z)", EXAM, text), "utf-8")
    return open_project(root)


def state(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get(P + "rounds").json()
    return found


def planned(client: httpx.Client) -> dict[str, Any]:
    task = client.post(P + "rounds/plan").json()
    wait_for(lambda: client.get(f"tasks/{task['id']}").json()["state"] != "running", 120)
    found: dict[str, Any] = client.get(f"tasks/{task['id']}").json()
    return found


def what_came(root: Path) -> dict[str, Any]:
    """The made pictures as they are, decisions and lineage without their times."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in (root / "made").glob("*.png")}
    for file in (root / "curation.jsonl", root / "made" / "lineage.jsonl"):
        lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        found[file.name] = [{key: value for key, value in line.items() if key != "at"} for line in lines]
    captions = [path.read_bytes() for path in sorted((root / "made").glob("*.txt"))]
    return found | {"captions": captions}


def test_a_round_is_drawn_as_the_command_draws_it(client: httpx.Client, project: Project, tmp_path: Path) -> None:
    before = state(client)
    assert (before["process"]["state"], before["plan"], before["result"]) == ("none", None, None)
    assert before["adapter"].endswith("zbk.safetensors")
    assert planned(client)["state"] == "done"
    plan = state(client)["plan"]
    assert (set(plan["values"]), plan["seconds"]) == ({"sunglasses", "pink background"}, None)
    assert plan["pictures"] > 2 * plan["wanted"] > 20
    untouched = shutil.copytree(project.root, tmp_path / "untouched")

    assert client.post(P + "rounds", json={"count": 3}).status_code == 202
    assert client.post(P + "rounds", json={"count": 3}).status_code == 409
    wait_for(lambda: state(client)["process"]["last"] is not None, 240)
    client.post(P + "rounds/stop")
    wait_for(lambda: state(client)["process"]["state"] != "running", 240)
    halted = state(client)
    assert (halted["process"]["state"], halted["result"]) == ("stopped", None)
    assert not project.curation.exists()
    assert client.post(P + "rounds", json={"count": 3}).status_code == 202
    wait_for(lambda: state(client)["process"]["state"] != "running", 240)
    ended = state(client)
    assert ended["process"]["state"] == "done", ended
    assert (ended["result"]["made"], sum(ended["result"]["kept"].values())) == (3, 3)
    assert ended["plan"] is None, "the images are others now"

    drawn = [each for each in client.get(P + "images").json()["images"] if each.get("made", {}).get("by") == "adopt"]
    assert len(drawn) == 3
    undone = client.post(P + "decisions/undo", json={}).json()
    assert (len(undone["names"]), undone["undo"]) == (3, 0)

    by_page = project.root.rename(tmp_path / "by-page")
    shutil.move(untouched, project.root)
    assert run(["curate", "round", str(project.root), "--count", "3", "--json"]) == 0
    same = what_came(by_page)
    assert same["curation.jsonl"].pop().keys() == {"undo"}
    assert len(same["captions"]) == 3
    assert what_came(project.root) == same


def test_what_hinders_a_round_is_told_before_it(client: httpx.Client, project: Project) -> None:
    text = project.file.read_text("utf-8")
    (adapter,) = project.runs.glob("*/*.safetensors")
    project.file.write_text(text.replace("ask = [", 'judge = "nowhere"\nask = ['), "utf-8")
    assert "no such tagger folder" in planned(client)["error"]["message"]
    adapter.unlink()
    assert state(client)["adapter"] is None
    assert "no adapter was trained" in planned(client)["error"]["message"]
    assert planned(client)["error"]["hint"] == '"Start a run" (Run)'
    assert client.post(P + "rounds", json={"count": 0}).status_code == 422
    assert client.post("projects/nobody/rounds", json={}).status_code == 404
