"""Our own API on an engine that draws plain colours: jobs, events, pictures, fairness, stopping, going on."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from lorasmith.server.settings import Limits
from tests.refusal_words import refused_words
from tests.server.running import Plain, finished, plain_settings, running, wait_for
from tests.server.test_store import empty_disk, fill_disk


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running(plain_settings(tmp_path_factory.mktemp("native")), Plain()) as (client, _):
        yield client


def submit(client: httpx.Client, path: str = "jobs", **body: Any) -> dict[str, Any]:
    answer = client.post(f"/api/v1/{path}", json={"prompt": "red", "steps": 2, **body} if path == "jobs" else body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/v1/jobs/{answer.json()['id']}"
    found: dict[str, Any] = answer.json()
    return found


def read_events(client: httpx.Client, job: str, **query: Any) -> list[dict[str, Any]]:
    with client.stream("GET", f"/api/v1/jobs/{job}/events", params=query) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]


def test_a_job_its_events_and_pictures(client: httpx.Client) -> None:
    job = submit(client, count=3, seed=7)
    events = read_events(client, job["id"])
    assert events[-1] == {"event": "finished", "state": "done", "stopping": False}
    found = finished(client, job["id"])
    assert [each["seed"] for each in found["pictures"]] == [7, 8, 9]
    assert found["share"] == 1
    picture = found["pictures"][1]["picture"]
    known = client.get(f"/api/v1/pictures/{picture}").json()
    assert (known["seed"], known["prompt"], known["job"]) == (8, "red", job["id"])
    png = client.get(f"/api/v1/pictures/{picture}/file")
    image = Image.open(io.BytesIO(png.content))
    assert image.info["parameters"] == known["infotext"]
    assert json.loads(image.info["lorasmith"])["request"]["seed"] == 8
    assert Image.open(io.BytesIO(client.get(f"/api/v1/pictures/{picture}/thumbnail").content)).format == "JPEG"
    assert read_events(client, job["id"]) == [{"event": "finished", "state": "done", "stopping": False}]
    redone = finished(client, client.post(f"/api/v1/pictures/{picture}/redo").json()["id"])
    again = client.get(f"/api/v1/pictures/{redone['pictures'][0]['picture']}/file")
    assert Image.open(io.BytesIO(again.content)).tobytes() == image.tobytes()
    assert client.delete(f"/api/v1/pictures/{picture}").status_code == 204
    assert client.get(f"/api/v1/pictures/{picture}/file").status_code == 404


def test_a_batch_takes_what_is_shared(client: httpx.Client) -> None:
    pictures = [{"seed": 1}, {"prompt": "blue", "steps": 1}, {"adapters": []}]
    job = finished(client, submit(client, "batches", shared={"prompt": "red", "steps": 3}, pictures=pictures)["id"])
    told = [client.get(f"/api/v1/pictures/{each['picture']}").json()["document"]["request"] for each in job["pictures"]]
    assert [(each["prompt"], each["steps"]) for each in told] == [("red", 3), ("blue", 1), ("red", 3)]
    assert told[0]["seed"] == 1


def test_what_fails_says_why_and_the_rest_goes_on(client: httpx.Client) -> None:
    pictures = [{"prompt": "wrong"}, {"prompt": "broken"}, {"prompt": "fine"}]
    job = finished(client, submit(client, "batches", pictures=pictures)["id"])
    assert [each["state"] for each in job["pictures"]] == ["failed", "failed", "done"]
    assert job["pictures"][0]["error"]["message"] == "it is wrong."
    assert job["pictures"][1]["error"]["message"] == "it broke."
    assert job["state"] == "done"


def test_a_grid_draws_equal_cells_once_and_makes_a_sheet(client: httpx.Client) -> None:
    body = {"prompt": "red hat", "steps": 2, "seed": 3, "x": "prompt=red,blue,green", "y": "steps=2,3,4000"}
    job = client.post("/api/v1/grids", json={**body, "z": "seed=3,99999999999999999999"}).json()
    events = read_events(client, job["id"])
    assert events[-1]["state"] == "done"
    done = client.get(f"/api/v1/jobs/{job['id']}").json()
    places = done["detail"]["places"]
    assert places[:6] == [0, 1, 2, 3, 4, 5]
    assert all("not between 1 and 1000" in place for place in places[6:9])
    assert all(place.startswith("seed: 9999") for place in places[9:])
    sheet, _ = done["detail"]["sheets"]
    known = client.get(f"/api/v1/pictures/{sheet}").json()
    assert (known["kind"], known["job"]) == ("grid", job["id"])
    assert known["width"] > 3 * 64
    assert client.post(f"/api/v1/pictures/{sheet}/redo").status_code == 422
    for wrong in ("sede=1,2", "seed=", "seed=one"):
        refused = client.post("/api/v1/grids", json={**body, "y": wrong})
        assert refused.status_code == 422
        assert refused.json()["error"]["where"] == "y"
    assert client.post("/api/v1/grids", json={**body, "y": "steps=1-200"}).json()["error"]["where"] == "x"


def test_the_gallery_page_by_page(client: httpx.Client) -> None:
    finished(client, submit(client, count=5, prompt="many of them")["id"])
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = client.get("/api/v1/pictures", params={"limit": 2, "search": "many", **after}).json()
        seen += [each["id"] for each in page["pictures"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert len(seen) == len(set(seen)) == 5
    assert client.get("/api/v1/pictures", params={"after": "nowhere"}).status_code == 422


@pytest.mark.parametrize(
    ("body", "where", "message"),
    [
        ({"steps": 0}, "steps", "greater than or equal to 1"),
        ({"steps": 600, "hires": {}}, "steps", "the most are 1000"),
        ({"promt": "x"}, "promt", 'unknown key. Did you mean "prompt"?'),
        ({"steps": "many"}, "steps", "'many': must be a whole number."),
        ({"width": 4096, "height": 4096}, "width", "the most are"),
        ({"width": 8192, "height": 4096}, "width", "less than or equal to 4096"),
        ({"width": 100}, "width", "not a multiple of 8"),
        ({"width": 4096, "hires": {}}, "hires.scale", "width 8192 is not between"),
        ({"hires": {"width": 4096, "height": 4096}}, "width", "the most are"),
        ({"width": 64, "height": 64, "hires": {"width": 72, "height": 100}}, "hires.height", "not a multiple of 8"),
        ({"sampler": "Eulr"}, "sampler", "Did you mean"),
        ({"schedule": "Karass"}, "schedule", "Did you mean"),
        ({"hires": {"upscaler": "Latnet"}}, "hires.upscaler", "Did you mean"),
        ({"clip_skip": 4}, "clip_skip", "not between 1 and 3"),
        ({"count": 65}, "count", "the most are 64"),
        ({"base": "other"}, "base", "There are: doodle"),
        ({"prompt": "a <lora:nobody:1>"}, "prompt", "unknown"),
        ({"prompt": "a <lorra:x:1>"}, "prompt", "unknown kind of tag"),
        ({"prompt": "x" * 20_001}, "prompt", "the most are 20000"),
        ({"adapters": [{"name": "../secret"}]}, "prompt", "unknown"),
        ({"adapters": [{"name": "a", "apart": "x:y"}]}, "adapters.0.apart", "does not have the form"),
        ({"init": {"image": "https://example.org/a.png"}}, "init.image", "not fetched"),
    ],
)
def test_what_is_told_at_once(client: httpx.Client, body: dict[str, Any], where: str, message: str) -> None:
    answer = client.post("/api/v1/jobs", json={"prompt": "red", **body})
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["where"] == where
    assert message in f"{error['message']} {error['hint']}"


def test_refused_prompts(client: httpx.Client) -> None:
    minor, sexual = refused_words()
    prompt = f"{minor}, {sexual}"
    for path, body in (
        ("/api/v1/jobs", {"prompt": prompt}),
        ("/sdapi/v1/txt2img", {"prompt": prompt, "sampler_name": "Euler"}),
        ("/api/v1/prompts/expand", {"template": prompt}),
    ):
        answer = client.post(path, json=body)
        assert answer.status_code == 422
        assert answer.json()["error"]["kind"] == "RefusedError"


def test_prompts_are_taken_apart_and_expanded(client: httpx.Client) -> None:
    parsed = client.post("/api/v1/prompts/parse", json={"text": "a (red:1.2) hat <lora:zbk:0.8>"}).json()
    assert parsed["networks"][0]["name"] == "zbk"
    assert parsed["attention"][1] == ["red", 1.2]
    apart = client.post("/api/v1/prompts/parse", json={"text": "a <base:hat> <lora:ink:0.6:apart=ink>"}).json()
    assert [each[2:] for each in apart["subprompts"]] == [[], ["base"], ["base"], ["lora:ink"], ["base"]]
    body = {"template": "{a|b} {c|d}", "mode": "combinatorial", "n": 10}
    expanded = client.post("/api/v1/prompts/expand", json=body).json()
    assert [each["prompt"] for each in expanded["prompts"]] == ["a c", "a d", "b c", "b d"]
    assert expanded["count"] == 4
    assert client.post("/api/v1/prompts/parse", json={"text": "<lora:a:b>"}).status_code == 422


def test_the_server_at_a_glance(client: httpx.Client) -> None:
    read_events(client, submit(client)["id"])  # a picture, for which the base is loaded
    status = client.get("/api/v1/status").json()
    assert (status["base"], status["queued"], status["running"]) == ("doodle", 0, 0)
    assert client.get("/api/v1/bases").json()["bases"][0]["is_loaded"]
    assert "Euler a" in client.get("/api/v1/choices").json()["samplers"]
    figures = client.get("/metrics").text
    assert 'lorasmith_pictures_total{outcome="done"}' in figures
    assert "# TYPE lorasmith_queue_length gauge" in figures


def test_joining_cancelling_turning_away(tmp_path: Path) -> None:
    loader = Plain()
    loader.gate.clear()
    limits = Limits(queue=6, queue_per_client=4)
    with running(plain_settings(tmp_path, limits=limits, batch_size=2), loader) as (client, server):
        service = server.service
        first = submit(client, count=2)
        wait_for(lambda: len(service.board.running) == 2)
        waiting = submit(client, count=4)
        full = client.post("/api/v1/jobs", json={"prompt": "one more"})
        assert full.status_code == 429
        assert int(full.headers["retry-after"]) >= 1
        other = client.post("/api/v1/jobs", json={"prompt": "x", "count": 3}, headers={"x-client": "somebody else"})
        assert other.status_code == 503
        assert client.delete(f"/api/v1/jobs/{first['id']}").json()["state"] == "cancelled"
        loader.gate.set()
        done = finished(client, waiting["id"])
        assert [each["state"] for each in done["pictures"]] == ["done"] * 4
        assert loader.engine is not None
        assert loader.engine.drawn == ["red"] * 4
        assert loader.engine.most == 2


def test_a_job_that_hangs_on_its_readers(tmp_path: Path) -> None:
    loader = Plain(delay=0.05)
    with running(plain_settings(tmp_path), loader) as (client, _):
        job = submit(client, attached=True, steps=200)
        with client.stream("GET", f"/api/v1/jobs/{job['id']}/events?previews=true") as answer:
            lines = answer.iter_lines()
            while not next(lines).startswith("event: preview"):
                continue
        assert finished(client, job["id"])["state"] == "cancelled"


def test_what_waits_goes_on_after_a_restart(tmp_path: Path) -> None:
    loader = Plain()
    loader.gate.clear()
    settings = plain_settings(tmp_path, batch_size=1, grace=0.0)
    with running(settings, loader) as (client, server):
        job = submit(client, count=2, seed=4)
        wait_for(lambda: len(server.service.board.running) == 1)
        told: list[dict[str, Any]] = []
        listening = threading.Thread(target=lambda: told.extend(read_events(client, job["id"])))
        listening.start()
        wait_for(lambda: bool(server.service.board.live[job["id"]].readers))
        server.service.board.close()
        listening.join()
        assert told[-1] == {"event": "stopping", "state": "running", "stopping": True}
        assert read_events(client, job["id"])[-1] == told[-1]
        late = client.post("/api/v1/jobs", json={"prompt": "late"})
        assert late.status_code == 503
        assert client.get("/health").json() == {"status": "stopping"}
        loader.gate.set()
    with running(settings, Plain()) as (client, _):
        done = finished(client, job["id"])
        assert [(each["state"], each["seed"]) for each in done["pictures"]] == [("done", 4), ("done", 5)]


def test_jobs_of_a_state_are_found_behind_newer_ones(tmp_path: Path) -> None:
    loader = Plain()
    loader.gate.clear()
    settings = plain_settings(tmp_path, batch_size=1, grace=0.0)

    def ask(client: httpx.Client, state: str) -> list[str]:
        found = client.get("/api/v1/jobs", params={"state": state, "limit": 1}).json()["jobs"]
        assert all(job["state"] == state for job in found)
        return [job["id"] for job in found]

    with running(settings, loader) as (client, server):
        first = submit(client)
        wait_for(lambda: len(server.service.board.running) == 1)
        second = submit(client)
        third = submit(client)
        assert client.delete(f"/api/v1/jobs/{third['id']}").json()["state"] == "cancelled"
        assert ask(client, "running") == [first["id"]]
        assert ask(client, "queued") == [second["id"]]
        assert ask(client, "cancelled") == [third["id"]]
        server.service.board.close()
    loader.gate.clear()
    with running(settings, loader) as (client, server):  # the one that was in the making waits again
        wait_for(lambda: len(server.service.board.running) == 1)
        assert ask(client, "running") == [first["id"]]
        assert ask(client, "queued") == [second["id"]]


def test_a_full_disk_fails_pictures_and_not_the_server(tmp_path: Path) -> None:
    loader = Plain()
    loader.gate.clear()
    with running(plain_settings(tmp_path), loader) as (client, server):
        store = server.service.store
        job = submit(client, count=12, width=512, height=512, prompt="x" * 2000)
        wait_for(lambda: len(server.service.board.running) == 8)
        fill_disk(store)
        loader.gate.set()
        events = read_events(client, job["id"])
        assert events[-1]["event"] == "finished"
        told = [event["error"] for event in events if event["event"] == "failed"]
        assert told
        assert all("full" in error["message"] and error["status"] == 507 for error in told)
        full = client.post("/api/v1/jobs", json={"prompt": "x" * 19_000, "count": 8})
        assert full.status_code == 507
        empty_disk(store)
        assert finished(client, submit(client)["id"])["state"] == "done"
