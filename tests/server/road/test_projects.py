"""Projects by requests: uploads are streamed, bounded and checked like new; nothing half-made is ever left."""

from __future__ import annotations

import io
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from lorasmith.project import Project
from lorasmith.server.road.readings import Readings
from lorasmith.server.settings import Limits
from lorasmith.server.uploads import Uploads
from lorasmith.server.workshop import Workshop
from tests.server.running import Plain, plain_settings, running

OCTETS = {"content-type": "application/octet-stream"}


def png(seed: int) -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (48, 48), (seed * 40 % 256, 90, 160)).save(held, "PNG")
    return held.getvalue()


def ended(client: httpx.Client, task: dict[str, Any]) -> dict[str, Any]:
    for _ in range(600):
        found: dict[str, Any] = client.get(f"tasks/{task['id']}").json()
        if found["state"] != "running":
            return found
        time.sleep(0.05)
    raise AssertionError("the task did not end")


def send(client: httpx.Client, upload: str, path: str, data: bytes) -> httpx.Response:
    return client.put(f"uploads/{upload}/files/{path}", content=data, headers=OCTETS)


def test_cards_and_examples(client: httpx.Client) -> None:
    document = client.get("projects").json()
    assert [each["name"] for each in document["projects"]] == ["zbk"]
    card = document["projects"][0]
    assert (card["trigger"], card["subject"], card["images"], card["captions"]) == ("zbk", "character", 3, 3)
    assert len(card["pictures"]) == 3
    assert "character" in document["examples"]
    task = ended(client, client.post("projects", json={"name": "try-it", "example": "concept"}).json())
    assert task["state"] == "done"
    assert client.get("projects/try-it").json()["subject"] == "concept"


