"""The library and help by requests."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx

from lorasmith.face.stages import train_project
from lorasmith.face.watching import run
from lorasmith.project import Project
from tests.server.running import wait_for


def test_scan_list_note_and_duplicates(client: httpx.Client, project: Project, tmp_path: Path) -> None:
    assert client.get("library").json()["exists"] is False
    assert client.get("library/duplicates").status_code == 404
    done = run(train_project(project, {"target_steps": "2"}), lambda _: None)
    shelf = project.root.parent / "shelf"
    shelf.mkdir()
    for name in ("one", "two"):
        shutil.copy(done.adapter, shelf / f"{name}.safetensors")  # type: ignore[union-attr]
    outside = client.post("library/scan", json={"folders": [str(tmp_path / "elsewhere")]})
    assert outside.status_code == 422
    assert "outside" in outside.json()["error"]["message"]
    task = client.post("library/scan", json={"folders": [str(shelf)]}).json()
    wait_for(lambda: client.get(f"tasks/{task['id']}").json()["state"] != "running", 60)
    assert client.get(f"tasks/{task['id']}").json()["result"]["files"] == 2
    page = client.get("library").json()
    assert page["total"] == 2
    assert page["facets"]["family"] == {"doodle": 2}
    assert page["facets"]["algorithm"] == {"lora": 2}
    assert page["folders"] == [str(shelf)]
    path = page["entries"][0]["path"]
    noted = client.post("library/notes", json={"path": path, "notes": "soft colours", "rating": 4}).json()
    assert (noted["notes"], noted["rating"]) == ("soft colours", 4)
    assert client.get("library", params={"words": "colours"}).json()["total"] == 1
    assert client.post("library/notes", json={"path": "/etc/passwd", "notes": "x"}).status_code == 404
    assert len(client.get("library/duplicates").json()["same"][0]) == 2
    assert client.get("library/preview", params={"path": path}).status_code == 404
    assert client.get("library", params={"order": "colour"}).status_code == 422


def test_an_address_that_is_none_is_told_before_anything_begins(client: httpx.Client) -> None:
    answer = client.post("library/get", json={"reference": "https://example.org/x"})
    assert answer.status_code == 422
    assert client.get("tasks").json()["tasks"] == []


def test_every_rule_key_and_figure_has_a_text(client: httpx.Client) -> None:
    sections = {each["title"]: each["entries"] for each in client.get("help").json()["sections"]}
    assert {"Dataset rules", "Recipe", "Exam figures"} <= set(sections)
    for title, entries in sections.items():
        assert entries, title
        assert all(each["text"] for each in entries), title
    assert any(each["name"] == "rank" for each in sections["Recipe"])
    assert any(each["name"] == "hit_rate" for each in sections["Exam figures"])
