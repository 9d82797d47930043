"""Words that are completed, pictures that tell their recipe, and adapters of projects that prompts can call."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import httpx
from PIL import Image

from lorasmith.adapters.catalogue import Catalogue
from lorasmith.examples import example_folder
from lorasmith.face.stages import train_project
from lorasmith.face.watching import run
from lorasmith.project import Project
from lorasmith.server.workshop import PROJECT_ADAPTERS
from tests.server.running import Plain, finished, plain_settings, running


def test_words_are_completed_by_the_project_and_the_base(client: httpx.Client) -> None:
    found = client.get("complete", params={"text": "smi", "project": "zbk"}).json()["completions"]
    assert found[0] == {"text": "smile", "kind": "tag", "note": "3"}
    assert client.get("complete", params={"text": "smi"}).json()["completions"][0]["note"] == ""
    assert client.get("complete", params={"text": "qqqq", "project": "zbk"}).json()["completions"] == []
    assert client.get("complete", params={"text": "smi", "project": "nobody"}).status_code == 404


def test_a_dropped_picture_tells_its_recipe(client: httpx.Client) -> None:
    job = client.post("jobs", json={"prompt": "red, smile", "steps": 3, "seed": 9}).json()
    root = client.base_url.copy_with(path="/")
    with httpx.Client(base_url=root) as plain:
        picture = finished(plain, job["id"])["pictures"][0]["picture"]
    data = client.get(f"pictures/{picture}/file").content
    told = client.post("pictures/read", content=data).json()
    assert (told["request"]["prompt"], told["request"]["seed"], told["request"]["steps"]) == ("red, smile", 9, 3)
    assert told["undone"] == []
    silent = io.BytesIO()
    Image.new("RGB", (8, 8)).save(silent, "PNG")
    assert client.post("pictures/read", content=silent.getvalue()).json()["request"] is None
    assert client.post("pictures/read", content=b"no picture").status_code == 422


def test_adapters_of_projects_are_found_but_not_states_of_training(project: Project) -> None:
    patterns = [project.root.parent / pattern for pattern in PROJECT_ADAPTERS]
    catalogue = Catalogue(patterns)
    assert catalogue.names() == []
    done = run(train_project(project, {"target_steps": "4", "save_every": '"2 steps"'}), lambda _: None)
    names = catalogue.names()
    assert "zbk" in names
    assert len(names) >= 2
    assert not any("state" in Path(entry.file).name for entry in catalogue.entries())
    assert catalogue.find("zbk") == [done.adapter]  # type: ignore[union-attr]


def test_pictures_are_put_on_boards(client: httpx.Client) -> None:
    job = client.post("jobs", json={"prompt": "red", "steps": 2, "count": 3}).json()
    with httpx.Client(base_url=client.base_url.copy_with(path="/")) as plain:
        first, second, third = (each["picture"] for each in finished(plain, job["id"])["pictures"])
    assert client.get("boards").json() == {"boards": []}
    told = client.post("boards", json={"board": " round  one ", "pictures": [first, second]}).json()
    assert told == {"boards": [{"name": "round one", "pictures": 2}]}
    on = client.get("pictures", params={"board": "round one"}).json()["pictures"]
    assert {each["id"] for each in on} == {first, second}
    assert {each["board"] for each in on} == {"round one"}
    assert [each["id"] for each in client.get("pictures", params={"board": ""}).json()["pictures"]] == [third]
    client.post("boards", json={"board": "", "pictures": [first, second]})
    assert client.get("boards").json() == {"boards": []}
    assert client.get("pictures").json()["total"] == 3


def test_the_picture_beside_an_adapter(tmp_path: Path) -> None:
    folder = tmp_path / "adapters"
    folder.mkdir()
    for name in ("zbk", "plain"):
        shutil.copy(example_folder("character") / "adapter.safetensors", folder / f"{name}.safetensors")
    Image.new("RGB", (8, 8), "red").save(folder / "zbk.preview.png")
    with running(plain_settings(tmp_path / "data", adapters=(folder,)), Plain()) as (client, _):
        told = {each["name"]: each["has_preview"] for each in client.get("/api/v1/adapters").json()["adapters"]}
        assert told == {"plain": False, "zbk": True}
        shown = client.get("/api/v1/adapters/preview", params={"name": "zbk"})
        assert (shown.content, shown.headers["content-type"]) == (
            (folder / "zbk.preview.png").read_bytes(),
            "image/png",
        )
        for name in ("plain", "../zbk"):
            assert client.get("/api/v1/adapters/preview", params={"name": name}).status_code == 404


def test_lists_of_wildcards_are_completed_and_drawn_from(tmp_path: Path) -> None:
    lists = tmp_path / "wildcards"
    with running(plain_settings(tmp_path, wildcards=lists), Plain()) as (client, _):
        asked = {"template": "a __colours/warm__ hat", "n": 8}
        assert client.get("/api/v1/complete", params={"text": "__"}).json()["completions"] == []
        assert client.post("/api/v1/prompts/expand", json=asked).status_code == 422
        (lists / "colours").mkdir(parents=True)
        (lists / "colours" / "warm.txt").write_text("red\norange\npink\n3::yellow\n", "utf-8")
        (lists / "warm rooms.txt").write_text("den\n", "utf-8")
        (lists / "spoiled.txt").write_bytes(b"\xff\xfe\xff")
        found = client.get("/api/v1/complete", params={"text": "__war"}).json()["completions"]
        assert found == [
            {"text": "__warm rooms__", "kind": "wildcard", "note": "den"},
            {"text": "__colours/warm__", "kind": "wildcard", "note": "orange, pink, red and 1 more"},
        ]
        every = client.get("/api/v1/complete", params={"text": "__"}).json()["completions"]
        assert {each["text"] for each in every} == {"__colours/warm__", "__warm rooms__", "__spoiled__"}
        assert "not UTF-8" in next(each["note"] for each in every if each["text"] == "__spoiled__")
        plain = client.get("/api/v1/complete", params={"text": "warm ro"}).json()["completions"]
        assert "__warm rooms__" in [each["text"] for each in plain]
        prompts = client.post("/api/v1/prompts/expand", json=asked).json()["prompts"]
        hats = {each["prompt"] for each in prompts}
        assert len(hats) > 1
        assert hats <= {f"a {colour} hat" for colour in ("red", "orange", "pink", "yellow")}
        refused = client.post("/api/v1/prompts/expand", json={"template": "__../../etc/hosts__"}).json()["error"]
        assert "unknown" in refused["message"]