def test_a_card_is_read_once_for_all_servers(
    client: httpx.Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = client.get("projects").json()["projects"]
    with monkeypatch.context() as patched:
        patched.setattr(Readings, "of", lambda *_: pytest.fail("the images were read again"))
        assert client.get("projects").json()["projects"] == first
    (project.root / "images" / "0.png").unlink()
    assert client.get("projects").json()["projects"][0]["images"] == first[0]["images"] - 1
    (project.cache / "counts.json").write_text("[", "utf-8")
    assert client.get("projects").json()["projects"][0]["images"] == first[0]["images"] - 1


def test_a_dropped_folder_becomes_a_project(client: httpx.Client, project: Project) -> None:
    upload = client.post("uploads").json()["id"]
    for number in range(3):
        assert send(client, upload, f"ann/{number}.png", png(number)).status_code == 201
        assert send(client, upload, f"ann/{number}.txt", b"ann, smile").status_code == 201
    assert send(client, upload, "ann/broken.png", b"this is no picture").status_code == 201
    assert client.get(f"uploads/{upload}").json()["files"]["ann/0.txt"] == len(b"ann, smile")
    body = {"name": "ann", "trigger": "annxyz", "upload": upload}
    task = ended(client, client.post("projects", json=body).json())
    assert task["state"] == "done", task
    assert (task["result"]["images"], task["result"]["captions"]) == (4, 3)
    card = client.get("projects/ann").json()
    assert (card["images"], card["problems"], card["trigger"]) == (3, 1, "annxyz")
    assert (project.root.parent / "ann" / "images" / "0.png").read_bytes() == png(0)
    assert client.get(f"uploads/{upload}").status_code == 404


def test_a_dropped_zip_and_more_images(client: httpx.Client) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("5_ann/a.png", png(1))
    upload = client.post("uploads").json()["id"]
    send(client, upload, "ann.zip", held.getvalue())
    task = ended(client, client.post("projects", json={"name": "zipped", "upload": upload}).json())
    assert task["state"] == "done", task
    assert client.get("projects/zipped").json()["images"] == 1
    more = client.post("uploads").json()["id"]
    send(client, more, "b.png", png(2))
    task = ended(client, client.post("projects/zipped/images", json={"upload": more}).json())
    assert task["state"] == "done", task
    assert client.get("projects/zipped").json()["images"] == 2


@pytest.mark.parametrize("path", ["..%2Fout.png", "%2Fetc%2Fpasswd", "a/..%2F..%2Fb.png"])
def test_nothing_is_written_outside(client: httpx.Client, project: Project, path: str) -> None:
    upload = client.post("uploads").json()["id"]
    answer = send(client, upload, path, png(1))
    assert answer.status_code in (404, 422), answer.text
    inside = project.root.parent / ".uploads" / upload / "files"
    assert not [file for file in project.root.parent.rglob("*.png") if upload in str(file)], list(inside.rglob("*"))


def test_wrong_projects_are_told(client: httpx.Client, project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    cases = [
        ({"name": "a/b"}, "cannot be a folder's name"),
        ({"name": "-"}, "that stands for none"),
        ({"name": "-", "example": "character"}, "that stands for none"),
        ({"name": "zbk"}, "already"),
        ({"name": "new", "example": "none"}, "no such example"),
        ({"name": "new", "paths": [str(outside)]}, "lies outside"),
        ({"name": "new", "paths": ["a\0b"]}, "cannot be a path"),
        ({"name": "new", "paths": ["~nobody-of-this-name/x"]}, "cannot be a path"),
        ({"name": "new", "paths": [str(project.root / "none")]}, "no such file or folder"),
    ]
    for body, words in cases:
        answer = client.post("projects", json=body)
        assert answer.status_code == 422, body
        assert words in answer.json()["error"]["message"]
    assert client.post("projects", json={"name": "new", "upload": "0" * 32}).status_code == 404
    assert not (project.root.parent / "new").exists()


def test_folders_that_are_called_as_none_can_be_are_listed_with_a_word(client: httpx.Client, project: Project) -> None:
    for name in ("-", "my own", ".hidden"):
        shutil.copytree(project.root, project.root.parent / name)
    cards = {card["name"]: card for card in client.get("projects").json()["projects"]}
    assert set(cards) == {"-", "my own", "zbk"}
    assert not cards["zbk"].get("fault")
    assert "that stands for none" in cards["-"]["fault"]["message"]
    assert cards["my own"]["fault"]["hint"] == "Rename the folder, to my_own for example."
    for name in ("-", "my%20own"):
        assert client.get(f"projects/{name}/images").status_code == 422
    assert client.get("projects/.hidden/images").status_code == 404


def test_a_project_of_nothing_readable_leaves_no_folder(client: httpx.Client, project: Project) -> None:
    upload = client.post("uploads").json()["id"]
    send(client, upload, "a.zip", b"PK this is no zip")
    task = ended(client, client.post("projects", json={"name": "nothing", "upload": upload}).json())
    assert task["state"] == "failed"
    assert task["error"]["message"]
    assert not (project.root.parent / "nothing").exists()
    assert client.get(f"uploads/{upload}").json()["files"], "the upload can be tried again"


def test_uploads_have_an_end(tmp_path: Path, home: Path) -> None:
    assert not home.exists()
    limits = Limits(upload_bytes=1000, upload_total=1500, upload_files=3)
    workshop = Workshop(tmp_path / "projects")
    with running(plain_settings(tmp_path, limits=limits), Plain(), workshop) as (client, _):
        client.base_url = client.base_url.join("/api/v1/")
        upload = client.post("uploads").json()["id"]
        assert send(client, upload, "large.png", b"x" * 1001).status_code == 413
        assert send(client, upload, "a.png", b"x" * 900).status_code == 201
        over = send(client, upload, "b.png", b"x" * 900)
        assert over.status_code == 422
        assert "together" in over.json()["error"]["message"]
        assert send(client, upload, "c.txt", b"[[[[,,,," * 20).status_code == 201
        assert send(client, upload, "d.txt", b"d").status_code == 201
        assert send(client, upload, "e.txt", b"e").status_code == 422
        assert sorted(client.get(f"uploads/{upload}").json()["files"]) == ["a.png", "c.txt", "d.txt"]


def test_a_killed_upload_leaves_whole_files_only(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, Limits())
    name = uploads.begin()
    files = tmp_path / ".uploads" / name / "files"
    (files / "a.png").write_bytes(png(1))
    (files / ".b.png.999999999-0.partial").write_bytes(b"half")
    assert list(uploads.files(name)) == ["a.png"]
    uploads.begin()
    assert [file.name for file in files.iterdir()] == ["a.png"]


def test_a_project_that_cannot_be_read_is_a_card_with_its_fault(client: httpx.Client, project: Project) -> None:
    project.file.write_text("[lora\n")
    card = client.get("projects").json()["projects"][0]
    assert card["name"] == "zbk"
    assert "TOML" in card["fault"]["message"]


def test_without_a_studio_there_are_no_projects(tmp_path: Path) -> None:
    with running(plain_settings(tmp_path), Plain()) as (client, _):
        answer = client.get("/api/v1/projects")
        assert answer.status_code == 404
        assert "studio" in answer.json()["error"]["hint"]
