"""The recipe's form, changes by URL, another trainer's file, the plan."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

import lorasmith
from lorasmith.project import Project

P = "projects/zbk/"


def keys_of(form: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {key["path"]: key for group in form["groups"] for key in group["keys"]}
    assert len(found) > 80
    return found


def test_the_form_says_kinds_ranges_preset_and_what_is_set(client: httpx.Client) -> None:
    form = client.get(P + "recipe/form").json()
    keys = keys_of(form)
    rank = keys["rank"]
    assert (rank["kind"], rank["least"], rank["most"], rank["value"], rank["is_set"]) == ("integer", 1, 4096, 2, True)
    assert rank["meaning"]
    assert rank["preset"] != 2
    assert not keys["alpha"]["is_set"]
    assert keys["optimizer.name"]["kind"] == "choice"
    assert "adamw" in keys["optimizer.name"]["choices"]
    assert keys["preserve.kind"]["is_set"]
    assert keys["preserve.kind"]["value"] == "none"
    assert form["preset"]["kind"] == "character"
    assert form["preset"]["reasons"]
    assert form["problem"] is None


def test_a_change_by_url_writes_the_same_bytes_as_the_library(client: httpx.Client, project: Project) -> None:
    project.file.write_text("# mine\n" + project.file.read_text("utf-8"), "utf-8")
    before = project.file.read_text("utf-8")
    changed = keys_of(client.patch(P + "recipe", json={"set": {"recipe.rank": 4, "recipe.lr.unet": 2e-3}}).json())
    assert (changed["rank"]["value"], changed["lr.unet"]["value"]) == (4, 2e-3)
    by_page = project.file.read_bytes()
    assert by_page.startswith(b"# mine\n")
    project.file.write_text(before, "utf-8")
    lorasmith.open_project(project.root).configure({"recipe.rank": 4, "recipe.lr.unet": 2e-3})
    assert project.file.read_bytes() == by_page
    back = client.patch(P + "recipe", json={"unset": ["recipe.lr.unet", "recipe.rank"]}).json()
    assert not keys_of(back)["rank"]["is_set"]
    assert not keys_of(back)["lr.unet"]["is_set"]


def test_an_unknown_key_is_refused_with_the_near_name_and_nothing_is_lost(
    client: httpx.Client, project: Project
) -> None:
    before = project.file.read_bytes()
    answer = client.patch(P + "recipe", json={"set": {"recipe.rnak": 16}})
    assert answer.status_code == 422
    assert 'Did you mean "rank"?' in answer.json()["error"]["message"]
    assert client.patch(P + "recipe", json={"set": {"recipe.rank": -1}}).status_code == 422
    assert client.patch(P + "recipe", json={"set": {"rank": 1}}).status_code == 422
    assert project.file.read_bytes() == before


def test_a_sweep_is_checked_before_it_is_written(client: httpx.Client, project: Project) -> None:
    before = project.file.read_bytes()
    for key, values, words in (("rnak", [4, 8], "rank"), ("rank", ["four"], "rank"), ("rank", [], "a list of values")):
        answer = client.patch(P + "recipe", json={"set": {f"sweep.{key}": values}})
        assert answer.status_code == 422
        assert words in answer.json()["error"]["message"]
    assert project.file.read_bytes() == before
    assert client.patch(P + "recipe", json={"set": {"sweep.rank": [4, 8]}}).json()["sweep"] == {"rank": [4, 8]}


def test_a_file_with_faults_still_has_a_form(client: httpx.Client, project: Project) -> None:
    project.file.write_text(project.file.read_text("utf-8").replace("rank = 2", "rnak = 2"), "utf-8")
    form = client.get(P + "recipe/form").json()
    assert "rnak" in form["problem"]
    assert keys_of(form)["rank"]["value"] is not None
    assert keys_of(form)["algorithm"]["value"] == "lora"
    mended = client.patch(P + "recipe", json={"unset": ["recipe.rnak"]}).json()
    assert mended["problem"] is None


def test_epochs_take_the_steps_of_the_preset_out(client: httpx.Client, project: Project) -> None:
    keys = keys_of(client.patch(P + "recipe", json={"set": {"recipe.epochs": 3}}).json())
    assert keys["epochs"]["value"] == 3
    assert keys["target_steps"]["value"] is None
    assert "target_steps" not in project.file.read_text("utf-8")


def test_another_trainers_file_is_read_and_only_then_written(client: httpx.Client, project: Project) -> None:
    before = project.file.read_bytes()
    body = b'network_module = "networks.lora"\nnetwork_dim = 12\nnetwork_alpha = 6\nunknown_thing = 1\n'
    found = client.post(P + "recipe/import", params={"name": "kohya.toml"}, content=body).json()
    assert found["recipe"]["rank"] == 12
    assert not found["written"]
    assert any(each["key"] == "unknown_thing" for each in found["left_out"])
    assert project.file.read_bytes() == before
    assert client.post(P + "recipe/import", params={"name": "k.toml", "write": True}, content=body).json()["written"]
    assert keys_of(client.get(P + "recipe/form").json())["rank"]["value"] == 12
    wrong = client.post(P + "recipe/import", params={"name": "../../x.toml"}, content=b"\xff\xfe")
    assert wrong.status_code == 422
    assert "../../x.toml" in wrong.json()["error"]["where"]
    assert "/tmp" not in wrong.text.replace("/tmp/pytest", "")


def test_the_plan_is_the_command_lines(client: httpx.Client) -> None:
    plan = client.post(P + "plan", json={"settings": {"target_steps": 10}}).json()
    assert plan["steps"] > 0
    assert plan["buckets"]
    assert plan["preset"]["reasons"]
    assert "warnings" in plan
    assert client.post(P + "plan", json={"settings": {"rnak": 10}}).status_code == 422


def test_a_plan_that_takes_a_while_is_told_of(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorasmith.server.road.tasks._SOON", 0.0)
    assert client.post(P + "plan", json={}).status_code == 200
    (task,) = [
        each for each in client.get("tasks", params={"project": "zbk"}).json()["tasks"] if each["kind"] == "plan"
    ]
    assert (task["state"], task["last"]["event"]) == ("done", "progress")


def test_unknown_projects_and_a_server_without_any(client: httpx.Client) -> None:
    for name in ("nobody", "..", "%2e%2e", "a%2fb"):
        assert client.get(f"projects/{name}/recipe/form").status_code == 404
