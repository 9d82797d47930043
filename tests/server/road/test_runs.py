"""Runs by requests: a queue's job in a process of its own, its events from the run's folder, and a server that ends."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from lorasmith.errors import DatasetError
from lorasmith.events import finish
from lorasmith.face.stages import train_project
from lorasmith.project import Project
from lorasmith.server.workshop import Workshop
from tests.server.running import Plain, plain_settings, running, wait_for

P = "projects/zbk/"


def read_events(client: httpx.Client, run: str, most: float = 240, **query: Any) -> list[dict[str, Any]]:
    found = []
    with client.stream("GET", f"{P}runs/{run}/events", params=query, timeout=most) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line[6:]))
    return found


def test_a_run_goes_on_while_the_server_is_gone(client: httpx.Client, project: Project, tmp_path: Path) -> None:
    head = client.post(P + "runs", json={"settings": {"target_steps": 60}})
    assert head.status_code == 202, head.text
    run = head.json()["name"]
    assert head.json()["settings"] == ["target_steps=60"]
    wait_for(lambda: client.get(f"{P}runs/{run}").json()["head"]["step"] > 0, 240)
    known = client.get(f"{P}runs/{run}").json()
    offset = known["variants"][""]["offset"]
    # Another server, as after a restart, sees the same run and goes on from where a page was.
    other = Workshop(project.root.parent)
    with running(plain_settings(tmp_path / "second"), Plain(), other) as (second, _):
        second.base_url = second.base_url.join("/api/v1/")
        events = read_events(second, run, offset=offset)
        assert events[-1] == {"event": "end", "state": "done"}
        assert [event for event in events if event["event"] == "done"]
        later = second.get(f"{P}runs/{run}").json()
    steps = later["variants"][""]["steps"]
    assert steps[-1]["step"] == later["head"]["steps"]
    assert steps[-1]["bands"]
    assert steps[-1]["rates"]
    assert later["head"]["state"] == "done"
    assert later["head"]["adapter"].endswith(".safetensors")
    assert later["recipe"]["rank"] == 2
    assert later["plan"]["steps"] == later["head"]["steps"]


def test_stop_and_go_on(client: httpx.Client) -> None:
    run = client.post(P + "runs", json={"settings": {"target_steps": 2000}}).json()["name"]
    wait_for(lambda: client.get(f"{P}runs/{run}").json()["head"]["step"] > 2, 240)
    assert client.post(f"{P}runs/{run}/stop").json()["state"] in ("stopping", "cancelled")
    wait_for(lambda: client.get(f"{P}runs/{run}").json()["head"]["state"] == "cancelled", 240)
    at = client.get(f"{P}runs/{run}").json()["head"]["step"]
    assert client.post(P + "runs", json={"resume": run}).json()["name"] == run
    wait_for(lambda: client.get(f"{P}runs/{run}").json()["head"]["step"] > at, 240)
    assert client.post(P + "runs", json={"resume": run}).status_code == 422
    client.post(f"{P}runs/{run}/stop")
    wait_for(lambda: client.get(f"{P}runs/{run}").json()["head"]["state"] == "cancelled", 240)
    assert client.post(f"{P}runs/{run}/stop").status_code == 422


def test_what_is_wrong_is_refused_before_it_waits(client: httpx.Client) -> None:
    answer = client.post(P + "runs", json={"settings": {"rnak": 3}})
    assert answer.status_code == 422
    assert "rnak" in answer.json()["error"]["message"]
    assert client.get(P + "runs").json()["runs"] == []
    assert client.get(P + "runs/nobody").status_code == 404
    assert client.get(P + "runs/nobody/events").status_code == 404
    assert client.get(P + "runs/..%2f..%2fx/samples/a.png").status_code in (404, 422)
    assert client.post(P + "runs", json={"resume": "nobody"}).status_code == 404


@pytest.mark.parametrize("rejected", [False, True])
def test_a_run_without_images_is_refused_at_once(
    client: httpx.Client, project: Project, rejected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lorasmith.server.road.runs.start_worker", lambda _: None)
    assert client.post(P + "runs", json={}).status_code == 202
    names = [each["name"] for each in client.get(P + "images").json()["images"]]
    if rejected:
        client.post(P + "decisions", json={"images": names, "verb": "reject"})
    else:
        for name in names:
            (project.root / "images" / name).unlink()
    with pytest.raises(DatasetError) as by_command:
        finish(train_project(project))
    answer = client.post(P + "runs", json={})
    assert answer.status_code == 422
    told = answer.json()["error"]
    assert (told["message"], told["where"]) == (by_command.value.message, by_command.value.where)
    assert len(client.get(P + "runs").json()["runs"]) == 1


def test_the_stream_of_changes_tells_what_the_command_line_did(client: httpx.Client, project: Project) -> None:
    seen: list[dict[str, Any]] = []
    began = 0.0
    with client.stream("GET", "events", params={"project": "zbk"}, timeout=30) as answer:
        for line in answer.iter_lines():
            if not line.startswith("data: "):
                continue
            seen.append(json.loads(line[6:]))
            versions = [each["version"] for each in seen if each["event"] == "project"]
            if len(versions) == 1 and not began:
                began = time.monotonic()
                project.file.write_text(project.file.read_text("utf-8") + "\n# changed\n", "utf-8")
            if len(versions) == 2:
                break
    assert time.monotonic() - began < 2.5
    assert seen[0] == {"event": "projects", "names": ["zbk"]}


def test_a_run_that_finds_its_rates_first(
    client: httpx.Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lorasmith.server.road.runs.start_worker", lambda _: None)
    assert client.post(P + "plan", json={"probe": True}).json()["probe"]["variants"] == 3
    head = client.post(P + "runs", json={"probe": True}).json()
    assert (head["probe"], head["state"]) == (True, "waiting")
    assert client.post(P + "runs", json={}).json()["probe"] is False
    project.file.write_text(project.file.read_text("utf-8") + "[sweep]\nrank = [2, 4]\n", "utf-8")
    refused = client.post(P + "runs", json={"probe": True})
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "probe")
