"""Exams by requests, in a process of its own that outlives the server; blind comparisons; the choice; the card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from lorasmith.exam.blind import compare
from lorasmith.exam.drawing import Row
from lorasmith.face.stages import train_project
from lorasmith.face.watching import run
from lorasmith.project import Project
from lorasmith.remedies import Action, Do, Sentence, write_parts
from lorasmith.server.workshop import Workshop
from tests.server.running import Plain, plain_settings, running, wait_for

P = "projects/zbk/"


class PlainArtist:
    """Draws a colour for each adapter."""

    def draw(self, rows: list[Row]) -> list[Image.Image]:
        return [Image.new("RGB", (16, 16), "red" if "000" in str(row.adapter) else "blue") for row in rows]


@pytest.fixture
def trained(project: Project) -> Project:
    run(train_project(project, {"target_steps": "4", "save_every": '"2 steps"'}), lambda _: None)
    return project


def exam_state(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get(P + "exams").json()["process"]
    return found


def test_an_exam_goes_on_without_its_server(client: httpx.Client, trained: Project, tmp_path: Path) -> None:
    assert exam_state(client)["state"] == "none"
    started = client.post(P + "exams", json={"quick": True, "pictures": 8})
    assert started.status_code == 202, started.text
    assert client.post(P + "exams", json={"quick": True, "pictures": 8}).status_code == 409
    wait_for(lambda: exam_state(client)["last"] is not None, 240)
    stopped = client.post(P + "exams/stop").json()
    wait_for(lambda: exam_state(client)["state"] != "running", 240)
    assert exam_state(client)["state"] == "stopped", (stopped, exam_state(client))
    assert client.post(P + "exams", json={"quick": True, "pictures": 8}).status_code == 202
    with running(plain_settings(tmp_path / "second"), Plain(), Workshop(trained.root.parent)) as (second, _):
        second.base_url = second.base_url.join("/api/v1/")
        wait_for(lambda: exam_state(second)["state"] != "running", 400)
        assert exam_state(second)["state"] == "done", exam_state(second)
        known = second.get(P + "exams").json()
        (head,) = known["exams"]
        assert head["finished"]
        exam = second.get(f"{P}exams/{head['id']}").json()
        assert exam["figures"]["verdict"] == head["verdict"]
        assert {"hit", "leakage", "strength"} <= {each["kind"] for each in exam["answers"]}
        first = next(each for each in exam["answers"] if each["kind"] == "hit")
        assert first["prompt"].startswith("zbk")
        assert isinstance(first["good"], bool)
        picture = second.get(f"{P}exams/{head['id']}/pictures/{first['picture']}")
        assert picture.headers["content-type"] == "image/webp"
        report = second.get(f"{P}exams/{head['id']}/report")
        assert "sandbox" in report.headers["content-security-policy"]
        card = second.get(P + "card").json()
        assert card["card"]["exam"] is not None
        assert card["problem"]["message"].startswith("no licence")


def test_a_person_compares_blind_and_chooses(client: httpx.Client, trained: Project) -> None:
    files = [each["path"] for each in client.get(P + "exams").json()["adapters"]]
    assert len(files) == 2
    made = run(compare(trained, Path(files[0]), Path(files[1]), pairs=6, artist=PlainArtist()), lambda _: None)  # type: ignore[arg-type]
    (found,) = client.get(P + "comparisons").json()["comparisons"]
    assert (found["id"], found["drawn"], found["answered"], found["result"]) == (made.folder.name, 6, 0, None)
    assert "left" not in found["pairs"][0]
    for number, pair in enumerate(made.pairs):
        side = "left" if pair.left == 1 else "right"  # always the second
        path = f"{P}comparisons/{found['id']}"
        shown = client.get(f"{path}/pictures/{number}/{side}")
        assert shown.headers["content-type"] == "image/png"
        answer = client.post(f"{path}/answers", json={"pair": number, "side": side})
        assert answer.json()["answered"] == number + 1
    result = answer.json()["result"]
    assert result["preferred"] == [0, 6]
    assert result["clear"]
    assert result["share_of_second"]["low"] > 0.5
    assert client.post(f"{path}/answers", json={"pair": 6, "side": "left"}).status_code == 404
    same = client.post(P + "comparisons", json={"adapters": [files[0], files[0]]})
    assert same.status_code == 422
    chosen = client.post(P + "exams/choose", json={"adapter": files[1]}).json()["chosen"]
    assert chosen == files[1]
    assert client.get(P + "card").json()["adapter"] == files[1]


def test_a_choice_outside_of_the_project_is_refused(client: httpx.Client, trained: Project, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"")
    for path in (str(other), "../../other.safetensors", "lora.toml", "/etc/passwd"):
        answer = client.post(P + "exams/choose", json={"adapter": path})
        assert answer.status_code == 422, path
        assert path in answer.json()["error"]["message"]
        assert client.post(P + "exams", json={"snapshots": [path]}).status_code == 422
    answer = client.post(P + "exams/choose", json={"adapter": "runs/\0.safetensors"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (422, "cannot be a path.")
    assert not (trained.exams / "chosen.json").exists()


def test_a_card_is_written_and_packed(client: httpx.Client, trained: Project) -> None:
    assert client.post(P + "publish", json={"to": "packed"}).status_code == 422  # no licence
    client.patch(P + "recipe", json={"set": {"provenance.licence": "CC BY 4.0"}})
    assert client.get(P + "card").json()["problem"] is None
    assert any(file.endswith("README.md") for file in client.post(P + "card").json()["files"])
    task = client.post(P + "publish", json={"to": "packed"}).json()
    wait_for(lambda: client.get(f"tasks/{task['id']}").json()["state"] != "running", 60)
    assert (trained.root / "packed" / "zbk.safetensors").is_file()
    assert client.post(P + "publish", json={"to": "hf:me/zbk"}).json()["error"]["where"] == "yes"
    sent = client.post(P + "publish", json={"to": "hf:me/zbk", "yes": True}).json()
    wait_for(lambda: client.get(f"tasks/{sent['id']}").json()["state"] != "running", 60)
    error = client.get(f"tasks/{sent['id']}").json()["error"]  # no token
    assert "logged in" in error["message"]
    assert "HF_TOKEN" in error["hint"]


def test_advice_is_told_in_the_page_s_words(client: httpx.Client, project: Project) -> None:
    folder = project.exams / "20260101-000000"
    folder.mkdir(parents=True)
    more = Sentence("Draw more: ", Do(Action.EXAMINE, project="PROJECT", pictures=800), ".")
    document = {"verdict": "x", "advice": ["Draw more: lorasmith exam"], "advice_parts": [write_parts(more)]}
    newer = document | {"advice_parts": [3]}
    for told, advice in ((document, 'Draw more: "Examine" (Exam).'), (newer, "Draw more: lorasmith exam")):
        (folder / "figures.json").write_text(json.dumps(told))
        assert client.get(f"{P}exams/{folder.name}").json()["figures"]["advice"] == [advice]
