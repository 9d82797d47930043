"""Images by requests: thumbnails kept and tagged, decisions as the commands make them, undone and redone."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from lorasmith.cli.main import run
from lorasmith.dataset.decisions import read_decisions
from lorasmith.project import Project, open_project
from tests.projects import build_project
from tests.server.road.test_projects import ended


def states(client: httpx.Client) -> dict[str, str]:
    return {each["name"]: each["state"] for each in client.get("projects/zbk/images").json()["images"]}


def test_the_list_and_its_etag(client: httpx.Client) -> None:
    answer = client.get("projects/zbk/images")
    first = answer.json()["images"][0]
    assert (first["name"], first["width"], first["height"], first["state"]) == ("0.png", 64, 64, "in")
    assert first["caption"] is True
    again = client.get("projects/zbk/images", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


def test_thumbnails_are_made_once(client: httpx.Client, project: Project) -> None:
    image = next(each for each in client.get("projects/zbk/images").json()["images"] if each["width"] == 128)
    answer = client.get(f"projects/zbk/images/{image['id']}/thumbnail?size=60")
    assert Image.open(io.BytesIO(answer.content)).size == (64, 16)
    kept = list((project.cache / "thumbnails").rglob("*.jpg"))
    assert len(kept) == 1
    again = client.get(f"projects/zbk/images/{image['id']}/thumbnail?size=60")
    assert (again.content, "immutable" in again.headers["cache-control"]) == (answer.content, True)
    tagged = {"if-none-match": answer.headers["etag"]}
    assert client.get(f"projects/zbk/images/{image['id']}/thumbnail?size=60", headers=tagged).status_code == 304
    assert client.get(f"projects/zbk/images/{'0' * 64}/thumbnail").status_code == 404


def test_decisions_undone_and_done_again(client: httpx.Client) -> None:
    body = {"images": ["0.png", "2.png"], "verb": "reject", "reason": "not her"}
    answer = client.post("projects/zbk/decisions", json=body).json()
    assert (answer["names"], answer["undo"], answer["redo"]) == (["0.png", "2.png"], 1, 0)
    assert states(client) == {"0.png": "rejected", "1.png": "in", "2.png": "rejected"}
    assert client.post("projects/zbk/decisions/undo", json={}).json()["redo"] == 1
    assert states(client) == {"0.png": "in", "1.png": "in", "2.png": "in"}
    assert client.post("projects/zbk/decisions/redo", json={}).json()["undo"] == 1
    assert states(client)["0.png"] == "rejected"
    client.post("projects/zbk/decisions/undo", json={})
    client.post("projects/zbk/decisions", json={"images": ["1.png"], "verb": "keep"})
    wrong = client.post("projects/zbk/decisions/redo", json={})
    assert wrong.status_code == 422
    assert "nothing to do again" in wrong.json()["error"]["message"]


def test_the_page_and_the_commands_write_the_same(tmp_path: Path, client: httpx.Client, project: Project) -> None:
    other = build_project(tmp_path / "other" / "zbk", "")
    other.file.write_bytes(project.file.read_bytes())
    steps: list[tuple[dict[str, object], list[str]]] = [
        ({"images": ["0.png"], "verb": "keep", "reason": "good"}, ["keep", "0.png", "--reason", "good"]),
        ({"images": ["1.png"], "verb": "reject"}, ["reject", "1.png"]),
        ({"images": ["2.png"], "verb": "role", "value": "primary"}, ["primary", "2.png"]),
        ({"images": ["2.png"], "verb": "repeats", "value": 3}, ["repeats", "2.png", "--times", "3"]),
        ({"images": ["2.png"], "verb": "crop", "value": [0, 0, 64, 32]}, ["crop", "2.png", "--box", "0,0,64,32"]),
        ({"images": ["0.png"], "verb": "label", "value": "from  behind"}, ["label", "0.png", "--as", "from behind"]),
        ({"images": ["0.png"], "verb": "unlabel", "value": "from behind"}, ["unlabel", "0.png", "--as", "from behind"]),
        ({"images": ["0.png", "2.png"], "verb": "distinct"}, ["distinct", "0.png", "2.png"]),
    ]
    for body, words in steps:
        assert client.post("projects/zbk/decisions", json=body).status_code == 201, body
        assert run(["curate", words[0], str(other.root), *words[1:]]) == 0
    for verb in ("undo", "undo", "redo"):
        assert client.post(f"projects/zbk/decisions/{verb}", json={}).status_code == 200
        assert run(["curate", verb, str(other.root)]) == 0

    def without_times(place: Project) -> list[str]:
        lines = place.curation.read_text("utf-8").splitlines()
        assert len(lines) == len(steps) + 3
        return [line.replace(line.partition('"at": "')[2][:25], "") for line in lines]

    assert without_times(project) == without_times(other)
    assert project.file.read_bytes() == other.file.read_bytes()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"images": ["none.png"], "verb": "keep"}, "no image"),
        ({"images": ["0.png"], "verb": "crop", "value": [0, 0, 640, 640]}, "is not inside"),
        ({"images": ["0.png"], "verb": "crop", "value": [0, 0]}, "four edges"),
        ({"images": ["0.png"], "verb": "repeats", "value": 0}, "out of range"),
        ({"images": ["0.png"], "verb": "label", "value": "a, b"}, "no label"),
        ({"images": ["0.png"], "verb": "distinct"}, "one picture"),
        ({"images": ["0.png"], "verb": "role", "value": "main"}, "no value for role"),
        ({"images": ["0.png"], "verb": "eat"}, ""),
        ({"images": [], "verb": "keep"}, ""),
    ],
)
def test_wrong_decisions_change_nothing(
    client: httpx.Client, project: Project, body: dict[str, object], words: str
) -> None:
    answer = client.post("projects/zbk/decisions", json=body)
    assert answer.status_code == 422
    assert words in answer.json()["error"]["message"]
    assert not read_decisions(open_project(project.root)).steps


def test_an_inspection_is_kept_for_the_page(client: httpx.Client) -> None:
    assert client.get("projects/zbk/findings").json()["document"] is None
    task = ended(client, client.post("projects/zbk/findings", json={}).json())
    assert task["state"] == "done", task
    found = client.get("projects/zbk/findings").json()
    assert not found["stale"]
    rules = {finding["rule"] for finding in found["document"]["findings"]}
    assert rules
    assert rules <= set(found["titles"])
    behind = next(each for each in found["document"]["coverage"] if each["facet"] == "from behind")
    assert (behind["images"], behind["names"], behind["wanted"] > 0) == (0, [], True)
    client.post("projects/zbk/decisions", json={"images": ["0.png"], "verb": "label", "value": "from behind"})
    assert client.get("projects/zbk/findings").json()["stale"]


def test_pictures_are_made_from_images(client: httpx.Client) -> None:
    def make(**asked: Any) -> Any:
        task = ended(client, client.post("projects/zbk/made", json=asked).json())
        assert task["state"] == "done", task["error"]
        return task["result"]

    names = [each["name"] for each in client.get("projects/zbk/images").json()["images"]]
    copies = make(way="alter", images=names[:2], operations=["grayscale"])["made"]
    assert [each["operation"] for each in copies] == ["grayscale", "grayscale"]
    (collage,) = make(way="collage", images=names)["made"]
    assert collage["sources"] == names
    parts = [{"box": [0, 0, 40, 40], "name": "head"}]
    cut = make(way="cut", images=names[:1], parts=parts, count=15)["made"]
    assert len(cut) == 15
    made = [each for each in client.get("projects/zbk/images").json()["images"] if each.get("made")]
    assert {each["made"]["by"] for each in made} >= {"grayscale", "collage", "cut"}
    client.post("projects/zbk/decisions/undo", json={"steps": 3})
    left = client.get("projects/zbk/images").json()["images"]
    assert not [each for each in left if each.get("made") and each["state"] != "rejected"]
    assert client.post("projects/zbk/made", json={"way": "alter"}).json()["error"]["where"] == "images"
    unknown = {"way": "alter", "images": names, "operations": ["x"]}
    assert client.post("projects/zbk/made", json=unknown).status_code == 422


@pytest.mark.parametrize(
    ("path", "body", "where", "told"),
    [
        ("decisions", {"images": ["0.png"]}, "verb", "missing."),
        ("decisions", {"images": [], "verb": "keep"}, "images", "must have 1 item or more."),
        ("decisions", {"images": ["0.png"], "verb": "kep"}, "verb", "or 'distinct'. Did you mean \"keep\"?"),
        (
            "decisions",
            {"images": ["0.png"], "verb": "crop", "value": {}},
            "value",
            "a text or a whole number or a list",
        ),
        (
            "decisions",
            {"images": ["0.png"], "verb": "keep", "why": 1},
            "why",
            "unknown key. Known keys: images, re",
        ),
        ("decisions", {"images": [3], "verb": "keep"}, "images.0", "3: must be a text."),
        ("decisions/undo", {"step": 2}, "step", 'unknown key. Did you mean "steps"?'),
        ("made", {"way": "cut", "parts": [{"box": [0, 0, 9, 9], "nam": "a"}]}, "parts.0.nam", 'Did you mean "name"?'),
        ("made", {"way": "alter", "count": 99}, "count", "99: must be less than or equal to 50"),
    ],
)
def test_a_wrong_body_is_told_in_plain_words(
    client: httpx.Client, path: str, body: dict[str, Any], where: str, told: str
) -> None:
    answer = client.post(f"projects/zbk/{path}", json=body)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["where"] == where
    assert told in f"{error['message']} {error['hint']}"
    assert "nput should" not in answer.text


def test_a_body_that_is_no_json_is_told_in_plain_words(client: httpx.Client) -> None:
    answer = client.post("projects/zbk/decisions", content=b"{", headers={"content-type": "application/json"})
    assert answer.json()["error"]["where"] == "body"
    assert answer.json()["error"]["message"].startswith("is no JSON: ")
